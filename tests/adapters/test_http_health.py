"""The Health port over HTTP: what it reports, and where it refuses to go."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipeline.adapters.http_health import BODY_LIMIT, HttpHealth, host_matches
from pipeline.ports import HealthReading


class _Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.seen: list[tuple[str, str, str]] = []
        self.sent = 0


class _Answers(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        headers = self.headers
        self.server.seen.append((self.path, headers["Host"], headers.get("Authorization", "")))
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/ok")
            self.end_headers()
        elif self.path == "/broken":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"x")
        elif self.path == "/endless":
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.server.sent += self.wfile.write(b"x" * 4096)
            except OSError:
                pass
        else:
            self.send_response(500 if self.path == "/sick" else 200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def _running() -> Iterator[_Server]:
    server = _Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def server() -> Iterator[_Server]:
    with _running() as running:
        yield running


def _never(host: str, port: int) -> tuple[str, ...]:
    raise AssertionError(f"{host}:{port} was looked up")


def test_the_expected_status_from_an_allowed_host_is_healthy(server: _Server) -> None:
    url = f"http://a1b2c3d4.execute-api.localhost:{server.server_port}/status?full=1"

    reading = HttpHealth(_never).call(url, 200, ("*.execute-api.localhost",))

    assert reading == HealthReading(
        healthy=True,
        readable=True,
        reason="GET a1b2c3d4.execute-api.localhost/status?full=1 answered 200",
    )
    host = f"a1b2c3d4.execute-api.localhost:{server.server_port}"
    assert server.seen == [("/status?full=1", host, "")]


def test_another_status_is_unhealthy_and_says_which(server: _Server) -> None:
    reading = HttpHealth().call(f"http://127.0.0.1:{server.server_port}/sick", 200, ("127.0.0.1",))

    reason = "GET 127.0.0.1/sick answered 500, expected 200"
    assert reading == HealthReading(healthy=False, readable=True, reason=reason)


def test_a_redirect_is_not_followed(server: _Server) -> None:
    reading = HttpHealth().call(f"http://localhost:{server.server_port}/moved", 200, ("localhost",))

    reason = "GET localhost/moved answered 302, expected 200, and redirects are not followed"
    assert reading == HealthReading(healthy=False, readable=True, reason=reason)
    assert [path for path, _, _ in server.seen] == ["/moved"]


def test_a_body_that_breaks_off_is_not_readable(server: _Server) -> None:
    reading = HttpHealth().call(f"http://localhost:{server.server_port}/broken", 200, ("localhost",))

    assert (reading.healthy, reading.readable) == (False, False)
    assert reading.reason.startswith("GET localhost/broken failed: ")


def test_an_endless_body_is_cut_at_the_limit(server: _Server) -> None:
    reading = HttpHealth().call(f"http://localhost:{server.server_port}/endless", 200, ("localhost",))

    assert (reading.healthy, reading.readable) == (True, True)
    # What the sockets between had already taken in is not read either.
    assert server.sent < BODY_LIMIT + 16 * 1024 * 1024


def test_a_closed_port_is_not_readable() -> None:
    with _running() as server:
        port = server.server_port

    reading = HttpHealth().call(f"http://localhost:{port}/", 200, ("localhost",))

    assert (reading.healthy, reading.readable) == (False, False)


def test_proxies_and_netrc_of_the_environment_are_ignored(
    server: _Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password something\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")

    reading = HttpHealth().call(f"http://127.0.0.1:{server.server_port}/ok", 200, ("127.0.0.1",))

    assert reading.healthy
    assert server.seen == [("/ok", f"127.0.0.1:{server.server_port}", "")]


@pytest.mark.parametrize(
    ("url", "allowed", "answer"),
    [
        pytest.param(
            "https://evil.test/", ("*.example.com",), "93.184.216.34", id="host not in the allow list"
        ),
        pytest.param(
            "http://api.example.com/", ("*.example.com",), "93.184.216.34", id="http to the Internet"
        ),
        pytest.param("https://api.example.com/", ("*.example.com",), "169.254.169.254", id="EC2 metadata"),
        pytest.param("https://api.example.com/", ("*.example.com",), "169.254.170.2", id="task metadata"),
        pytest.param(
            "https://api.example.com/", ("*.example.com",), "fd00:ec2::254", id="metadata over IPv6"
        ),
        pytest.param("https://api.example.com/", ("*.example.com",), "10.0.0.7", id="private network 10/8"),
        pytest.param(
            "https://api.example.com/", ("*.example.com",), "172.16.9.9", id="private network 172.16/12"
        ),
        pytest.param(
            "https://api.example.com/", ("*.example.com",), "192.168.1.1", id="private network 192.168/16"
        ),
        pytest.param(
            "https://api.example.com/", ("*.example.com",), "127.0.0.1", id="public name, loopback address"
        ),
        pytest.param(
            "https://api.example.com/", ("*.example.com",), "::ffff:10.0.0.7", id="IPv4 inside IPv6"
        ),
        pytest.param(
            "https://api.example.com/", ("*.example.com",), "64:ff9b::a9fe:a9fe", id="IPv4 through NAT64"
        ),
        pytest.param(
            "https://api.example.com/", ("*.example.com",), "2002:a9fe:a9fe::1", id="IPv4 through 6to4"
        ),
        pytest.param("https://api.example.com/", ("*.example.com",), "100.64.0.1", id="carrier-grade NAT"),
        pytest.param("https://api.example.com/", ("*.example.com",), "0.0.0.0", id="this host"),
        pytest.param(
            "http://169.254.169.254/latest/meta-data/", ("*",), "", id="metadata by number, bare star"
        ),
        pytest.param("https://169.254.169.254/", ("169.254.169.254",), "", id="metadata by number, listed"),
        pytest.param("http://2130706433/", ("2130706433",), "127.0.0.1", id="loopback as one number"),
        pytest.param("http://0x7f.1/", ("0x7f.1",), "127.0.0.1", id="loopback in hexadecimal"),
        pytest.param(
            "https://api.example.com@evil.test/", ("*.example.com",), "93.184.216.34", id="user name trick"
        ),
        pytest.param(
            "https://evil.test\\.example.com/", ("*.example.com",), "93.184.216.34", id="backslash trick"
        ),
        pytest.param(
            "https://api.example.com\r\nX: y/", ("*.example.com",), "93.184.216.34", id="header injection"
        ),
        pytest.param("file:///etc/passwd", ("*.example.com",), "", id="another scheme"),
        pytest.param(
            "https://notexample.com/", ("*.example.com",), "93.184.216.34", id="only the ending is the same"
        ),
        pytest.param("http://127.0.0.1/", ("*.example.com",), "", id="loopback that nobody listed"),
    ],
)
def test_an_address_that_must_not_be_called_is_refused_before_any_connection(
    url: str, allowed: tuple[str, ...], answer: str
) -> None:
    reading = HttpHealth(lambda host, port: (answer,)).call(url, 200, allowed)

    assert (reading.healthy, reading.readable) == (False, False)
    assert reading.reason.startswith("health address refused: ")
    assert reading.reason.isprintable()


def test_one_bad_address_among_good_ones_refuses_the_name() -> None:
    health = HttpHealth(lambda host, port: ("93.184.216.34", "10.0.0.1"))

    reading = health.call("https://api.example.com/", 200, ("api.example.com",))

    reason = "health address refused: api.example.com leads to 10.0.0.1, which is no public address"
    assert reading == HealthReading(healthy=False, readable=False, reason=reason)


@pytest.mark.parametrize(
    ("pattern", "host", "matches"),
    [
        ("api.example.com", "api.example.com", True),
        ("API.Example.com.", "api.example.com", True),
        ("*.example.com", "a.b.example.com", True),
        ("*.example.com", "example.com", False),
        ("*", "example.com", False),
        ("*.", "example.com", False),
        ("ap*.example.com", "api.example.com", False),
        ("*.0.0.1", "127.0.0.1", False),
        ("127.0.0.1", "127.0.0.1", True),
        ("[::1]", "::1", True),
    ],
)
def test_patterns_of_the_allow_list(pattern: str, host: str, matches: bool) -> None:
    assert host_matches(pattern, host) is matches
