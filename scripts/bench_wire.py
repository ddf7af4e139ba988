"""The bench's HTTP: requests as Call, answers in AWS's protocols, keep-alive connections. Standard library only."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol
from urllib.parse import parse_qsl

SCOPE = re.compile(r"Credential=([^/]+)/[0-9]{8}/([a-z0-9-]+)/([a-z0-9-]+)/")
HOME = "111111111111"
"""The account of whoever signs with a long-lived key."""


@dataclass(frozen=True)
class Call:
    key: str
    region: str
    service: str
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @cached_property
    def params(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    @property
    def account(self) -> str:
        """Its own, as the key tells that AssumeRole gave out."""
        return self.key.removeprefix("ASIA")[:12] if self.key.startswith("ASIA") else HOME


Answer = tuple[int, str, bytes]


class Answering(Protocol):
    """What a connection needs of the cloud behind it. latency: seconds before every answer."""

    latency: float

    def answer(self, call: Call) -> Answer: ...

    def connected(self, kind: str, by: int) -> None:
        """by: 1 at a connection's first request, -1 at its end. kind: service and Region, or `health`."""
        ...


def xml(action: str, inner: str) -> Answer:
    text = f"<{action}Response><{action}Result>{inner}</{action}Result></{action}Response>"
    return 200, "text/xml", text.encode()


def error(code: str, message: str) -> Answer:
    text = f"<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
    return 400, "text/xml", text.encode()


def cbor(value: object) -> bytes:
    """RFC 8949, as far as these answers need it: text, arrays and maps of definite length."""
    if isinstance(value, str):
        content = value.encode()
        return _cbor_head(3, len(content)) + content
    if isinstance(value, list):
        return _cbor_head(4, len(value)) + b"".join(cbor(item) for item in value)
    if isinstance(value, dict):
        return _cbor_head(5, len(value)) + b"".join(cbor(k) + cbor(v) for k, v in value.items())
    raise TypeError(type(value).__name__)


def _cbor_head(kind: int, length: int) -> bytes:
    if length < 24:
        return bytes([kind << 5 | length])
    return bytes([kind << 5 | 25]) + length.to_bytes(2, "big")


class Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive; one request after another."""

    def __init__(self, cloud: Answering) -> None:
        self._cloud = cloud
        self._buffer = b""
        self._kind = ""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, _: Exception | None) -> None:
        if self._kind:
            self._cloud.connected(self._kind, -1)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while self._one():
            pass

    def _one(self) -> bool:
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return False
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        if headers.get("expect") == "100-continue" and self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        length = int(headers.get("content-length", "0"))
        if len(rest) < length:
            return False
        self._buffer = rest[length:]
        method, path, _ = first.split(" ", 2)
        scope = SCOPE.search(headers.get("authorization", ""))
        key, region, service = scope.groups() if scope else ("", "", "")
        self._name(f"{service} {region}" if service else "health")
        answer = self._cloud.answer(Call(key, region, service, method, path, headers, rest[:length]))
        asyncio.get_running_loop().call_later(self._cloud.latency, self._send, answer)
        return True

    def _name(self, kind: str) -> None:
        if not self._kind:
            self._kind = kind
            self._cloud.connected(kind, 1)

    def _send(self, answer: Answer) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        status, kind, body = answer
        protocol = "smithy-protocol: rpc-v2-cbor\r\n" if kind == "application/cbor" else ""
        head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\n{protocol}Content-Length: {len(body)}\r\n\r\n"
        self._transport.write(head.encode() + body)
