"""Lines of the log are JSON, with the request in every one of them."""

from __future__ import annotations

import json
import logging
from contextvars import Context, copy_context

from vo_service.logs import JsonFormatter, request_id, run_id


def line_of(**more) -> dict:
    record = logging.LogRecord("a.b", logging.INFO, "f.py", 1, "made %s", ("it",), None)
    for name, value in more.items():
        setattr(record, name, value)
    return json.loads(JsonFormatter().format(record))


def test_a_line_says_what_where_and_what_was_given_as_extra():
    # a context of its own: earlier tests may have answered requests in this process
    line = Context().run(line_of, status=200, path="/tap")
    assert (line["event"], line["logger"], line["level"]) == ("made it", "a.b", "INFO")
    assert (line["status"], line["path"]) == (200, "/tap")
    assert "request_id" not in line


def test_the_request_and_its_runid_are_in_the_line():
    def within():
        request_id.set("r1")
        run_id.set("mine\nand a forged line")
        return line_of()

    line = copy_context().run(within)
    assert (line["request_id"], line["run_id"]) == ("r1", "mine\nand a forged line")


def test_an_event_is_one_line_even_with_a_traceback():
    try:
        int("no\nway")
    except ValueError as error:
        info = (type(error), error, error.__traceback__)
    record = logging.LogRecord("a", logging.ERROR, "f.py", 1, "failed", (), info)
    text = JsonFormatter().format(record)
    assert "\n" not in text
    assert "ValueError" in json.loads(text)["traceback"]
