"""Lines of the log: one event a line, as JSON, with the request and its RUNID in every one."""

from __future__ import annotations

__all__ = ["JsonFormatter", "configure", "request_id", "run_id"]

import json
import logging
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Final

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Number of the request that is being answered."""
run_id: ContextVar[str] = ContextVar("run_id", default="")
"""The caller's own name of it (DALI-1.1 3.4.6)."""

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON; what was given as ``extra`` is beside the message."""

    def format(self, record: logging.LogRecord) -> str:
        """Say the record; a traceback is one of its values."""
        said: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "event": record.getMessage(),
        }
        context = {"request_id": request_id.get(), "run_id": run_id.get()}
        said |= {name: held for name, held in context.items() if held}
        said |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info:
            said["traceback"] = self.formatException(record.exc_info)
        return json.dumps(said, default=str, ensure_ascii=False)


def configure(level: int = logging.INFO) -> None:
    """Send the project's events to standard error; does nothing where that is done."""
    root = logging.getLogger()
    if any(isinstance(handler.formatter, JsonFormatter) for handler in root.handlers):
        return
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    root.addHandler(handler)
    root.setLevel(level)
