"""What the commands say: the JSON keys others rely on, the journal's proof, and no secret anywhere."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.adapters.local.front import process
from tests.acceptance.company import Company, Service

pytestmark = [pytest.mark.local_aws, pytest.mark.xdist_group("acceptance-promotion")]

NewService = Callable[..., Service]


def test_status_fleet_and_history_have_the_keys_that_others_rely_on(
    company: Company, service: NewService
) -> None:
    lamp = service()
    old = lamp.everywhere("1.0.0")
    release = lamp.everywhere("1.1.0")

    status = lamp.status("1.1.0")
    assert (status["format_version"], status["run"]["state"], status["run"]["release"]) == (
        1,
        "SUCCEEDED",
        release,
    )
    assert [(w["name"], w["state"]) for w in status["waves"]] == [("canary", "PASSED"), ("wave-2", "PASSED")]
    keys = ("client", "account", "region", "wave", "state", "desired", "observed", "previous_good", "reason")
    told = {tuple(target[key] for key in keys) for target in status["targets"]}
    assert told == {
        (
            c,
            company.accounts[c],
            r,
            "canary" if c == "ada" else "wave-2",
            "HEALTHY",
            release,
            release,
            old,
            None,
        )
        for c, _, r in (target.rpartition("/") for target in lamp.targets())
    }

    for live in ((), ("--live",)):
        fleet = company.release("fleet", *live, "--json").json
        rows = [
            row
            for row in fleet["targets"]
            if row["service"] == lamp.name and row["client"] in company.accounts
        ]
        columns = ("client", "account", "region", "service", "intended", "observed")
        assert {tuple(row[key] for key in columns) for row in rows} == {
            (c, company.accounts[c], r, lamp.name, release, release)
            for c, _, r in (target.rpartition("/") for target in lamp.targets())
        }

    events = company.release("history", release, "--json").json["events"]
    assert all(event.keys() >= {"seq", "at", "actor", "type"} for event in events)
    assert {"ReleaseBuilt", "ReleaseTested", "PlanFixed", "TargetHealthy", "RunEnded"} <= {
        e["type"] for e in events
    }
    assert {e["type"]: e["actor"] for e in events}["PlanFixed"].startswith("aws-user:")


def test_json_is_one_document_on_stdout_and_progress_goes_to_stderr(
    company: Company, service: NewService
) -> None:
    lamp = service()
    release = lamp.proven("1.0.0")
    promoted = company.release("promote", release, "--until", "done", "--json")
    assert promoted.json["run"]["state"] == "SUCCEEDED"
    assert "ada/us-east-1" in promoted.err
    streamed = company.release("rollback", release, "--all", "--reason", "why", code=2)
    assert streamed.out == ""


def test_a_halted_promotion_says_as_json_what_it_says_as_text(company: Company, service: NewService) -> None:
    lamp = service(on_fail={"canary": "hold"})
    lamp.everywhere("1.0.0")
    release = lamp.proven("1.1.0", sick_at=["ada"])
    halted = company.release("promote", release, "--until", "done", "--json", code=3)
    assert halted.json["run"]["state"] == "HALTED"
    (sick,) = (target for target in halted.json["targets"] if target["state"] == "FAILED")
    assert sick["client"] == "ada"
    assert f"  ada/us-east-1  FAILED  {sick['reason'][:40]}" in company.release("status", release).out


def test_a_terminal_that_knows_only_ascii_or_is_closed_ends_no_command(
    company: Company, service: NewService
) -> None:
    release = service().proven("1.0.0")
    assert "?" in company.start("plan", release, PYTHONIOENCODING="ascii").answer(0).out
    program = f'"{sys.executable}" -c "from pipeline.cli.main import run; run()"'
    for closed, code in ((f"{program} status {release} >&-", 0), (f"{program} status lamp@9.9.9 2>&-", 2)):
        done = subprocess.run(
            ["sh", "-c", closed],
            cwd=company.root,
            env=dict(company.environment),
            capture_output=True,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (code, b"", b"")


def test_a_reason_cannot_paint_on_anybodys_terminal(company: Company, service: NewService) -> None:
    release = service().proven("1.0.0")
    company.release("promote", release, "--until", "wave:1")
    halted = company.release("halt", release, "--reason", "\x1b[31mred\nsecond line")
    stopped = company.release("promote", release, code=3)
    told = [halted.out, stopped.err, company.release("history", release).out]
    told.append(company.release("status", release).out)
    assert all("red second line" in text and "\x1b" not in text for text in told)


def test_an_account_that_cannot_be_read_is_never_as_intended(company: Company, service: NewService) -> None:
    lamp = service()
    iam = company.inside("dog", "iam")
    before = iam.get_role(RoleName="TidegateObserve")["Role"]["AssumeRolePolicyDocument"]
    nobody = {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    denied = json.dumps({"Version": "2012-10-17", "Statement": [nobody]})
    iam.update_assume_role_policy(RoleName="TidegateObserve", PolicyDocument=denied)
    try:
        fleet = company.release("fleet", "--live", "--json").json
    finally:
        iam.update_assume_role_policy(RoleName="TidegateObserve", PolicyDocument=json.dumps(before))
    (dog,) = (row for row in fleet["targets"] if (row["client"], row["service"]) == ("dog", lamp.name))
    assert (dog["observed"], dog["differs"]) == (None, True)
    assert "could not be read" in dog["note"]


def test_the_journal_proves_that_nothing_was_changed_and_a_changed_one_exits_7(
    company: Company, service: NewService, tmp_path: Path
) -> None:
    lamp = service()
    release = lamp.everywhere("1.0.0")
    assert "every chain holds" in company.release("audit", "verify").out
    copy = tmp_path / "state.db"
    with sqlite3.connect(company.root / ".tidegate" / "state.db") as state, sqlite3.connect(copy) as other:
        state.backup(other)
    with sqlite3.connect(copy) as state:
        (table,) = {
            row[1] for row in state.execute("SELECT type, name FROM sqlite_master") if row[1] in _JOURNALS
        }
        columns = [row[1] for row in state.execute(f"PRAGMA table_info({table})")]
        column = next(name for name in columns if name in ("body", "event", "content", "entry", "payload"))
        changed = state.execute(
            f"UPDATE {table} SET {column} = replace({column}, 'HEALTHY', 'HEALTHX'),"
            f" actor = 'nobody' WHERE stream = 'release/{release}'"
        )
        assert changed.rowcount > 0
    damaged = company.release("audit", "verify", code=7, shell={"TIDEGATE_STATE": str(copy)})
    assert f"release/{release}" in damaged.err
    company.release("promote", release, code=7, shell={"TIDEGATE_STATE": str(copy)})
    shutil.rmtree(tmp_path)


_JOURNALS = ("journal", "events", "entries")


def test_a_credential_that_leaked_would_be_found(company: Company, tmp_path: Path) -> None:
    assert company.leaks() == []
    secret = process.environment(company.front.home)["AWS_SECRET_ACCESS_KEY"]
    for planted in (secret, "FwoGZX" + "0123456789abcdef" * 8):
        company.outputs.append(f"Traceback: {planted}")
        assert company.leaks() == [f"output {len(company.outputs) - 1}"]
        company.outputs.pop()


def test_nothing_that_is_said_names_an_access_key_or_an_external_id(company: Company) -> None:
    text = "\n".join(company.outputs)
    assert re.findall(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b", text) == []
    rows = company.store().registry.rows()
    assert [row.name for row in rows if row.external_id and row.external_id in text] == []
    assert json.dumps([row.email for row in rows if row.email and row.email in text]) == "[]"
