"""Floor 3, adapters: the Health port: one GET to an address that a stack has printed. The address is not trusted.

A template's output decides the URL, so this room must never reach what a stranger could name: only hosts of the
allow list, only https (http to loopback alone), never a private, link-local or metadata address, no redirect, no
proxy, no netrc. The name is resolved once and the connection is made to that very address, so that a second
answer of the name server cannot lead elsewhere.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import SplitResult, urlsplit

from pipeline.ports import HealthReading

__all__ = ["BODY_LIMIT", "HttpHealth", "host_matches"]

BODY_LIMIT = 64 * 1024
"""bytes; the rest of an answer is not read"""

_CONNECT_SECONDS = 5.0
_READ_SECONDS = 10.0
_TOTAL_SECONDS = 15.0
_ADDRESSES_TRIED = 3

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve: TypeAlias = Callable[[str, int], Sequence[str]]

_HOST = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_EMBEDDING = (
    # prefix, how far the embedded IPv4 address is from the right end, in bits
    (ipaddress.IPv6Network("64:ff9b::/96"), 0),  # NAT64, RFC 6052
    (ipaddress.IPv6Network("2002::/16"), 80),  # 6to4, RFC 3056
    (ipaddress.IPv6Network("::/96"), 0),  # IPv4-compatible, RFC 4291
)
_LOCAL_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")
"""RFC 8215: leads wherever the local network wants; older Pythons call it global."""


class _Refused(Exception):
    """The address may not be called; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Route:
    """A checked URL. addresses: to be connected to, in order; host: as the server shall see it."""

    scheme: str
    host: str
    port: int
    path: str
    addresses: tuple[str, ...]


class HttpHealth:
    """resolve: (host, port) to IP addresses as text, getaddrinfo where none is given. Safe from many threads."""

    def __init__(self, resolve: Resolve | None = None) -> None:
        self._resolve = resolve or _look_up

    def call(self, url: str, expect: int, allowed_hosts: tuple[str, ...]) -> HealthReading:
        """See pipeline.ports.Health. Hosts: exact names, or `*.example.com` for any name below example.com."""
        try:
            route = self._route(url, allowed_hosts)
        except _Refused as refusal:
            return _dark(f"health address refused: {refusal}")
        reading = _dark("no address")
        for address in route.addresses[:_ADDRESSES_TRIED]:
            reading = _get(route, address, expect)
            if reading.readable:
                break
        return reading

    def _route(self, url: str, allowed_hosts: tuple[str, ...]) -> _Route:
        parts, host, port = _parsed(url)
        if not any(host_matches(pattern, host) for pattern in allowed_hosts):
            raise _Refused(f"{_printable(host)} is not in the allow list ([health] allow of fleet.toml)")
        local = _is_loopback_name(host)
        addresses = self._addresses(host, port, local)
        if parts.scheme == "http" and not all(_plain(a).is_loopback for a in addresses):
            raise _Refused("http is for loopback addresses only; use https")
        path = parts.path or "/"
        query = f"?{parts.query}" if parts.query else ""
        return _Route(
            scheme=parts.scheme,
            host=host,
            port=port,
            path=path + query,
            addresses=tuple(str(a) for a in addresses),
        )

    def _addresses(self, host: str, port: int, local: bool) -> list[Address]:
        """Every one of them must be allowed: a name that mixes good and bad ones is not trusted at all."""
        literal = _literal(host)
        if literal is not None:
            found = [literal]
        elif local:
            # RFC 6761, section 6.3: such names are loopback, and no name server is asked.
            found = [ipaddress.ip_address("127.0.0.1")]
        else:
            try:
                found = [ipaddress.ip_address(text.split("%")[0]) for text in self._resolve(host, port)]
            except (OSError, ValueError):
                raise _Refused(f"{host} has no address") from None
        if not found:
            raise _Refused(f"{host} has no address")
        for address in found:
            plain = _plain(address)
            if not (plain.is_loopback and local) and not _is_public(plain):
                raise _Refused(f"{host} leads to {address}, which is no public address")
        return found


def host_matches(pattern: str, host: str) -> bool:
    """`*.example.com` matches every name below example.com, not itself; a bare `*` matches nothing."""
    pattern = pattern.strip().lower().rstrip(".")
    if pattern.startswith("*."):
        return _literal(host) is None and len(pattern) > 2 and host.endswith(pattern[1:])
    return "*" not in pattern and pattern.strip("[]") == host


def _parsed(url: str) -> tuple[SplitResult, str, int]:
    if not url.isascii() or any(c.isspace() or not c.isprintable() or c == "\\" for c in url):
        raise _Refused("it holds a character that has no place in a URL")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _Refused("it is no URL") from None
    if parts.scheme not in ("http", "https"):
        raise _Refused("only https is called")
    if "@" in parts.netloc:
        raise _Refused("it carries a user name")
    host = (parts.hostname or "").rstrip(".")
    if _literal(host) is None and (not _HOST.fullmatch(host) or _looks_numeric(host)):
        raise _Refused("its host is no host name")
    return parts, host, port or (443 if parts.scheme == "https" else 80)


def _looks_numeric(host: str) -> bool:
    """2130706433, 0x7f.1 and 127.1 are addresses to the C library, and a way around every check of names."""
    return re.fullmatch(r"(0x[0-9a-f]*|[0-9]+)", host.rsplit(".", 1)[-1]) is not None


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_loopback_name(host: str) -> bool:
    literal = _literal(host)
    if literal is not None:
        return literal.is_loopback
    return host == "localhost" or host.endswith(".localhost")


def _plain(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one, where there is one."""
    if isinstance(address, ipaddress.IPv4Address) or address.is_loopback:
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    for network, shift in _EMBEDDING:
        if address in network:
            return ipaddress.IPv4Address((int(address) >> shift) & 0xFFFFFFFF)
    return address


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address in _LOCAL_NAT64:
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _look_up(host: str, port: int) -> Sequence[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(row[4][0]) for row in found))


# --- the call --------------------------------------------------------------------------------------


def _get(route: _Route, address: str, expect: int) -> HealthReading:
    import requests
    from requests.exceptions import RequestException
    from urllib3.exceptions import HTTPError

    deadline = time.monotonic() + _TOTAL_SECONDS
    where = f"[{address}]" if ":" in address else address
    default = 443 if route.scheme == "https" else 80
    host = f"[{route.host}]" if ":" in route.host else route.host
    with requests.Session() as session:
        session.trust_env = False
        session.mount("https://", _pinned(route.host))
        try:
            answer = session.get(
                f"{route.scheme}://{where}:{route.port}{route.path}",
                headers={
                    "Host": host if route.port == default else f"{host}:{route.port}",
                    "User-Agent": "tidegate-health",
                    "Accept-Encoding": "identity",
                },
                allow_redirects=False,
                stream=True,
                timeout=(_CONNECT_SECONDS, _READ_SECONDS),
            )
            with answer:
                _read_some(answer.raw, deadline)
        except (RequestException, HTTPError, OSError, ValueError) as fault:
            return _dark(f"GET {route.host}{route.path} failed: {_printable(_why(fault))}")
    return _judged(route, answer.status_code, expect)


def _pinned(host: str) -> Any:
    """TLS to an address, with the name that the certificate has to carry."""
    from requests.adapters import HTTPAdapter

    class Pinned(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
            super().init_poolmanager(*args, server_hostname=host, **kwargs)

    return Pinned(max_retries=0)


def _read_some(raw: Any, deadline: float) -> None:
    """Reads at most BODY_LIMIT bytes; a body that breaks off is an error, one that drips ends at the deadline."""
    left = BODY_LIMIT
    while left > 0:
        if time.monotonic() > deadline:
            raise TimeoutError("the answer took too long")
        chunk = raw.read1(min(left, 8192))
        if not chunk:
            return
        left -= len(chunk)


def _judged(route: _Route, status: int, expect: int) -> HealthReading:
    healthy = status == expect
    note = ", and redirects are not followed" if 300 <= status < 400 and not healthy else ""
    return HealthReading(
        healthy=healthy,
        readable=True,
        reason=f"GET {route.host}{_printable(route.path)} answered {status}"
        + ("" if healthy else f", expected {expect}{note}"),
    )


def _why(fault: Exception) -> str:
    """The kind of failure; the library's own text quotes objects and addresses."""
    seen: BaseException = fault
    while seen.__cause__ is not None or seen.__context__ is not None:
        seen = seen.__cause__ or seen.__context__ or seen
    text = seen.strerror if isinstance(seen, OSError) and seen.strerror else ""
    return f"{type(seen).__name__} {text}".strip()


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)[:200]


def _dark(reason: str) -> HealthReading:
    return HealthReading(healthy=False, readable=False, reason=reason)
