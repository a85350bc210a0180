"""Whose a job is: an account with a token, or whoever holds an anonymous cookie."""

from __future__ import annotations

__all__ = ["COOKIE", "Accounts", "Caller", "check_may_use"]

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert as upsert

from schemas.errors import AuthenticationError, AuthorizationError, NotFoundError, UsageError
from schemas.jobs import Account
from vo_service.clients import client_of

if TYPE_CHECKING:
    from flask import Request

    from reduction.archive import Archive
    from schemas.jobs import Job

COOKIE: Final = "vo_owner"
"""Name of the cookie by which anonymous callers find their jobs again."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_ACCOUNT: Final = "account:"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    Attributes
    ----------
    owner
        Whose jobs he sees in his list.
    client
        Whose limits his jobs count against: the account, or the network address
        (:func:`vo_service.clients.client_of`).
    new_cookie
        To be given to him with a job he makes; empty where he has one, or an account.
    """

    owner: str
    client: str
    new_cookie: str = ""


class Accounts:
    """The accounts of an archive.

    Parameters
    ----------
    archive
        Whose database they are in.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def add(self, name: str) -> str:
        """Make an account, or give an old one a new token; the token, which nothing keeps.

        Raises
        ------
        UsageError
            If the name cannot be one.
        """
        if not _NAME.fullmatch(name):
            message = (
                f"account name: found {name!r}, expected 1 to 64 letters, digits and . _ @ -, "
                "beginning with a letter or digit"
            )
            raise UsageError(message)
        token = secrets.token_urlsafe(32)
        values = {"name": name, "token_hash": _hash(token)}
        statement = upsert(Account).values(**values)
        with self._archive.transaction() as session:
            session.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))
        return token

    def names(self) -> list[str]:
        """Names of all accounts, in order."""
        with self._archive.transaction() as session:
            return list(session.scalars(select(Account.name).order_by(Account.name)))

    def remove(self, name: str) -> None:
        """Take an account away; its token is good for nothing from now on.

        Its jobs stay until they are destroyed in their time, and nobody can use them; an account
        of that name has them again.

        Raises
        ------
        NotFoundError
            If there is none of that name.
        """
        with self._archive.transaction() as session:
            statement = delete(Account).where(Account.name == name).returning(Account.name)
            if session.scalar(statement) is None:
                message = f"there is no account {name!r}: `vo-service account list` names them"
                raise NotFoundError(message)

    def caller(self, request: Request) -> Caller:
        """Who makes a request.

        A token comes as password of HTTP Basic, with the account's name, or as Bearer token.

        Raises
        ------
        AuthenticationError
            If the request has a name or a token that are nobody's.
        """
        given = request.authorization
        if given is not None:
            token = given.token if given.type == "bearer" else given.password
            name = self._name_of(token or "")
            if name is None or (given.type == "basic" and given.username != name):
                message = (
                    "the account's name or token is wrong: `vo-service account add` gives one"
                )
                raise AuthenticationError(message)
            return Caller(_ACCOUNT + name, _ACCOUNT + name)
        if "Authorization" in request.headers:
            message = "the Authorization header cannot be read: expected Basic or Bearer"
            raise AuthenticationError(message)
        cookie = request.cookies.get(COOKIE, "")
        new = "" if cookie else secrets.token_urlsafe(16)
        owner = f"cookie:{_hash(cookie or new)}"
        return Caller(owner, f"address:{client_of(request.remote_addr)}", new)

    def _name_of(self, token: str) -> str | None:
        with self._archive.transaction() as session:
            return session.scalar(select(Account.name).where(Account.token_hash == _hash(token)))


def check_may_use(caller: Caller, job: Job) -> None:
    """See that a caller may use a job whose address he knows.

    A job without a named owner is his who knows its address, which nobody can guess.

    Raises
    ------
    AuthenticationError, AuthorizationError
        If it is another account's (UWS-1.1 3).
    """
    if not job.owner.startswith(_ACCOUNT) or job.owner == caller.owner:
        return
    if caller.owner.startswith(_ACCOUNT):
        message = "the job belongs to another account"
        raise AuthorizationError(message)
    message = "the job belongs to an account: send its name and token"
    raise AuthenticationError(message)


def _hash(token: str) -> str:
    """Tokens are long and random: a plain hash of one cannot be turned back."""
    return hashlib.sha256(token.encode()).hexdigest()
