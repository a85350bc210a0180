"""Directives whose text is read off the code: settings, commands, functions, licences."""

from __future__ import annotations

__all__ = ["setup"]

import configparser
import re
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from docutils import nodes
from docutils.statemachine import StringList
from pydantic import BaseModel
from sphinx.util.docutils import SphinxDirective

from schemas.settings import Settings
from tap.adql.functions import USER_DEFINED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parent.parent


class _Generated(SphinxDirective):
    """Parses lines of reStructuredText that the code gives."""

    def lines(self) -> Iterator[str]:
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        node = nodes.section()
        node.document = self.state.document
        self.state.nested_parse(StringList(list(self.lines())), self.content_offset, node)
        return node.children


class SettingsDirective(_Generated):
    """Every setting with its default, variable and sentence."""

    def lines(self) -> Iterator[str]:
        for section, field in Settings.model_fields.items():
            model = field.annotation
            assert isinstance(model, type) and issubclass(model, BaseModel)  # noqa: PT018, S101
            yield from (f"**[{section}]** {model.__doc__}", "")
            for name, setting in model.model_fields.items():
                default = setting.get_default(call_default_factory=True)
                shown = "empty" if default in ("", (), {}) else f"``{default}``"
                variable = f"VO_{section}__{name}".upper()
                yield f"``{section}.{name}`` (``{variable}``)"
                yield f"    {setting.description} Default: {shown}."
                yield ""


class CommandsDirective(_Generated):
    """Every command with its help."""

    def lines(self) -> Iterator[str]:
        from vo_service.cli import cli  # noqa: PLC0415  # needs the installed project

        for name, command in sorted(cli.commands.items()):
            context = click.Context(command, info_name=f"vo-service {name}")
            yield from (f"**vo-service {name}**", "", ".. code-block:: text", "")
            yield from (f"    {line}".rstrip() for line in command.get_help(context).splitlines())
            yield ""


class FunctionsDirective(_Generated):
    """Every function beyond the standard, as the capabilities say it."""

    def lines(self) -> Iterator[str]:
        for function in USER_DEFINED:
            yield f"``{function.signature}``"
            yield f"    {function.description}"
            yield ""


class LicencesDirective(_Generated):
    """Licence of each package the service runs on."""

    def lines(self) -> Iterator[str]:
        config = configparser.ConfigParser()
        config.read(ROOT / "setup.cfg")
        yield from (
            ".. list-table::",
            "   :header-rows: 1",
            "",
            "   * - package",
            "     - licence",
        )
        for line in config["options"]["install_requires"].strip().splitlines():
            name = re.split(r"[ <>=!\[]", line, maxsplit=1)[0]
            yield from (f"   * - {name}", f"     - {_licence(name)}")
        yield ""


def _licence(name: str) -> str:
    try:
        said = metadata(name)
    except PackageNotFoundError:
        return "(not installed here)"
    classified = [
        c.rpartition(" :: ")[2] for c in said.get_all("Classifier") or [] if "License" in c
    ]
    text: Any = (
        said.get("License-Expression") or "; ".join(classified) or said.get("License") or ""
    )
    return str(text).strip().splitlines()[0][:80] if text else "see its page"


def setup(app: Sphinx) -> dict[str, bool]:
    """Tell Sphinx of the directives."""
    app.add_directive("vo-settings", SettingsDirective)
    app.add_directive("vo-commands", CommandsDirective)
    app.add_directive("vo-functions", FunctionsDirective)
    app.add_directive("vo-licences", LicencesDirective)
    return {"parallel_read_safe": True}
