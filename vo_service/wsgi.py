"""Gunicorn's door: ``vo_service.wsgi:app``."""

from __future__ import annotations

__all__ = ["app"]

from reduction.archive import Archive
from schemas.deferred import import_deferred
from schemas.settings import load_settings
from vo_service.app import create_app
from vo_service.logs import configure

configure()
_archive = Archive(load_settings())
Archive.use(_archive)
app = create_app(_archive)
import_deferred()  # nobody's question waits for it
