"""The service as a whole: what runs when ``vo-service serve`` runs."""

from __future__ import annotations

__all__ = ["serve"]

import socket
import sys
import urllib.request
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from vo_service.home import environment
from vo_service.opening import claim_jobs, prepare_database
from vo_service.state import StateFile
from vo_service.supervise import Child, Supervisor, check_port, free_port

if TYPE_CHECKING:
    from collections.abc import Callable

    from schemas.settings import EngineSettings, Settings, WebSettings
    from vo_service.home import Home

_LOCAL: Final = "127.0.0.1"


def serve(home: Home, *, port: int | None, when_ready: Callable[[Settings], None]) -> None:
    """Run database, engine, web server and job workers until told to stop.

    Parameters
    ----------
    home
        The archive's folder.
    port
        Port of the web server; 0 for any free one, None for that of the settings.
    when_ready
        Called with the settings in force once requests are answered.

    Raises
    ------
    SettingsError
        If the port is taken or this archive is served already.
    FatalError
        If a process does not become ready.
    """
    home.prepare()
    web = _listening(home.asked.web, port)
    state = StateFile(home.run)
    state.claim(web.url)
    try:
        check_port(web.host, web.port)
        settings = home.settings().model_copy(update={"web": web})
        prepare_database(settings)
        claim_jobs(settings)
        children = []
        if "address" not in settings.engine.model_fields_set:
            settings = settings.model_copy(update={"engine": _local_engine(settings.engine)})
            children.append(_engine(home, settings))
        children.append(_web(home, settings))
        children += [_worker(home, settings, n + 1) for n in range(settings.jobs.workers)]
        supervisor = Supervisor(children, cluster=home.cluster, state=state)
    except BaseException:
        state.clear()
        raise
    supervisor.run(lambda: when_ready(settings))


def _listening(web: WebSettings, port: int | None) -> WebSettings:
    chosen = web.port if port is None else port
    return web.model_copy(update={"port": chosen or free_port(web.host)})


def _local_engine(engine: EngineSettings) -> EngineSettings:
    """The address of an engine of this service alone: kept when the engine is started again."""
    return engine.model_copy(update={"address": f"tcp://{_LOCAL}:{free_port(_LOCAL)}"})


def _engine(home: Home, settings: Settings) -> Child:
    return Child(
        name="engine",
        command=(sys.executable, "-m", "vo_service", "--data", str(home.data), "engine"),
        environment=environment(settings),
        log=home.logs / "engine.log",
        is_ready=lambda: _listens(settings.engine.address),
    )


def _web(home: Home, settings: Settings) -> Child:
    gunicorn = ("-m", "gunicorn", "--config", "python:vo_service.gunicorn_settings")
    return Child(
        name="web server",
        command=(sys.executable, *gunicorn, "vo_service.wsgi:app"),
        environment=environment(settings),
        log=home.logs / "web.log",
        is_ready=lambda: _answers(f"http://{settings.web.host}:{settings.web.port}/health"),
    )


def _worker(home: Home, settings: Settings, number: int) -> Child:
    ready = home.run / f"job-worker-{number}.ready"
    ready.unlink(missing_ok=True)
    command = (sys.executable, "-m", "vo_service", "--data", str(home.data), "job-worker")
    return Child(
        name=f"job worker {number}",
        command=(*command, "--ready", str(ready)),
        environment=environment(settings),
        log=home.logs / f"jobs-{number}.log",
        is_ready=ready.exists,
    )


def _listens(address: str) -> bool:
    parts = urlsplit(address)
    try:
        with socket.create_connection((parts.hostname, parts.port), timeout=2):
            return True
    except OSError:
        return False


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310  # our own server
            return bool(answer.status == 200)
    except OSError:
        return False
