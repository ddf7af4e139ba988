"""The evidence for one client: complete for that client, silent about every other."""

from __future__ import annotations

import json
from datetime import timedelta

from pipeline.model import event as e
from pipeline.model.ids import ReleaseName
from pipeline.views.evidence import evidence_json, evidence_text, gather, only
from tests.views.worlds import CANARY, NEW, RELEASE, SECOND, START, at, entries, sha

ACME = SECOND[0]
OTHERS = ("birch", "cedar", "maple")
NEXT = ReleaseName("intake", "1.3.0")


def journal() -> dict[str, tuple[e.Envelope, ...]]:
    """acme goes with the second wave of intake@1.2.0, and later with the canary of intake@1.3.0, which fails."""
    release = entries(
        f"release/{RELEASE}",
        e.PlanFixed(plan=sha(41), waves=4),
        e.WaveStarted(wave=1),
        e.TargetsClaimed(wave=1, targets=CANARY),
        e.WaveJudged(
            wave=1, look=1, verdict=e.Verdict.PASS, reason="cedar/eu-west-1 is no worse", evidence=sha(7)
        ),
        e.ApprovalGiven(subject="wave:2", plan=sha(41), by="sso:kim", expires=START),
        e.TargetsClaimed(wave=2, targets=SECOND),
        e.WaveFailed(wave=2, reason="maple/us-east-1 failed: sick; birch-tree is no client"),
        e.RunResumed(reason="go on", forgiven=(SECOND[2],)),
        e.WaveStarted(wave=3),
        e.HeadsSigned(
            heads=(
                e.SignedHead(stream=f"target/intake/{ACME}", seq=4, hash="a" * 64),
                e.SignedHead(stream=f"target/intake/{CANARY[0]}", seq=4, hash="b" * 64),
            ),
            key="k",
            signature="s",
        ),
    )
    claimed = e.TargetClaimed(release=str(RELEASE), plan=sha(41), wave=2, desired=NEW)
    again = e.TargetClaimed(release=str(NEXT), plan=sha(42), wave=1, desired=NEW)
    own = entries(
        f"target/intake/{ACME}",
        claimed,
        e.TargetObserved(
            stack_id="arn", status="UPDATE_COMPLETE", mark="intake@1.1.0 d c", parameters=sha(1)
        ),
        e.TargetHealthy(changed=True),
        e.TargetGood(),
        again,
        e.TargetFailed(reason="sick", fault=e.Fault.RELEASE),
    )
    return {
        f"release/{RELEASE}": release,
        f"release/{NEXT}": entries(
            f"release/{NEXT}", e.PlanFixed(plan=sha(42), waves=2), first=START + timedelta(1)
        ),
        f"target/intake/{ACME}": own,
        **{
            f"target/intake/{name}": entries(f"target/intake/{name}", claimed)
            for name in (*CANARY, SECOND[2], at("@intake"))
        },
    }


def test_it_says_what_ran_when_by_whom_and_what_came_of_it() -> None:
    document = evidence_json(gather("acme", journal()))
    assert isinstance(document, dict)
    first, second = document["releases"]

    assert first == {
        "release": "intake@1.2.0",
        "service": "intake",
        "region": "us-east-1",
        "plan": sha(41),
        "claimed_at": "2026-11-23T14:00:00.000+00:00",
        "by": "runner-1",
        "before": "intake@1.1.0",
        "outcome": "TargetHealthy",
        "ended_at": first["ended_at"],
        "told": "healthy",
        "good_at": first["good_at"],
    }
    assert first["ended_at"] < first["good_at"]
    assert (second["release"], second["outcome"], second["told"], second["good_at"]) == (
        "intake@1.3.0",
        "TargetFailed",
        "failed (release): sick",
        None,
    )


def test_the_gates_and_numbers_on_the_way_to_the_client_are_in_it_and_nothing_behind() -> None:
    evidence = gather("acme", journal())
    told = [type(line.event).__name__ for line in evidence.lines if line.entry.stream == f"release/{RELEASE}"]

    assert told == [
        "PlanFixed",
        "WaveStarted",
        "WaveJudged",
        "ApprovalGiven",
        "TargetsClaimed",
        "WaveFailed",
        "RunResumed",
        "HeadsSigned",
    ]
    assert "approved by sso:kim" in evidence_text(evidence)
    assert "judged PASS at look 1" in evidence_text(evidence)


def test_no_other_client_is_named_anywhere_in_it() -> None:
    evidence = gather("acme", journal())
    for page in (evidence_text(evidence), json.dumps(evidence_json(evidence))):
        assert [name for name in OTHERS if f"{name}/" in page] == []
    assert "another client is no worse" in evidence_text(evidence)
    assert "another client failed: sick; birch-tree is no client" in evidence_text(evidence)


def test_every_line_carries_the_hash_that_the_audit_proves() -> None:
    streams = journal()
    known = {entry.hash for found in streams.values() for entry in found}
    document = evidence_json(gather("acme", streams))
    assert isinstance(document, dict)

    assert {line["hash"] for line in document["events"]} <= known


def test_one_release_alone_may_be_asked_for() -> None:
    evidence = only(gather("acme", journal()), NEXT)

    assert [run.release for run in evidence.runs] == [str(NEXT)]
    assert [type(line.event).__name__ for line in evidence.lines] == [
        "TargetClaimed",
        "TargetFailed",
        "PlanFixed",
    ]


def test_a_client_that_the_journal_never_spoke_of_has_no_evidence() -> None:
    evidence = gather("zoe", journal())

    assert (evidence.runs, evidence.lines) == ((), ())
