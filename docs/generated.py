"""Directives whose text is read off the code: settings, commands, classes, flags, licences ..."""

from __future__ import annotations

__all__ = ["setup"]

import configparser
import inspect
import re
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from docutils import nodes
from docutils.statemachine import StringList
from pydantic import BaseModel
from sphinx.util.docutils import SphinxDirective

from reduction.declared import declared_parameters
from reduction.published import flagged_classes
from reduction.quality import flags_of
from reduction.registry import Registry
from reduction.steps.sources import SourceFlag
from schemas.settings import Settings
from tap.adql.functions import USER_DEFINED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sphinx.application import Sphinx

    from reduction.attributes import Attribute
    from reduction.declared import Declared
    from reduction.depends import Slot

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


class TargetsDirective(_Generated):
    """Every class of targets: what it is made from, what it keeps, its parameters and defaults."""

    def lines(self) -> Iterator[str]:
        registry = Registry.load()
        for cls in sorted(registry.targets(), key=lambda cls: cls.__name__):
            yield from (f".. _class-{cls.__name__}:", "")
            yield from _heading(cls.__name__)
            yield from (*inspect.cleandoc(cls.__doc__ or "").splitlines(), "")
            words = cls.ANCHOR.value.replace("_", " ")
            yield f"One for each {words}, wherever there is a {' or '.join(cls.ANCHOR_CLASSES)}."
            yield f"Recipe version {cls.VERSION}. Expected to take {cls.COST_S:g} s per million"
            yield "pixels, until the archive has made some and knows better."
            yield ""
            yield from _table("input", "of class", "", map(_slot, cls.SLOTS.values()))
            yield from _table("attribute", "unit", "", map(_attribute, cls.ATTRIBUTES))
            known = declared_parameters(cls.Parameters).values()
            yield from _table("parameter", "default", "", map(_parameter, known))
            flags = ((f.name, str(f.bit), f.sentence) for f in flags_of(cls.Flags))
            yield from _table("flag", "bit", "", flags)


class ParametersDirective(_Generated):
    """Every process parameter of every class, those of raw frames too."""

    def lines(self) -> Iterator[str]:
        for name, cls in sorted(Registry.load().classes.items()):
            parameters = getattr(cls, "Parameters", None)
            if parameters is not None and declared_parameters(parameters):
                yield from _heading(name)
                yield from (*inspect.cleandoc(parameters.__doc__ or "").splitlines(), "")
                for item in declared_parameters(parameters).values():
                    yield from _told(item)


class FlagsDirective(_Generated):
    """Every bit of every class's quality flags."""

    def lines(self) -> Iterator[str]:
        for cls in flagged_classes(Registry.load()):
            yield from _heading(cls.__name__)
            flags = ((f.name, str(f.bit), f.sentence) for f in flags_of(cls.Flags))
            yield from _table("flag", "bit", "", flags)


class SourceFlagsDirective(_Generated):
    """Every bit of the flags of sources."""

    def lines(self) -> Iterator[str]:
        flags = ((f.name, str(f.bit), f.sentence) for f in flags_of(SourceFlag))
        yield from _table("flag", "bit", "", flags)


def _heading(title: str) -> tuple[str, ...]:
    return f".. rubric:: {title}", ""


def _table(*words: Any) -> Iterator[str]:  # noqa: ANN401  # three headings, and rows of three
    *headings, rows = words
    known = list(rows)
    if not known:
        return
    yield from (".. list-table::", "   :header-rows: 1", "   :widths: 38 20 42", "")
    for first, second, third in [headings, *known]:
        yield from (f"   * - {_cell(first)}", f"     - {_cell(second)}", f"     - {_cell(third)}")
    yield ""


def _cell(text: str) -> str:
    """Text as it is, whatever marks it holds."""
    return re.sub(r"([*_`|\\])", r"\\\1", text)


def _slot(slot: Slot) -> tuple[str, str, str]:
    said = slot.kind.value.replace("_", " ")
    said += f", at least {slot.at_least}" if slot.at_least > 1 else ""
    said += "" if slot.at_least else ", optional"
    said += f", where {slot.when} is corrected" if slot.when else ""
    said += f", where there is no {' or '.join(slot.unless)}" if slot.unless else ""
    return slot.name, " or ".join(slot.classes), said


def _attribute(item: Attribute) -> tuple[str, str, str]:
    return item.name, item.unit, item.description


def _parameter(item: Declared) -> tuple[str, str, str]:
    unit = f" {item.limits.unit}" if item.limits.unit else ""
    return item.name, item.default_words + unit, item.limits.description


def _told(item: Declared) -> Iterator[str]:
    """A parameter as an entry of a list: type, unit, meaning, default and range."""
    kind = ", ".join(words for words in (item.type, item.limits.unit) if words)
    yield f"``{item.name}`` ({_cell(kind)})"
    said = [f"Default: {item.default_words}."]
    said += (
        [f"{'Choices' if item.limits.choices else 'Range'}: {item.range}."] if item.range else []
    )
    yield f"    {_cell(item.limits.description)}. {_cell(' '.join(said))}"
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
    app.add_directive("vo-targets", TargetsDirective)
    app.add_directive("vo-parameters", ParametersDirective)
    app.add_directive("vo-flags", FlagsDirective)
    app.add_directive("vo-source-flags", SourceFlagsDirective)
    return {"parallel_read_safe": True}
