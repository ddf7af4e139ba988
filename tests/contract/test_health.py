"""The contract of Health: a server on loopback, and the simulated cloud."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pipeline.adapters.http_health import HttpHealth
from pipeline.adapters.simulated.cloud import Break
from pipeline.adapters.simulated.faults import Fault, FaultKind
from pipeline.model.stack import StackStatus
from pipeline.ports import Place
from tests.adapters.simulated.scene import ACME, ONE, STACK, TWO, ZOE, Scene, scripted
from tests.contract.health_contract import Door, HealthContract


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(500 if self.path == "/sick" else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Nothing is said."""


@pytest.fixture(scope="module")
def server() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


class TestHealthOverHttp(HealthContract):
    @pytest.fixture
    def door(self, server: ThreadingHTTPServer) -> Door:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            silent = unused.getsockname()[1]
        here = f"http://127.0.0.1:{server.server_port}"
        return Door(
            health=HttpHealth(),
            well=f"{here}/status",
            sick=f"{here}/sick",
            silent=f"http://127.0.0.1:{silent}/status",
            allowed=("127.0.0.1",),
        )


def _scene() -> Scene:
    scene = Scene()
    for version in ("1.0.0", "2.0.0"):
        scene.cloud.release(scripted(version, outputs=(("Url", "https://{account}.{region}.example.com"),)))
    scene.cloud.breaks(Break(template=TWO.template, how="health"))
    scene.cloud.by_hand(ACME, STACK, ONE, StackStatus.CREATE_COMPLETE)
    scene.cloud.by_hand(ZOE, STACK, TWO, StackStatus.CREATE_COMPLETE)
    return scene


def _url(place: Place = ACME) -> str:
    return f"https://{place.account}.{place.region}.example.com/status"


class TestSimulatedHealth(HealthContract):
    @pytest.fixture
    def door(self) -> Door:
        return Door(
            health=_scene().cloud.health,
            well=_url(ACME),
            sick=_url(ZOE),
            silent="https://nobody.example.com/status",
            allowed=("*.example.com",),
        )


def test_a_simulated_fault_on_the_way_leaves_the_address_unread_and_raises_nothing() -> None:
    scene = _scene()
    for kind in FaultKind:
        scene.cloud.fault(Fault(kind=kind, call="health"))
        found = scene.cloud.health.call(_url(), 200, ("*.example.com",))
        assert (found.healthy, found.readable) == (False, False)
    assert scene.cloud.health.call(_url(), 200, ("*.example.com",)).healthy
