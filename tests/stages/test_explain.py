"""`release explain`: the numbers behind every verdict, and a verdict that no longer follows from them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.adapters.simulated.metrics import Trouble
from pipeline.errors import ArtifactMissing, CredentialsRefused
from pipeline.model import event as e
from pipeline.model.explanation import Explanation
from pipeline.model.ids import Digest
from pipeline.model.judgement import judged_from_json, judged_to_json
from pipeline.model.plan import Plan
from pipeline.views.explain import explain_json, explain_text
from stages.explain import ExplainRequest, explain
from tests.engine.test_weigh import a_company
from tests.simulation import Company


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Company, Plan]:
    """1.1.0 made six times the errors and was rolled back by itself."""
    company, plan = a_company(tmp_path_factory.mktemp("company"))
    company.metrics.order(Trouble(factor=6, metric="errors", release="intake@1.1.0"))
    company.promote(plan)
    return company, plan


def explained(world: tuple[Company, Plan], *, wave: int | None = None, replay: bool = False) -> Explanation:
    company, plan = world
    request = ExplainRequest(plan=plan, wave=wave, replay=replay)
    return explain(request, company.journal, lambda digest: company.artifacts.get(digest))


def test_every_look_is_told_with_its_numbers_and_then_what_came_of_it(failed: tuple[Company, Plan]) -> None:
    text = explain_text(explained(failed))

    assert "canary, look 1 of 3, " in text
    assert ": FAIL" in text
    assert "what the clients on the old version show, 2 times is allowed" in text
    assert "3 on the new version, 20 on the old one" in text
    assert "ways to draw the canary, " in text
    assert "client  account" in text
    assert "gates, refusals and halts:" in text
    assert "the judge failed the canary" in text
    assert "judged again" not in text


def test_a_verdict_that_follows_from_its_evidence_is_the_same_again(failed: tuple[Company, Plan]) -> None:
    explanation = explained(failed, replay=True)

    assert [look.same for look in explanation.looks] == [True] * len(explanation.looks)
    assert "judged again: the same" in explain_text(explanation)
    assert json.loads(json.dumps(explain_json(explanation)))["same"] is True


def test_another_wave_has_no_looks(failed: tuple[Company, Plan]) -> None:
    explanation = explained(failed, wave=2)

    assert explanation.looks == ()
    assert "the judge has not looked at anything here" in explain_text(explanation)


def test_json_holds_the_evidence_the_judgement_and_the_events(failed: tuple[Company, Plan]) -> None:
    document = json.loads(json.dumps(explain_json(explained(failed))))

    look = document["looks"][-1]
    assert (document["format_version"], document["release"], document["same"]) == (1, "intake@1.1.0", None)
    assert (look["wave"], look["verdict"], look["same"]) == (1, "FAIL", None)
    assert len(look["evidence"]["accounts"]) == 23
    assert look["judgement"]["metrics"][0]["metric"] == "errors"
    assert {"WaveFailed", "RollbackOrdered"} <= {event["type"] for event in document["events"]}


def test_a_changed_verdict_is_not_the_same(failed: tuple[Company, Plan]) -> None:
    company, plan = failed

    def tampered(digest: Digest) -> bytes:
        kept = judged_from_json(company.artifacts.get(digest))
        judgement = replace(kept.judgement, verdict=e.Verdict.PASS)
        return judged_to_json(replace(kept, judgement=judgement))

    request = ExplainRequest(plan=plan, replay=True)
    explanation = explain(request, company.journal, tampered)

    look = explanation.looks[-1]
    assert look.same is False
    assert look.differences is not None
    assert "verdict: PASS was kept, FAIL comes out" in look.differences
    assert "judged again: NOT the same" in explain_text(explanation)


def test_lost_evidence_is_told_and_does_not_pass_for_the_same(failed: tuple[Company, Plan]) -> None:
    company, plan = failed

    def lost(digest: Digest) -> bytes:
        raise ArtifactMissing(f"{digest} is not there")

    plainly = explain(ExplainRequest(plan=plan), company.journal, lost)
    again = explain(ExplainRequest(plan=plan, replay=True), company.journal, lost)

    assert "its numbers cannot be shown: sha256:" in explain_text(plainly)
    assert [look.same for look in plainly.looks] == [None] * len(plainly.looks)
    assert [look.same for look in again.looks] == [False] * len(again.looks)


def test_bytes_that_are_no_evidence_are_told(failed: tuple[Company, Plan]) -> None:
    company, plan = failed

    again = explain(ExplainRequest(plan=plan, replay=True), company.journal, lambda _: b"{}")

    assert again.looks[-1].unread == "the evidence is no document of this kind: evidence: missing"
    assert again.looks[-1].same is False


def test_without_credentials_the_journal_is_still_told_but_nothing_is_judged_again(
    failed: tuple[Company, Plan],
) -> None:
    company, plan = failed

    def refused(digest: Digest) -> bytes:
        raise CredentialsRefused("there are no AWS credentials")

    told = explain(ExplainRequest(plan=plan), company.journal, refused)

    assert told.looks[-1].unread == "there are no AWS credentials"
    with pytest.raises(CredentialsRefused):
        explain(ExplainRequest(plan=plan, replay=True), company.journal, refused)


def test_a_run_without_a_judge_is_explained_by_its_gates(tmp_path: Path) -> None:
    company = Company(tmp_path)
    company.build("1.0.0")
    plan = company.plan("1.0.0")
    company.promote(plan)

    text = explain_text(explained((company, plan)))

    assert "the judge has not looked at anything here: alarms and health checks decided alone" in text
    assert "canary passed" in text
