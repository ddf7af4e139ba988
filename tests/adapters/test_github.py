"""Who approved, as GitHub tells it: over a real HTTP server, which lies in every way a server can."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pipeline.adapters.github import GitHubReviews, reviews_of_this_run
from pipeline.errors import OperationFailed, UsageError
from pipeline.ports import Review, WorkflowRun

TOKEN = "ghs_secret0123456789"
RUN = "/repos/octo/fleet/actions/runs/42"
ADA, BOB = {"login": "ada"}, {"login": "bob"}
THE_RUN = {"id": 42, "actor": ADA, "triggering_actor": BOB, "created_at": "2026-11-23T20:00:00Z"}
REVIEW = {
    "state": "approved",
    "comment": "wave:2 of plan 0123456789ab",
    "environments": [{"id": 1, "name": "production"}],
    "user": BOB,
}


class _Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.pages: dict[str, Any] = {}
        self.status = 200
        self.raw: bytes | None = None
        self.headers: dict[str, str] = {}
        self.promised = 0
        self.seen: list[tuple[str, dict[str, str]]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Answers(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self.server.seen.append((self.path, dict(self.headers)))
        found = self.server.pages.get(self.path)
        body = self.server.raw if self.server.raw is not None else json.dumps(found).encode()
        self.send_response(self.server.status if found is not None or self.server.raw is not None else 404)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(self.server.promised or len(body)))
        self.end_headers()
        self.wfile.write(body)

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
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Server]:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with _running() as running:
        running.pages = {
            RUN: THE_RUN,
            f"{RUN}/approvals": [REVIEW],
            f"{RUN}/pending_deployments": [{"environment": {"id": 2, "name": "staging"}}],
        }
        yield running


def reviews(server: _Server) -> GitHubReviews:
    return GitHubReviews(api=server.address, repository="octo/fleet", run_id="42", token=TOKEN)


def failed(server: _Server) -> str:
    """Why no approval was read; neither the token nor anything else may be taken for one."""
    with pytest.raises(OperationFailed) as caught:
        reviews(server).reviews()
    assert TOKEN not in f"{caught.value.problem}{caught.value.details}{caught.value.remedy}"
    assert "no approval" in caught.value.state
    return caught.value.problem


def test_a_run_its_reviews_and_what_still_waits_are_read(server: _Server) -> None:
    found = reviews(server)

    assert found.run() == WorkflowRun(
        name="octo/fleet/actions/runs/42",
        starters=("ada", "bob"),
        created_at=datetime(2026, 11, 23, 20, 0, tzinfo=UTC),
    )
    assert found.reviews() == (
        Review(
            login="bob",
            state="approved",
            comment="wave:2 of plan 0123456789ab",
            environments=("production",),
        ),
    )
    assert found.pending() == ("staging",)
    path, headers = server.seen[1]
    assert path == f"{RUN}/approvals"
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    assert headers["X-GitHub-Api-Version"] == "2022-11-28"
    assert headers["Accept"] == "application/vnd.github+json"


def test_nobody_has_reviewed_anything_is_an_answer(server: _Server) -> None:
    server.pages[f"{RUN}/approvals"] = []

    assert reviews(server).reviews() == ()


@pytest.mark.parametrize("state", ["rejected", "pending"])
def test_what_is_no_yes_is_told_as_it_is(server: _Server, state: str) -> None:
    server.pages[f"{RUN}/approvals"] = [{**REVIEW, "state": state, "comment": None}]

    (review,) = reviews(server).reviews()
    assert (review.state, review.comment) == (state, "")


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (401, "refused the token"),
        (403, "refused the token"),
        (404, "no such run"),
        (500, "answered 500"),
        (204, "204"),
    ],
)
def test_an_answer_that_is_no_success_is_no_approval(server: _Server, status: int, why: str) -> None:
    server.status = status

    assert why in failed(server)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed_and_the_token_goes_nowhere_else(server: _Server, status: int) -> None:
    with _running() as other:
        other.pages = server.pages
        server.status = status
        server.headers = {"Location": f"{other.address}{RUN}/approvals"}

        assert "redirect" in failed(server)
        assert other.seen == []


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<html>",
        b"[",
        b"null",
        b"{}",
        b'[{"state": "approved"}]',
        b'[{"state": "APPROVED", "comment": "", "environments": [], "user": {"login": "bob"}}]',
        b'[{"state": "approved", "comment": "", "environments": [], "user": null}]',
        b'[{"state": "approved", "comment": "", "environments": [], "user": {"login": 7}}]',
        b'[{"state": "approved", "comment": 7, "environments": [], "user": {"login": "bob"}}]',
        b'[{"state": "approved", "comment": "", "environments": ["x"], "user": {"login": "bob"}}]',
        b"[" * 100_000,
    ],
)
def test_what_has_another_form_than_documented_is_no_approval(server: _Server, raw: bytes) -> None:
    server.raw = raw

    failed(server)


def test_an_answer_that_breaks_off_is_no_approval(server: _Server) -> None:
    server.raw, server.promised = json.dumps([REVIEW]).encode(), 100_000

    assert "did not answer" in failed(server)


def test_an_answer_without_end_is_not_read_to_the_end(server: _Server) -> None:
    server.raw = b" " * (2 * 1024 * 1024) + b"[]"

    assert "larger or slower" in failed(server)


def test_a_server_that_is_not_there_is_no_approval(server: _Server) -> None:
    server.shutdown()
    server.server_close()

    assert "did not answer (ConnectionError)" in failed(server)


@pytest.mark.parametrize(
    "run",
    [
        {},
        {**THE_RUN, "actor": None},
        {**THE_RUN, "created_at": "2026-11-23T20:00:00"},
        {**THE_RUN, "actor": {"login": ""}},
    ],
)
def test_a_run_of_which_nobody_knows_who_began_it_is_no_ground_for_an_approval(
    server: _Server, run: dict[str, Any]
) -> None:
    server.pages[RUN] = run

    with pytest.raises(OperationFailed, match="who began the run"):
        reviews(server).run()


def test_a_netrc_does_not_replace_the_token(
    server: _Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login mallory password x\n")
    monkeypatch.setenv("NETRC", str(netrc))
    reviews(server).run()

    assert server.seen[0][1]["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    ("api", "repository", "run_id"),
    [
        ("http://api.github.example", "octo/fleet", "42"),
        ("https://user:pass@api.github.com", "octo/fleet", "42"),
        ("ftp://127.0.0.1", "octo/fleet", "42"),
        ("https://api.github.com?x=1", "octo/fleet", "42"),
        ("https://api.github.com", "octo", "42"),
        ("https://api.github.com", "octo/..", "42"),
        ("https://api.github.com", "octo/fleet/x", "42"),
        ("https://api.github.com", "octo/fleet", "42/../43"),
    ],
)
def test_an_address_that_could_lead_elsewhere_is_refused(api: str, repository: str, run_id: str) -> None:
    with pytest.raises(UsageError):
        GitHubReviews(api=api, repository=repository, run_id=run_id, token=TOKEN)


def test_the_running_workflow_names_its_run_and_its_server(server: _Server) -> None:
    environment = {
        "GITHUB_API_URL": server.address,
        "GITHUB_REPOSITORY": "octo/fleet",
        "GITHUB_RUN_ID": "42",
        "GITHUB_TOKEN": TOKEN,
    }
    assert reviews_of_this_run(environment).run().starters == ("ada", "bob")

    for name in ("GITHUB_REPOSITORY", "GITHUB_RUN_ID", "GITHUB_TOKEN"):
        with pytest.raises(UsageError, match=name):
            reviews_of_this_run({**environment, name: ""})
