"""`release explain` at the command line: what it says without AWS, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.adapters.local.artifacts import FolderArtifacts
from pipeline.adapters.local.clock import SystemClock
from pipeline.adapters.local.store import open_store
from pipeline.adapters.simulated.metrics import Trouble
from pipeline.cli.main import main
from pipeline.model.plan import plan_to_json
from tests.cli.test_bad_input import FLEET
from tests.engine.test_weigh import a_company

NO_AWS = {
    "AWS_ACCESS_KEY_ID": "",
    "AWS_SECRET_ACCESS_KEY": "",
    "AWS_PROFILE": "",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose journal tells of a canary that the judge failed; its evidence lies in an AWS out of reach."""
    tmp = tmp_path_factory.mktemp("told")
    company, plan = a_company(tmp / "company")
    company.metrics.order(Trouble(factor=6, metric="errors", release="intake@1.1.0"))
    company.promote(plan)
    root = tmp / "project"
    root.mkdir()
    (root / "fleet.toml").write_text(FLEET)
    journal = open_store(root / ".tidegate" / "state.db", SystemClock()).journal
    for stream in company.journal.streams(""):
        events = [entry.event for entry in company.journal.read(stream)]
        journal.append(stream, events, expected=0, fence=1, actor="runner1")
    FolderArtifacts(root / ".tidegate" / "plans", home="us-east-1").put(plan_to_json(plan), ("us-east-1",))
    return root


@pytest.fixture
def project(told: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in NO_AWS.items():
        if value:
            monkeypatch.setenv(name, value)
        else:
            monkeypatch.delenv(name, raising=False)
    return told


def test_the_journal_is_explained_without_aws(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-C", str(project), "explain", "intake@1.1.0"]) == 0

    told = capsys.readouterr().out
    assert ": FAIL" in told
    assert "its numbers cannot be shown: " in told
    assert "the judge failed the canary" in told


def test_json_is_one_document(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-C", str(project), "explain", "intake@1.1.0", "--wave", "1", "--json"]) == 0

    document = json.loads(capsys.readouterr().out)
    assert document["looks"][-1]["verdict"] == "FAIL"
    assert {event["wave"] for event in document["events"]} == {1}


def test_judging_again_needs_the_evidence(project: Path) -> None:
    assert main(["-C", str(project), "explain", "intake@1.1.0", "--replay"]) == 4


def test_a_wave_that_the_plan_does_not_have_is_a_usage_error(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["-C", str(project), "explain", "intake@1.1.0", "--wave", "9"]) == 2
    assert "the plan of intake@1.1.0 has no wave 9" in capsys.readouterr().err


def test_a_release_that_nobody_built_has_nothing_to_explain(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["-C", str(project), "explain", "intake@9.9.9"]) == 2
    assert "there is no release intake@9.9.9" in capsys.readouterr().err
