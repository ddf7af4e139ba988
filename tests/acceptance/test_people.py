"""What people say to a run, as they say it: pause, resume, approve, hurry, retry; and what the journal keeps of it."""

from __future__ import annotations

import json
import re
import sqlite3
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.company import Company, Service

pytestmark = [pytest.mark.local_aws, pytest.mark.xdist_group("acceptance-people")]

NewService = Callable[..., Service]


@pytest.fixture(scope="module")
def somebody_else(company: Company) -> dict[str, str]:
    """A shell of another identity than the administrator who runs the tests: a role, under whatever session name."""
    given = company.front.assume(company.accounts["tools"]).get_credentials()
    return {
        "AWS_ACCESS_KEY_ID": given.access_key,
        "AWS_SECRET_ACCESS_KEY": given.secret_key,
        "AWS_SESSION_TOKEN": given.token or "",
    }


class GitHub:
    """GitHub's API as far as it is asked: run 7 of octo/fleet, which lee began a moment ago."""

    def __init__(self, address: str) -> None:
        self.approvals: list[dict[str, Any]] = []
        self.shell = {
            "GITHUB_API_URL": address,
            "GITHUB_REPOSITORY": "octo/fleet",
            "GITHUB_RUN_ID": "7",
            "GITHUB_TOKEN": "ghs_0123456789",
        }

    def review(self, login: str, comment: str) -> None:
        self.approvals = [
            {
                "state": "approved",
                "comment": comment,
                "environments": [{"name": "production"}],
                "user": {"login": login},
            }
        ]

    def answer(self, path: str) -> Any:
        run = "/repos/octo/fleet/actions/runs/7"
        began = datetime.now(UTC).isoformat(timespec="seconds")
        lee = {"login": "lee"}
        return {
            run: {"actor": lee, "triggering_actor": lee, "created_at": began},
            f"{run}/approvals": self.approvals,
        }[path]


@pytest.fixture
def github() -> Iterator[GitHub]:
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(found.answer(self.path)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    found = GitHub(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def actors(company: Company, release: str) -> dict[str, str]:
    events = company.release("history", release, "--json").json["events"]
    return {event["type"]: event["actor"] for event in events}


@pytest.mark.processes
def test_a_pause_from_another_process_starts_nothing_more_and_resume_goes_on(
    company: Company, service: NewService
) -> None:
    lamp = service(max_in_flight=1)
    release = lamp.proven("1.0.0", pause=1.0)
    runner = company.start("promote", release, "--until", "done")
    runner.until(" AWS executes ")
    said = company.release("pause", release, "--reason", "lunch").out
    assert "is paused by aws-user:" in said
    paused = runner.answer(12)
    assert "is paused by aws-user:" in paused.err
    assert ": lunch" in paused.err
    assert f"release resume {release}" in paused.err
    reached = [target for target, count in lamp.touched().items() if count]
    assert len(reached) <= 2

    assert company.release("status", release, "--json").json["run"]["state"] == "PAUSED"
    company.release("promote", release, code=12)
    company.release("pause", release, "--reason", "again")
    assert [target for target, count in lamp.touched().items() if count] == reached

    company.release("resume", release, "--reason", "back from lunch")
    refused = company.release("resume", release, "--reason", "twice", code=2)
    assert "is not halted" in refused.err
    company.release("promote", release, "--until", "done")
    assert lamp.touched() == dict.fromkeys(lamp.targets(), 1)
    assert "nothing was changed" in company.release("pause", release, "--reason", "late", code=2).err


def test_a_wave_waits_for_an_identity_that_did_not_begin_the_run(
    company: Company, service: NewService, somebody_else: dict[str, str]
) -> None:
    lamp = service(approvals=[2], canary={"clients": 1, "bake": "0s"})
    release = lamp.proven("1.0.0")
    waiting = company.release("promote", release, "--until", "done", code=6)
    assert f"release approve {release} --wave 2" in waiting.err
    assert 0 < sum(lamp.touched().values()) <= 2, "the canary, which may be a client of two Regions"
    assert "release approve" in company.release("status", release).out

    own = company.release("--yes", "approve", release, code=6)
    assert "has to come from somebody else" in own.err
    unasked = company.release("approve", release, code=2, shell=somebody_else)
    assert "There is no terminal to ask" in unasked.err
    given = company.release("approve", release, "--yes", shell=somebody_else).out
    assert "wave:2" in given
    assert "aws-role:" in given
    company.release("promote", release, "--until", "done")
    assert lamp.touched() == dict.fromkeys(lamp.targets(), 1)
    found = actors(company, release)
    assert found["PlanFixed"].startswith("aws-user:")
    assert found["ApprovalGiven"].startswith("aws-role:")


def test_a_review_on_github_approves_what_its_comment_names(
    company: Company, service: NewService, github: GitHub
) -> None:
    lamp = service(approvals=[1])
    release = lamp.proven("1.0.0")
    waiting = company.release("promote", release, code=6)
    (words,) = re.findall(r"the comment: (wave:1 of plan [0-9a-f]{12})", waiting.err)
    command = ("approve", release, "--wave", "1", "--github", "production")
    unset = company.release(*command, code=2)
    assert "GITHUB_TOKEN" in unset.err

    github.review("kim", "looks good")
    assert "names this wave" in company.release(*command, code=6, shell=github.shell).err
    github.review("lee", words)
    assert "lee began this workflow run" in company.release(*command, code=6, shell=github.shell).err
    github.review("kim", f"looks good: {words}")
    assert "is approved by github:kim until" in company.release(*command, shell=github.shell).out
    company.release("promote", release, "--until", "done")
    assert lamp.touched() == dict.fromkeys(lamp.targets(), 1)


def test_an_emergency_is_approved_by_a_second_identity_and_looked_at_again_afterwards(
    company: Company, service: NewService, somebody_else: dict[str, str]
) -> None:
    lamp = service(canary={"bake": "2h"}, bake="3s", emergency_bake="1s")
    release = lamp.proven("1.0.0")
    words = ("promote", release, "--emergency", "--reason", "outage", "--ticket", "I-7")
    asked = company.release(*words, code=6)
    assert "all but 1s of its bake of 2h" in asked.err
    assert "never skipped" in asked.err
    assert lamp.touched() == dict.fromkeys(lamp.targets(), 0)
    company.release(*words, code=6)
    own = company.release("approve", release, "--lane", "emergency", "--yes", code=6)
    assert "asked for this" in own.err
    company.release("approve", release, "--yes", shell=somebody_else)
    hurried = company.release(*words, "--until", "blocked")
    assert "skipped: wave 1 (canary)" in hurried.err
    asking = [
        e for e in company.release("history", release, "--json").json["events"] if e["type"] == "LaneAsked"
    ]
    assert [(e["event"]["ticket"], e["event"]["reason"]) for e in asking] == [("I-7", "outage")]


def test_promoting_what_is_finished_needs_neither_aws_nor_a_lease(
    company: Company, service: NewService
) -> None:
    lamp = service()
    release = lamp.everywhere("1.0.0")
    none = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_EC2_METADATA_DISABLED": "true"}
    assert "has reached every target" in company.release("promote", release, shell=none).out
    assert lamp.touched() == dict.fromkeys(lamp.targets(), 1)


def test_a_halt_works_without_aws_and_says_that_nobody_vouches_for_who_ordered_it(
    company: Company, service: NewService
) -> None:
    lamp = service(canary={"bake": "2h"})
    release = lamp.proven("1.0.0")
    company.release("promote", release)
    none = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_EC2_METADATA_DISABLED": "true"}
    halted = company.release("halt", release, "--reason", "the phones ring", shell=none)
    assert "is halted by unproven:" in halted.out
    company.release("resume", release, "--reason", "fine", shell=none, code=4)
    company.release("resume", release, "--reason", "fine")


def test_the_journal_is_signed_at_the_end_of_waves_and_a_cut_end_is_found(
    company: Company, service: NewService, tmp_path: Path
) -> None:
    lamp = service()
    release = lamp.everywhere("1.0.0")
    events = company.release("history", release, "--json").json["events"]
    signed = [event for event in events if event["type"] == "HeadsSigned"]
    assert signed
    assert all(":key/" in event["event"]["key"] for event in signed)
    assert "every signature over heads holds" in company.release("audit", "verify").out

    copy = tmp_path / "state.db"
    with sqlite3.connect(company.root / ".tidegate" / "state.db") as state, sqlite3.connect(copy) as other:
        state.backup(other)
    stream = f"target/{lamp.name}/ada/us-east-1"
    with sqlite3.connect(copy) as state:
        last = state.execute(
            "SELECT seq, fence, hash FROM entries WHERE stream = ? AND seq = 2", (stream,)
        ).fetchone()
        state.execute("DELETE FROM entries WHERE stream = ? AND seq > 2", (stream,))
        state.execute("UPDATE heads SET seq = ?, fence = ?, hash = ? WHERE stream = ?", (*last, stream))
    shell = {"TIDEGATE_STATE": str(copy)}
    cut = company.release("audit", "verify", code=7, shell=shell)
    assert f"{stream} ends at entry 2" in cut.err
    assert "every chain holds" in company.release("audit", "verify", "--offline", shell=shell).out


def test_the_evidence_for_one_client_names_no_other(company: Company, service: NewService) -> None:
    lamp = service()
    release = lamp.everywhere("1.0.0")
    document = company.release("history", release, "--client", "bee", "--json").json
    assert [(r["release"], r["region"], r["outcome"]) for r in document["releases"]] == [
        (release, region, "TargetHealthy") for region in ("us-east-1", "eu-west-1")
    ]
    text = company.release("history", release, "--client", "bee").out
    # With the Region: a signature in base64 may well say `ada/`.
    for other in ("ada/us-east-1", "cat/us-east-1", "dog/us-east-1"):
        assert other not in text
        assert other not in str(document)
