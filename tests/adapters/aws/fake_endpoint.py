"""A loopback endpoint that answers AWS's query protocol as a test tells it to, and writes down who signed what."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl

_SCOPE = re.compile(r"Credential=([^/]+)/[0-9]{8}/([a-z0-9-]+)/([a-z0-9-]+)/")


@dataclass(frozen=True)
class Request:
    key: str
    region: str
    service: str
    action: str
    params: dict[str, str]


Reply = tuple[int, str]
Answering = Callable[[Request], Reply | None]


class FakeEndpoint(ThreadingHTTPServer):
    """answering: the reply to a request; None hangs up without one."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, answering: Answering) -> None:
        super().__init__(("127.0.0.1", 0), _Door)
        self.answering = answering
        self.requests: list[Request] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A caller that did not wait for its answer is what some tests are about; nothing is printed."""

    def actions(self) -> list[str]:
        return [request.action for request in self.requests]


class _Door(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeEndpoint

    def do_GET(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        found = _SCOPE.search(self.headers.get("Authorization", ""))
        key, region, service = found.groups() if found else ("", "", "")
        params = dict(parse_qsl(body.decode("utf-8", "replace")))
        action = params.get("Action") or self.headers.get("X-Amz-Target", self.command).split(".")[-1]
        request = Request(key, region, service, action, params)
        self.server.requests.append(request)
        reply = self.server.answering(request)
        if reply is None:
            self.close_connection = True
            return
        status, text = reply
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def running(answering: Answering) -> Iterator[FakeEndpoint]:
    server = FakeEndpoint(answering)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def assumed(request: Request, *, minutes: int = 60, account: str = "") -> Reply:
    """AssumeRole's answer; the key carries the account, so that later requests show whose it is."""
    role = request.params["RoleArn"]
    account = account or role.split(":")[4]
    name = role.rsplit("/", 1)[1]
    expires = (datetime.now(UTC) + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
    arn = f"arn:aws:sts::{account}:assumed-role/{name}/{request.params['RoleSessionName']}"
    return result(
        "AssumeRole",
        f"<Credentials><AccessKeyId>ASIA{account}</AccessKeyId><SecretAccessKey>the-secret</SecretAccessKey>"
        f"<SessionToken>the-session-token</SessionToken><Expiration>{expires}</Expiration></Credentials>"
        f"<AssumedRoleUser><Arn>{arn}</Arn><AssumedRoleId>A:x</AssumedRoleId></AssumedRoleUser>",
    )


def caller(arn: str) -> Reply:
    account = arn.split(":")[4]
    return result("GetCallerIdentity", f"<Arn>{arn}</Arn><UserId>A</UserId><Account>{account}</Account>")


def nothing(request: Request) -> Reply:
    return result(request.action, "")


def refused(code: str, message: str = "", status: int = 400) -> Reply:
    text = f"<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
    return status, text


def result(action: str, inner: str) -> Reply:
    return 200, f"<{action}Response><{action}Result>{inner}</{action}Result></{action}Response>"
