"""What the documentation tells people to type can be typed: queries run, commands exist."""

from __future__ import annotations

import re
from copy import copy

import click
import pytest
import pyvo
from astropy.table import Table

from reduction.registry import Registry
from tests.support.written import commands, queries
from vo_service.cli import cli

CLASSES = Registry.load().classes
QUERIES = queries()
COMMANDS = commands()
IN_WORDS = re.compile(r"[A-Z_]+|\.\.\.")


def test_the_documentation_has_queries_and_commands():
    assert len(QUERIES) > 10
    assert len(COMMANDS) > 40
    assert {"README.md", "docs/guide/uploads.rst"} <= {query.place for query in QUERIES}


def test_every_query_runs(observatory):
    service = pyvo.dal.TAPService(observatory.url + "/tap")
    mine = Table({"name": ["a"], "ra": [observatory.ra], "dec": [observatory.dec]})
    for query in QUERIES:
        uploads = {"mine": mine} if "TAP_UPLOAD" in query.text else {}
        try:
            service.run_sync(query.text, uploads=uploads)
        except pyvo.dal.DALQueryError as error:
            pytest.fail(f"{query.place}: {query.text}\n{error}")


def _command(words):
    """The command that words begin with, its context, and the words after its name."""
    command, context = cli, click.Context(cli, info_name="vo-service")
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, command, words = command.resolve_command(context, words)
        context = click.Context(command, info_name=name, parent=context)
    return command, context, words


@pytest.mark.parametrize(("words", "written"), COMMANDS, ids=lambda value: str(value)[:80])
def test_every_command_exists_with_its_options_and_values(words, written):
    command, context, rest = _command(words)
    if not rest or rest == ["--help"]:
        return  # it is spoken of
    if "`" in written.text or any(IN_WORDS.fullmatch(word) for word in rest):
        command.make_parser(context).parse_args(list(rest))
        return
    params = _anywhere(command).make_context(command.name, list(rest)).params
    if params.get("class_name") is not None:
        assert params["class_name"] in CLASSES
    for key in params.get("settings", ()):
        name, _, parameter = key.partition(".")
        assert parameter in CLASSES[name].Parameters.__annotations__, key


def _anywhere(command):
    """The command, with files that need not be there."""
    same = copy(command)
    same.params = [copy(param) for param in command.params]
    for param in same.params:
        if isinstance(param.type, click.Path):
            param.type = click.STRING
    return same


def test_a_command_that_does_not_exist_would_be_found():
    with pytest.raises(click.UsageError):
        _command(["whyever", "SourceList"])
    command, context, rest = _command(["why", "SourceList", "--chap", "ccd50"])
    with pytest.raises(click.UsageError):
        command.make_parser(context).parse_args(rest)
