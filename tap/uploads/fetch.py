"""Fetches a table that UPLOAD names by URI, from public hosts only and within limits.

A name is resolved once, its addresses are checked, and the connection goes to the very address
that was checked: a name server that answers otherwise the next time changes nothing. Each redirect
is checked likewise. No proxy of the environment is asked.
"""

from __future__ import annotations

__all__ = ["FetchRules", "fetch"]

import ipaddress
import ssl
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urljoin, urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from schemas.errors import TooLargeError, UploadError
from tap.uploads.deadline import resolved

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence
    from typing import BinaryIO
    from urllib.parse import SplitResult

    from tap.uploads.deadline import Deadline

_PORTS: Final = {"http": 80, "https": 443}
_REDIRECTS: Final = {301, 302, 303, 307, 308}
_MOST_REDIRECTS: Final = 5
_PIECE: Final = 1 << 16
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class FetchRules:
    """What may be fetched.

    Attributes
    ----------
    most_bytes
        Of all files of a request.
    timeout_s
        Seconds from the first question of a request to the last byte, redirects included.
    hosts
        ``name`` or ``name:port`` of hosts that are asked although their addresses are not public.
    """

    most_bytes: int
    timeout_s: float
    hosts: tuple[str, ...] = ()


def fetch(
    uri: str, sink: BinaryIO, rules: FetchRules, deadline: Deadline, *, before: int = 0
) -> str:
    """Write a file from the web into another.

    Parameters
    ----------
    uri
        http or https.
    sink
        Where its bytes go.
    rules
        What is allowed.
    deadline
        Of all that the request fetches.
    before
        Bytes that the request has fetched already.

    Returns
    -------
    str
        MIME type that the host says.

    Raises
    ------
    UploadError
        If the address is none that may be asked, or gives no file in time.
    TooLargeError
        If the file is larger than an upload may be.
    """
    for _ in range(_MOST_REDIRECTS + 1):
        parts = _split(uri)
        address = _address(parts, rules, deadline)
        with _pool(parts, address, deadline) as pool:
            answer = _ask(pool, parts, deadline)
            try:
                if answer.status in _REDIRECTS and answer.headers.get("Location"):
                    uri = urljoin(uri, answer.headers["Location"])
                    continue
                _check(answer, uri)
                _copy(answer, sink, deadline, rules.most_bytes, before)
                return str(answer.headers.get("Content-Type", ""))
            finally:
                answer.close()
    raise UploadError(f"more than {_MOST_REDIRECTS} redirects, the last to {_shown(uri)}")


def _shown(uri: str) -> str:
    return repr(uri if len(uri) <= 120 else uri[:120] + "...")


def _split(uri: str) -> SplitResult:
    expected = "expected http://HOST/... or https://HOST/..."
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError as error:
        raise UploadError(f"found the URI {_shown(uri)} ({error}), {expected}") from error
    if parts.scheme not in _PORTS or not parts.hostname or port == 0:
        raise UploadError(f"found the URI {_shown(uri)}, {expected} or param:PART")
    if parts.username is not None or parts.password is not None:
        raise UploadError(f"found a URI with a user's name, {expected}")
    if not uri.isascii() or any(letter <= " " or letter == "\x7f" for letter in uri):
        raise UploadError(f"found the URI {_shown(uri)}, {expected} with other characters encoded")
    return parts


def _address(parts: SplitResult, rules: FetchRules, deadline: Deadline) -> str:
    """The address to connect to: the first of the host's, of which all must be allowed."""
    host = parts.hostname or ""
    port = parts.port or _PORTS[parts.scheme]
    addresses = resolved(host, port, deadline)
    if host not in rules.hosts and f"{host}:{port}" not in rules.hosts:
        _check_public(host, addresses)
    return addresses[0]


def _check_public(host: str, addresses: Sequence[str]) -> None:
    for address in addresses:
        if not _is_public(ipaddress.ip_address(address.partition("%")[0])):
            raise UploadError(
                f"the host {host[:120]!r} has an address that is not public ({address}): expected "
                "one of the internet, or a host that the operator allows (limits.upload_hosts)"
            )


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        inner = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if address in _NAT64:
            inner.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if any(each is not None and not _is_public(each) for each in inner):
            return False
        if address.ipv4_mapped is not None:
            return True
        if address.is_site_local:
            return False
    return address.is_global and not (
        address.is_multicast or address.is_reserved or address.is_unspecified
    )


def _pool(parts: SplitResult, address: str, deadline: Deadline) -> urllib3.HTTPConnectionPool:
    """Connections to one address, where the host's certificate is still the name's."""
    left = deadline.left()
    port = parts.port or _PORTS[parts.scheme]
    timeout = urllib3.Timeout(connect=min(left, 10.0), read=left)
    if parts.scheme == "http":
        plain = urllib3.HTTPConnectionPool(address, port, timeout=timeout, retries=False)
        plain.ConnectionCls = partial(_Watched, deadline=deadline)  # type: ignore[assignment]  # it is called alone
        return plain
    pool = urllib3.HTTPSConnectionPool(
        address,
        port,
        timeout=timeout,
        retries=False,
        ssl_context=ssl.create_default_context(),
        server_hostname=parts.hostname,
        assert_hostname=parts.hostname,
    )
    pool.ConnectionCls = partial(_WatchedTLS, deadline=deadline)  # type: ignore[assignment]  # it is called alone
    return pool


class _Watching:
    """A connection of urllib3 whose socket the deadline may shut."""

    def __init__(self, *args: Any, deadline: Deadline, **kwargs: Any) -> None:  # noqa: ANN401  # urllib3's
        super().__init__(*args, **kwargs)
        self._deadline = deadline

    def _new_conn(self) -> socket.socket:
        made: socket.socket = super()._new_conn()  # type: ignore[misc]  # of the class beside it
        self._deadline.watch(made)
        return made


class _Watched(_Watching, HTTPConnection):
    """Plain HTTP, watched."""


class _WatchedTLS(_Watching, HTTPSConnection):
    """HTTPS, watched."""


def _ask(
    pool: urllib3.HTTPConnectionPool, parts: SplitResult, deadline: Deadline
) -> urllib3.BaseHTTPResponse:
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {
        "Host": parts.netloc,
        "User-Agent": "vo-service",
        "Accept": "*/*",
        "Accept-Encoding": "identity",
    }
    try:
        return pool.urlopen(
            "GET",
            path,
            headers=headers,
            redirect=False,
            preload_content=False,
            decode_content=False,
        )
    except urllib3.exceptions.NewConnectionError as error:
        raise UploadError(f"the host {parts.hostname} cannot be reached") from error
    except urllib3.exceptions.TimeoutError as error:
        raise UploadError(f"the host {parts.hostname} did not answer in time") from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        deadline.left()  # it may be the cause
        raise UploadError(f"the host {parts.hostname} cannot be reached") from error


def _check(answer: urllib3.BaseHTTPResponse, uri: str) -> None:
    if answer.status != 200:
        message = f"{_shown(uri)} answers with status {answer.status}, expected 200 and a table"
        raise UploadError(message)
    encoding = answer.headers.get("Content-Encoding", "identity")
    if encoding != "identity":
        raise UploadError(f"{_shown(uri)} comes in the encoding {encoding[:40]!r}, expected none")


def _copy(
    answer: urllib3.BaseHTTPResponse,
    sink: BinaryIO,
    deadline: Deadline,
    most: int,
    before: int,
) -> None:
    said = answer.headers.get("Content-Length", "")
    too_large = TooLargeError(
        f"what is behind the request's URIs is larger than the {most} bytes that an upload may "
        "have (limits.upload_bytes)"
    )
    if said.isdigit() and before + int(said) > most:
        raise too_large
    come = 0
    try:
        while True:
            piece = answer.read1(_PIECE)
            deadline.left()  # what it has cut looks like an end
            if not piece:
                break
            come += len(piece)
            if before + come > most:
                raise too_large
            sink.write(piece)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        deadline.left()
        raise UploadError(f"the file broke off after {come} bytes") from error
    if said.isdigit() and come < int(said):
        raise UploadError(f"the file broke off after {come} of {said} bytes")
