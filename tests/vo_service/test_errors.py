"""Every error of the project in every form of answer."""

from __future__ import annotations

import pytest
from lxml import etree
from werkzeug.exceptions import NotFound, RequestEntityTooLarge

from schemas import errors
from schemas.dali import ErrorForm
from vo_service.errors import error_response

MADE = [
    errors.UsageError("no"),
    errors.ParameterError("POS", "x", "a circle"),
    errors.MissingParameterError("QUERY", "a query"),
    errors.MultiValuedParameterError("POS", 2),
    errors.UnsupportedXtypeError("POS", "x", "a circle"),
    errors.QueryError("no"),
    errors.QuerySyntaxError("no", line=1, column=2),
    errors.UnsupportedFeatureError("no"),
    errors.UnknownNameError("table", "a<b", near=("a",)),
    errors.UploadError("no"),
    errors.TooLargeError("no"),
    errors.PhaseError("COMPLETED", "RUN", []),
    errors.IngestError("f", "no"),
    errors.SettingsError("no"),
    errors.NotFoundError("no"),
    errors.AuthenticationError("no"),
    errors.AuthorizationError("no"),
    errors.TransientError("no"),
    errors.BusyError("no"),
    errors.TimeLimitError("no"),
    errors.StaleError("no"),
    errors.QuotaError("no"),
    errors.NotMadeYetError("no", retry_after_s=1.2),
    errors.FatalError("no"),
    errors.StorageError("no"),
    errors.UnreadableError("no"),
    errors.ReductionError("no"),
    errors.ProgenitorMissingError("no"),
    errors.UnprocessableError("no"),
]


def tree(kind=errors.VOError):
    return {kind, *(deep for child in kind.__subclasses__() for deep in tree(child))}


def test_no_error_is_left_out():
    ours = {kind for kind in tree() if kind.__module__ == "schemas.errors"}
    assert ours == {type(error) for error in MADE} | {errors.VOError}


@pytest.mark.parametrize("error", MADE, ids=lambda error: type(error).__name__)
def test_an_error_is_said_in_the_words_of_each_form(error):
    text = error_response(error, ErrorForm.TEXT, request_id="77")
    assert text.status_code == error.http_status
    assert text.get_data(as_text=True).startswith(f"{error.soda_word}: {error}")
    assert text.mimetype == "text/plain"
    votable = error_response(error, ErrorForm.VOTABLE, request_id="77")
    info = etree.fromstring(votable.get_data())[0][0]
    assert (info.get("name"), info.get("value")) == ("QUERY_STATUS", "ERROR")
    assert info.text.startswith(f"{error.fault}: {error}")
    assert votable.status_code == error.http_status


def test_what_is_transient_says_when_to_come_back():
    for error in MADE:
        answer = error_response(error, ErrorForm.TEXT, request_id="")
        assert ("Retry-After" in answer.headers) == (answer.status_code in {429, 503})
    late = errors.NotMadeYetError("no", retry_after_s=1.2)
    assert error_response(late, ErrorForm.TEXT, request_id="").headers["Retry-After"] == "2"


def test_a_bug_shows_the_incident_and_nothing_else(caplog):
    answer = error_response(KeyError("secret"), ErrorForm.VOTABLE, request_id="i-42")
    assert answer.status_code == 500
    assert "i-42" in answer.get_data(as_text=True)
    assert "secret" not in answer.get_data(as_text=True)
    assert "secret" in caplog.text


def test_the_webs_own_errors_keep_their_status():
    assert error_response(NotFound(), ErrorForm.TEXT, request_id="").status_code == 404
    large = error_response(RequestEntityTooLarge(), ErrorForm.VOTABLE, request_id="")
    assert large.status_code == 413


def test_a_message_of_any_length_is_cut():
    answer = error_response(errors.UsageError("x" * 100_000), ErrorForm.TEXT, request_id="")
    assert len(answer.get_data()) < 5000


def test_who_is_nobody_is_told_how_to_say_who_he_is():
    answer = error_response(errors.AuthenticationError("no"), ErrorForm.TEXT, request_id="1")
    challenges = answer.headers.getlist("WWW-Authenticate")
    assert [challenge.partition(" ")[0] for challenge in challenges] == ["Basic", "Bearer"]
