"""ADQL text to tree: the grammar file run by Lark, and what is wrong with a text that fails it."""

from __future__ import annotations

__all__ = ["parse"]

from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from lark import Lark, Token
from lark.exceptions import UnexpectedCharacters, UnexpectedToken

from schemas.errors import QuerySyntaxError
from tap.adql.builder import TreeBuilder
from tap.adql.hints import hint
from tap.adql.words import terminal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tap.adql.nodes import Query

#: Parentheses in parentheses that are still read: no question needs more, a bomb does.
MAX_DEPTH: Final = 50
#: Characters of a query that are still read.
MAX_LENGTH: Final = 1_000_000

#: Characters of a word that is shown in a message.
_SHOWN: Final = 60
_SPELLED: Final = {
    "REGULAR_IDENTIFIER": "a name",
    "DELIMITED_IDENTIFIER": "a name",
    "STRING": "a string",
    "LITERAL_LIST": "`(`",
    "UNSIGNED_INTEGER": "an integer",
    "UNSIGNED_DECIMAL": "a number",
    "APPROXIMATE": "a number",
    "HEXADECIMAL": "a number",
    "FUNCTION": "a function",
    "GEOMETRY": "a geometry",
    "SET_FUNCTION": "a function",
    "COUNT": "a function",
    "CAST": "a function",
    "COMPARISON": "a comparison",
    "CONCATENATION": "an operator",
    "BITWISE_OR": "an operator",
    "BITWISE_XOR": "an operator",
    "BITWISE_AND": "an operator",
    "BITWISE_NOT": "an operator",
    "PLUS": "an operator",
    "MINUS": "an operator",
    "SOLIDUS": "an operator",
    "ASTERISK": "`*`",
    "TRUE": "a value",
    "FALSE": "a value",
    "NULL": "a value",
    "LPAR": "`(`",
    "RPAR": "`)`",
    "COMMA": "`,`",
    "DOT": "`.`",
    "$END": "the end of the query",
}


def _retype(token: Token) -> Token:
    token.type = terminal(token) or token.type
    return token


@lru_cache(maxsize=1)
def _lark() -> Lark:
    return Lark(
        files("tap.adql").joinpath("grammar.lark").read_text("utf-8"),
        parser="lalr",
        lexer="basic",
        transformer=TreeBuilder(),
        lexer_callbacks={"REGULAR_IDENTIFIER": _retype},
        maybe_placeholders=True,
        keep_all_tokens=False,
    )


def parse(text: str) -> Query:
    """Read an ADQL query.

    Raises
    ------
    QuerySyntaxError
        With line and column, what was found there and what was expected.

    Notes
    -----
    ADQL-2.1 appendix A; where the grammar differs is said at its head.
    """
    if len(text) > MAX_LENGTH:
        message = f"the query has {len(text)} characters, expected at most {MAX_LENGTH}"
        raise QuerySyntaxError(message)
    try:
        if text.count("(") > MAX_DEPTH:
            _check_depth(_lark().lex(text))
        query: Query = _lark().parse(text)  # type: ignore[assignment]  # made by TreeBuilder
    except UnexpectedCharacters as error:
        raise _unreadable(error, text) from None
    except UnexpectedToken as error:
        raise _unexpected(error, text) from None
    return query


def _check_depth(tokens: Iterable[Token]) -> None:
    depth = 0
    for token in tokens:
        depth += (token.type == "LPAR") - (token.type == "RPAR")
        if depth > MAX_DEPTH:
            message = f"found more than {MAX_DEPTH} nested parentheses, expected fewer"
            raise QuerySyntaxError(message, line=token.line, column=token.column)


def _unreadable(error: UnexpectedCharacters, text: str) -> QuerySyntaxError:
    found = str(error.char)
    closed = {"'": "a closing `'`", '"': 'a closing `"`'}
    if found in closed:
        message = f"found {found} that opens a text without end, expected {closed[found]}"
    else:
        message = f"found {found!r}, expected a word, a number, a string or an operator of ADQL"
        place: int = error.pos_in_stream  # type: ignore[assignment]  # Lark says None
        message += _hinted(hint(text, place, found, comma=False))
    return QuerySyntaxError(message, line=error.line, column=error.column)


def _unexpected(error: UnexpectedToken, text: str) -> QuerySyntaxError:
    token = error.token
    accepted = error.accepts or error.expected
    expected = _expected(accepted)
    if token.type == "$END":
        line, column = (token.end_line or 1, token.end_column or 1) if token.line else (1, 1)
        message = f"found the end of the query, expected {expected}"
        return QuerySyntaxError(message, line=line, column=column)
    shown = token if len(token) <= _SHOWN else f"{token[:_SHOWN]}..."
    found = f"`{shown}`"
    if terminal(token) and token.type not in {"STRING", "DELIMITED_IDENTIFIER"}:
        found += " (a reserved word"
        found += f': as a name it is written "{token}")' if "a name" in expected else ")"
    message = f"found {found}, expected {expected}"
    message += _hinted(hint(text, token.start_pos or 0, token, comma="COMMA" in accepted))
    return QuerySyntaxError(message, line=token.line, column=token.column)


def _hinted(said: str) -> str:
    return f"; {said}" if said else ""


def _expected(terminals: Iterable[str]) -> str:
    words = sorted({_SPELLED.get(name, name) for name in terminals} - {"SEMICOLON", "RESERVED"})
    plain = [word for word in words if word.islower() or word.startswith("`")]
    if len(plain) > 4 and {"a name", "a string", "a number"} <= set(plain):
        plain = ["a value" if word == "a number" else word for word in plain]
        plain = sorted(set(plain) - {"a function", "a geometry", "an integer", "a string"})
    return " or ".join(plain + [word for word in words if word.isupper()]) or "nothing more"
