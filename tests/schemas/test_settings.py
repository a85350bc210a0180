from __future__ import annotations

import pytest

from schemas.errors import SettingsError
from schemas.settings import load_settings

LONGEST = "2000000"


@pytest.mark.parametrize(
    "name",
    [
        "VO_LIMITS__SYNC_TIMEOUT_S",
        "VO_LIMITS__SHORT_TIMEOUT_S",
        "VO_LIMITS__MAKE_BUDGET_S",
        "VO_LIMITS__UPLOAD_TIMEOUT_S",
        "VO_JOBS__SHORT_S",
        "VO_JOBS__DURATION_HARD_S",
        "VO_JOBS__WAIT_S",
    ],
)
def test_times_are_what_the_database_can_count(monkeypatch, name):
    monkeypatch.delenv("VO_SETTINGS", raising=False)
    monkeypatch.setenv(name, LONGEST)
    load_settings()
    for wrong in ("2000001", "1e300", "inf", "nan", "-1"):
        monkeypatch.setenv(name, wrong)
        with pytest.raises(SettingsError) as caught:
            load_settings()
        assert name.lower().removeprefix("vo_").replace("__", ".") in str(caught.value)


@pytest.mark.parametrize("name", ["VO_LIMITS__SYNC_TIMEOUT_S", "VO_LIMITS__SHORT_TIMEOUT_S"])
def test_no_statement_has_less_than_a_millisecond_which_would_mean_any_time(monkeypatch, name):
    monkeypatch.delenv("VO_SETTINGS", raising=False)
    monkeypatch.setenv(name, "0.0009")
    with pytest.raises(SettingsError, match=r"greater than or equal to 0\.001"):
        load_settings()


@pytest.mark.parametrize(
    ("default", "hard"),
    [
        ("jobs__duration_default_s", "jobs__duration_hard_s"),
        ("jobs__retention_default_s", "jobs__retention_hard_s"),
        ("limits__maxrec_default", "limits__maxrec_hard"),
    ],
)
def test_what_holds_by_default_is_within_the_limit(monkeypatch, default, hard):
    monkeypatch.delenv("VO_SETTINGS", raising=False)
    monkeypatch.setenv(f"VO_{default.upper()}", "11")
    monkeypatch.setenv(f"VO_{hard.upper()}", "11")
    load_settings()
    monkeypatch.setenv(f"VO_{hard.upper()}", "10")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    section, _, name = default.partition("__")
    limit = hard.partition("__")[2]
    assert f"{section}: " in str(caught.value)
    assert f"{name} is 11 and {limit} is 10: expected {name} <= {limit}" in str(caught.value)
