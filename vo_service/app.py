"""The web application: what is mounted where, the log line of a request, the edge for errors."""

from __future__ import annotations

__all__ = ["create_app"]

import logging
import time
from typing import TYPE_CHECKING, Final

from flask import Flask, Response, g, request
from werkzeug.middleware.proxy_fix import ProxyFix

from reduction.published import published_schemas
from schemas.dali import ErrorForm, Mode
from tap.examples import offered
from tap.row_counts import RowCounts
from vo_service.admission import Admission
from vo_service.entrance import Entrance
from vo_service.errors import error_response
from vo_service.examples import ExamplesPage, examples_blueprint
from vo_service.files import files_blueprint
from vo_service.logs import request_id, run_id
from vo_service.mount import mount
from vo_service.pages import pages_blueprint
from vo_service.protocols import TAP, mounted_protocols
from vo_service.request import mend_boundary, new_request_id
from vo_service.uws.handlers import jobs_blueprint
from vo_service.vosi import Health, tables_blueprint

if TYPE_CHECKING:
    from reduction.archive import Archive

_log = logging.getLogger(__name__)
_FORM_BYTES: Final = 16_000_000
_LEAST_BODY_BYTES: Final = 1_000_000


def create_app(archive: Archive) -> Flask:
    """Make the application.

    Parameters
    ----------
    archive
        What questions are asked of; its settings say limits and the address users see.
    """
    settings = archive.settings
    base_url = settings.web.url
    schemas = published_schemas(archive.registry)
    health = Health(archive.database)
    app = Flask("vo_service")
    # However little may be uploaded, ordinary forms come through.
    body_bytes = max(settings.limits.upload_bytes, _LEAST_BODY_BYTES)
    app.config["MAX_CONTENT_LENGTH"] = body_bytes
    app.config["UPLOAD_BYTES"] = settings.limits.upload_bytes
    # Of texts alone: files of a form go to disk.
    app.config["MAX_FORM_MEMORY_SIZE"] = min(body_bytes, _FORM_BYTES)
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=settings.web.proxies, x_proto=0, x_host=0)  # type: ignore[method-assign]  # as Flask's manual says
    app.before_request(_begin)
    admission = Admission(settings.limits, threads=settings.web.threads)
    entrance = Entrance(admission)
    app.before_request(entrance.enter)
    app.after_request(_end)
    app.after_request(entrance.leave)  # is called first
    for mounted in mounted_protocols(archive, schemas, base_url=base_url, health=health):
        app.register_blueprint(mount(mounted, base_url=base_url))
        if Mode.ASYNC in mounted.protocol.modes:
            app.register_blueprint(jobs_blueprint(mounted, archive, admission))
    app.register_blueprint(
        tables_blueprint(f"{TAP.path}/tables", RowCounts(archive.database, schemas))
    )
    examples = ExamplesPage(
        archive.database,
        offered(table.qualified_name for schema in schemas for table in schema.tables),
        base_url + TAP.path,
    )
    app.register_blueprint(examples_blueprint(examples, f"{TAP.path}/examples"))
    app.register_blueprint(files_blueprint(archive))
    app.register_blueprint(pages_blueprint(archive, schemas, health, examples))
    app.register_error_handler(Exception, _failed)
    return app


def _begin() -> None:
    g.request_id = new_request_id()
    g.begun = time.monotonic()
    mend_boundary(request.environ)
    request_id.set(g.request_id)
    run_id.set("")


def _end(response: Response) -> Response:
    """Log the request when its last byte is out, and tell its number to the caller."""
    response.headers["X-Request-Id"] = g.request_id
    response.headers["X-Content-Type-Options"] = "nosniff"
    # All but jobs is public: pages elsewhere (Aladin Lite) may ask from a browser.
    if not response.cache_control.private:
        response.headers["Access-Control-Allow-Origin"] = "*"
    facts = {
        "method": request.method,
        "path": request.path,
        "status": response.status_code,
        "address": request.remote_addr,
        "request_id": g.request_id,
        "run_id": run_id.get(),
    }
    begun = g.begun

    def say() -> None:
        _log.info("request", extra={**facts, "seconds": round(time.monotonic() - begun, 4)})

    # Werkzeug calls nobody at the end of what it passes through.
    response.direct_passthrough = False
    response.call_on_close(say)
    return response


def _failed(error: Exception) -> Response:
    return error_response(error, ErrorForm.TEXT, request_id=g.request_id)
