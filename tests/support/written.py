"""What the documentation tells people to type: commands and queries, as they stand there."""

from __future__ import annotations

__all__ = ["Written", "commands", "queries"]

import re
import shlex
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT: Final = Path(__file__).resolve().parents[2]
_QUERY: Final = re.compile(r"SELECT\s", re.IGNORECASE)
_QUOTED: Final = re.compile(r'"(SELECT\s[^"]+)"', re.IGNORECASE)
_INLINE: Final = re.compile(r"``?(vo-service [^`]+)``?")
_PROGRAM: Final = "vo-service"


@dataclass(frozen=True)
class Written:
    """Something to type, and where it is written."""

    text: str
    place: str


def queries() -> list[Written]:
    """All ADQL: blocks that begin with SELECT, and queries in quotes within other blocks."""
    return list(_queries())


def commands() -> list[tuple[list[str], Written]]:
    """All command lines of ``vo-service``, in blocks and in the text, as words after the name."""
    return list(_commands())


def _queries() -> Iterator[Written]:
    for place, block in _blocks():
        if _QUERY.match(block):
            for part in re.split(r"\n\s*\n(?=SELECT\s)", block, flags=re.IGNORECASE):
                yield Written(part, place)
        else:
            flat = re.sub(r'"\s*\n\s*"', "", block)  # a Python text in several parts
            for found in _QUOTED.finditer(flat):
                yield Written(found[1], place)


def _commands() -> Iterator[tuple[list[str], Written]]:
    for place, block in _blocks():
        yield from _lines(place, block)
    for path in _files():
        text = path.read_text(encoding="utf-8")
        for found in _INLINE.finditer(text):
            line = re.sub(r"\s+", " ", found[1])
            if not line.endswith("..."):
                yield _words(line), Written(line, str(path.relative_to(_ROOT)))


def _lines(place: str, block: str) -> Iterator[tuple[list[str], Written]]:
    """Commands of a block; one goes on over ends of lines that are escaped or in quotes."""
    lines = block.replace("\\\n", " ").splitlines()
    while lines:
        line = lines.pop(0)
        if not re.match(rf"(\$ |\S*/)?{_PROGRAM}\s", line):
            continue
        while lines and _open(line):
            line += "\n" + lines.pop(0)
        yield _words(line), Written(line, place)


def _open(line: str) -> bool:
    try:
        shlex.split(line, comments=True)
    except ValueError:
        return True
    return False


def _words(line: str) -> list[str]:
    words = shlex.split(line, comments=True)
    start = next(n for n, word in enumerate(words) if word.endswith(_PROGRAM))
    ends = [n for n, word in enumerate(words) if word in {"|", ">", "&&", ";", "&"}]
    return words[start + 1 : min(ends, default=len(words))]


def _blocks() -> Iterator[tuple[str, str]]:
    """Literal blocks of all files: indented in reStructuredText, fenced in Markdown."""
    for path in _files():
        text = path.read_text(encoding="utf-8")
        place = str(path.relative_to(_ROOT))
        if path.suffix == ".md":
            found = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        else:
            found = re.findall(r"^(?:    .*\n(?:\s*\n)*)+", text, re.MULTILINE)
        for block in found:
            yield place, textwrap.dedent(block).strip()


def _files() -> list[Path]:
    decisions = _ROOT / "docs" / "decisions"  # what was thought then
    rst = [p for p in sorted((_ROOT / "docs").rglob("*.rst")) if decisions not in p.parents]
    return [_ROOT / "README.md", _ROOT / "deploy" / "README.md", *rst]
