"""Room: adapters/local/front. The door: an ASGI application in front of ministack's.

It refuses root credentials and ministack's own administration, answers whether the front is ready, and writes
addresses that resolve nowhere but on AWS as addresses of this machine. It never grants anything.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from pipeline.adapters.local.front.facts import CURRENT, READ_BODIES, read_facts, signed_service

__all__ = ["READY_PATH", "Gate"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

READY_PATH = "/_tidegate/ready"
# What ministack itself calls back on; the path carries a token that only it handed out.
_CALLBACKS = ("/_ministack/cfn-response/", "/_ministack/cfn-signal/")
_HTTP_API_PATH = "/_aws/execute-api/"
_DATA_PLANE = (_HTTP_API_PATH, "/_aws/lambda-url/")
_ISSUED_KEY = re.compile(r"A(KIA|SIA)[A-Z0-9]{12,}")
_KEY = re.compile(r"(?:Credential=|^AWS )([^/:,\s]+)")
_QUERY_KEY = re.compile(r"(?:^|&)(?:X-Amz-Credential|AWSAccessKeyId)=([^&%/]+)", re.IGNORECASE)
_FUNCTION_URL = re.compile(rb"https://([a-z0-9]{32})\.lambda-url\.[a-z0-9-]+\.on\.aws")
_HTTP_API = re.compile(
    rb"https?://([a-z0-9]{8,10})\.execute-api\.(?:[a-z0-9-]+\.amazonaws\.com|localhost(?::\d+)?)"
)
_REWRITTEN = frozenset({"cloudformation", "lambda", "apigateway", "ssm"})


class Gate:
    """The ASGI application that the server serves."""

    def __init__(
        self,
        inner: App,
        *,
        origin: str,
        mark: str,
        start: Callable[[], Awaitable[None]],
        enter_owner: Callable[[str], None],
    ) -> None:
        """`origin` is `http://127.0.0.1:PORT`; `mark` proves to `process.up` who answers; `start` sets up.

        `enter_owner` takes the id of an HTTP API and makes its account the one in which the request runs.
        """
        self._inner, self._origin, self._mark = inner, origin, mark
        self._start, self._enter_owner = start, enter_owner

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one connection's scope."""
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
            return
        headers = _headers(scope)
        if scope["type"] == "http" and scope["path"] == READY_PATH:
            await _answer(send, 200, {"mark": self._mark})
            return
        refusal = _refusal(scope, headers)
        if refusal is not None:
            await self._refuse(scope, send, refusal)
            return
        if scope["path"].startswith(_HTTP_API_PATH):
            self._enter_owner(scope["path"].split("/")[3])
        service = signed_service(headers)
        query = scope.get("query_string", b"").decode("latin-1")
        body = b""
        if scope["type"] == "http" and service in READ_BODIES:
            body, receive = await _buffer(receive)
        CURRENT.set(read_facts(headers, query, body))
        if service in _REWRITTEN:
            send = self._rewriting(send)
        await self._inner(scope, receive, send)

    async def _lifespan(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        async def sent(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                await self._start()
            await send(message)

        await self._inner(scope, receive, sent)

    async def _refuse(self, scope: MutableMapping[str, Any], send: Send, refusal: tuple[str, str]) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        code, text = refusal
        from ministack.core.iam_actions import access_denied_response

        headers = _headers(scope)
        status, answered, body = access_denied_response(
            signed_service(headers) or "json",
            "",
            "",
            str(uuid.uuid4()),
            error_code=code,
            message=text,
            headers=headers,
        )
        await _answer_bytes(send, status, answered["Content-Type"].encode(), body)

    def _rewriting(self, send: Send) -> Send:
        """Hold a response's body back and write this machine's addresses into it."""
        head: list[Message] = []
        parts: list[bytes] = []

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                head.append(message)
                return
            parts.append(message.get("body", b""))
            if message.get("more_body"):
                return
            body = self._local_addresses(b"".join(parts))
            start = head.pop()
            start["headers"] = [
                (name, str(len(body)).encode() if name.lower() == b"content-length" else value)
                for name, value in start["headers"]
            ]
            await send(start)
            await send({"type": "http.response.body", "body": body})

        return sent

    def _local_addresses(self, body: bytes) -> bytes:
        origin = self._origin.encode()
        body = _FUNCTION_URL.sub(origin + rb"/_aws/lambda-url/\1", body)
        return _HTTP_API.sub(origin + rb"/_aws/execute-api/\1", body)


def _headers(scope: MutableMapping[str, Any]) -> dict[str, str]:
    return {
        name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope.get("headers", [])
    }


def _refusal(scope: MutableMapping[str, Any], headers: dict[str, str]) -> tuple[str, str] | None:
    """(code, message) for what must not get in, or None."""
    path = scope["path"]
    if path.startswith(("/_ministack", "/_localstack")) and not path.startswith(_CALLBACKS):
        return "AccessDenied", "The administration of the local AWS is closed."
    if path.startswith("/_aws/") and not path.startswith(_DATA_PLANE):
        return "AccessDenied", "The administration of the local AWS is closed."
    authorization = headers.get("authorization", "")
    query = scope.get("query_string", b"").decode("latin-1")
    named = [*_KEY.findall(authorization), *_QUERY_KEY.findall(query)]
    if any(not _ISSUED_KEY.fullmatch(key) for key in named):
        return "InvalidClientTokenId", "The security token included in the request is invalid."
    return None


async def _buffer(receive: Receive) -> tuple[bytes, Receive]:
    """The whole body, and a receive that gives it out once more."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            break
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            break
    body = b"".join(parts)
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return body, again


async def _answer(send: Send, status: int, document: dict[str, str]) -> None:
    await _answer_bytes(send, status, b"application/x-amz-json-1.1", json.dumps(document).encode())


async def _answer_bytes(send: Send, status: int, content_type: bytes, body: bytes) -> None:
    headers = [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
