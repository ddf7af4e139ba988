"""Every event has a sentence, and every state of a release a next command."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import get_args

import pytest

from pipeline.model import event as e
from pipeline.model.run_state import Run, RunState, fold_run
from pipeline.views.history import sentence
from pipeline.views.markdown import escaped
from pipeline.views.progress import next_step
from pipeline.views.text import plain, span
from tests.views.worlds import CANARY, EVIDENCE, NEW, NOW, RELEASE, SECOND, START, a_plan, entries, sha

SENTENCES: tuple[tuple[e.Event, str], ...] = (
    (
        e.ReleaseBuilt(digest=sha(21), manifest=sha(23), commit="b" * 40),
        "built from commit bbbbbbbbbbbb as 151515151515",
    ),
    (e.ReleaseTested(evidence=EVIDENCE), "tested in 2 accounts: 7 passed, 0 failed, 1 skipped"),
    (e.PlanFixed(plan=sha(41), waves=1), "a run began: plan 292929292929, 1 wave"),
    (e.WaveStarted(wave=1), "canary started"),
    (e.TargetsClaimed(wave=1, targets=CANARY), "canary: birch/us-east-1, cedar/eu-west-1 may start"),
    (e.WaveBaking(wave=2, until=START), "wave-2 is healthy and bakes until 2026-11-23 14:00:00Z"),
    (e.WaveJudging(wave=2), "wave-2 has baked and is judged"),
    (e.WavePassed(wave=9), "wave 9 passed"),
    (e.WaveFailed(wave=0, reason="1 failed"), "service failed: 1 failed"),
    (e.RunHalted(reason="pager", by="kim"), "halted by kim: pager"),
    (e.RunResumed(reason="fixed", forgiven=SECOND[:1]), "resumed: fixed, accepting acme/us-east-1"),
    (e.RunResumed(reason="fixed"), "resumed: fixed"),
    (
        e.RollbackOrdered(waves=(1, 2), reason="bad", by="kim"),
        "rollback of canary, wave-2 ordered by kim: bad",
    ),
    (
        e.RollbackOrdered(waves=(2,), targets=SECOND[:1], reason="bad", by="kim", recall=True),
        "recall of acme/us-east-1 ordered by kim: bad",
    ),
    (e.WaveRolledBack(wave=2), "wave-2 was rolled back"),
    (e.WaveRolledBack(wave=2, incomplete=SECOND[:1]), "wave-2 was rolled back, except acme/us-east-1"),
    (e.RunEnded(outcome=e.Outcome.SUCCEEDED), "the run ended: SUCCEEDED"),
    (e.TargetClaimed(release="intake@1.2.0", plan=sha(41), wave=1, desired=NEW), "claimed for intake@1.2.0"),
    (e.TargetTakenOver(), "taken over by another runner"),
    (e.TargetReleased(reason="halted by kim"), "put back, nothing was executed: halted by kim"),
    (
        e.TargetObserved(stack_id="", status="", mark="", parameters=sha(1)),
        "there was no stack yet",
    ),
    (
        e.TargetObserved(
            stack_id="arn", status="UPDATE_COMPLETE", mark="intake@1.1.0 d c", parameters=sha(1)
        ),
        "the stack ran intake@1.1.0 and was UPDATE_COMPLETE",
    ),
    (
        e.TargetObserved(stack_id="arn", status="CREATE_COMPLETE", mark="", parameters=sha(1)),
        "the stack ran no release of ours and was CREATE_COMPLETE",
    ),
    (
        e.ChangeSetIntended(action_id="ab", creating=True),
        "about to make change set tg-ab that creates the stack",
    ),
    (
        e.ChangeSetIntended(action_id="ab", creating=False),
        "about to make change set tg-ab that updates the stack",
    ),
    (e.ChangeSetMade(arn="a", stack_id="s"), "the change set was made"),
    (e.ChangeSetInspected(effect=sha(1)), "the change set was read and allowed (effect 010101010101)"),
    (e.ChangeSetEmpty(), "the change set was empty: nothing to change"),
    (e.ChangeSetAbandoned(reason="gone"), "the change set was given up: gone"),
    (e.ExecutionIntended(action_id="ab"), "about to execute change set tg-ab"),
    (e.ExecutionStarted(), "AWS executes the change set"),
    (e.ExecutionAbandoned(reason="stack moved"), "nothing was executed: stack moved"),
    (e.StackSettled(status="UPDATE_COMPLETE", reason=""), "the stack is UPDATE_COMPLETE"),
    (e.StackSettled(status="CREATE_FAILED", reason="Form:\nno"), "the stack is CREATE_FAILED: Form: no"),
    (e.TargetVerified(), "mark, template and code in the account are the planned ones"),
    (e.TargetHealthy(changed=True), "healthy"),
    (e.TargetHealthy(changed=False), "healthy, and ran this release already"),
    (e.TargetJudged(verdict=e.Verdict.NO_DATA, reason="no metrics"), "judged NO_DATA: no metrics"),
    (e.TargetGood(), "baked: good, and a place to roll back to"),
    (e.TargetFailed(reason="sick", fault=e.Fault.RELEASE), "failed (release): sick"),
    (e.TargetUnknown(reason="no answer"), "unknown, which counts as failed: no answer"),
    (e.TargetSkipped(reason="suspended"), "skipped: suspended"),
    (e.RollbackClaimed(release="intake@1.2.0"), "rollback of intake@1.2.0 began"),
    (e.TargetRolledBack(to="intake@1.1.0"), "rolled back to intake@1.1.0"),
    (e.TargetRolledBack(to=""), "rolled back: its first creation cleared itself"),
    (e.RollbackFailed(reason="denied"), "the rollback failed: denied"),
    (e.TargetQuarantined(reason="stuck", command="aws x"), "quarantined: stuck; a person types: aws x"),
    (e.TargetRecalled(release="intake@1.1.0"), "intake@1.1.0 is good here no more"),
    (e.TargetCleared(reason="looked"), "cleared by a person: looked"),
    (
        e.PreflightDone(passed_over=(e.PassedOver(target=SECOND[0], reason="closed"),), notes=("old alarm",)),
        "every account was looked at, passing over acme/us-east-1; noted: old alarm",
    ),
    (e.PreflightDone(), "every account was looked at"),
    (
        e.WaveGated(wave=2, gate=e.Gate.WINDOW, reason="night", deadline=NOW, until=START),
        "wave-2 waits until 2026-11-23 14:00:00Z: night",
    ),
    (
        e.WaveGated(wave=2, gate=e.Gate.APPROVAL, reason="somebody else", deadline=NOW),
        "wave-2 waits: somebody else",
    ),
    (
        e.TargetsDeferred(wave=1, to=2, targets=SECOND[:1], reason="asleep"),
        "canary: acme/us-east-1 go with wave-2: asleep",
    ),
    (
        e.BakeExtended(wave=1, until=START, reason="too few requests"),
        "canary bakes on until 2026-11-23 14:00:00Z: too few requests",
    ),
    (
        e.WaveJudged(wave=1, look=2, verdict=e.Verdict.PASS, reason="no worse", evidence=sha(1)),
        "canary was judged PASS at look 2: no worse (evidence 010101010101)",
    ),
    (
        e.WaveInconclusive(wave=1, reason="cannot tell", deadline=START),
        "canary waits for a person until 2026-11-23 14:00:00Z: cannot tell",
    ),
    (
        e.WaveDecided(wave=1, reason="seen it", evidence=sha(1)),
        "canary was let pass by a person, on evidence 010101010101: seen it",
    ),
    (e.WaveDecided(wave=1, reason="seen it"), "canary was let pass by a person: seen it"),
    (e.WavePassed(wave=1, hurried=True), "canary passed in a hurry: its last look is still to come"),
    (
        e.RunPaused(reason="lunch", by="sso:kim", deadline=START),
        "paused by sso:kim until 2026-11-23 14:00:00Z: lunch",
    ),
    (e.RetryOrdered(targets=SECOND[:1], reason="mended"), "acme/us-east-1 may be tried again: mended"),
    (
        e.LaneAsked(
            lane=e.Lane.EMERGENCY, reason="outage", skips=("wave 2: all", "wave 3: all"), ticket="I-7"
        ),
        (
            "somebody else is asked to approve promote --emergency (I-7): outage;"
            " it would skip wave 2: all; wave 3: all"
        ),
    ),
    (
        e.ApprovalGiven(subject="wave:2", plan=sha(41), by="github:kim", expires=START),
        "wave:2 of plan 292929292929 was approved by github:kim until 2026-11-23 14:00:00Z",
    ),
    (e.FollowUpScheduled(until=START), "what was hurried gets a last look at 2026-11-23 14:00:00Z"),
    (
        e.HeadsSigned(heads=(e.SignedHead(stream="a", seq=1, hash="b"),), key="k", signature="s"),
        "the heads of 1 stream were signed",
    ),
    (e.AlarmsBefore(names=("cpu", "5xx")), "in ALARM before anything was changed: cpu, 5xx"),
    (
        e.ChangeSetInspected(effect=sha(1), waived=("Table by kim",)),
        "the change set was read and allowed (effect 010101010101); waived: Table by kim",
    ),
    (e.TargetHealthy(changed=True, reason="cpu was in ALARM before"), "healthy; cpu was in ALARM before"),
    (e.TargetRetried(reason="mended"), "pending again, for another attempt: mended"),
    (
        e.SkipsChosen(resources=("Queue",), reason="by hand"),
        "a person lets its rollback go on without Queue: by hand",
    ),
    (e.TargetProtected(), "protected against deletion and replacement"),
    (e.TargetProtected(spared=("Table",)), "protected against deletion and replacement, all but Table"),
    (e.TargetUnprotected(reason="denied"), "could not be protected, which is tried again: denied"),
    (e.StackStuck(reason="no role"), "CloudFormation could not undo the operation: no role"),
    (e.ContinueIntended(action_id="ab"), "about to continue the stuck rollback as tg-ab"),
    (
        e.ContinueIntended(action_id="ab", skip=("Queue",)),
        "about to continue the stuck rollback as tg-ab, skipping Queue",
    ),
    (e.ContinueStarted(), "AWS continues the stuck rollback"),
    (e.ContinueAbandoned(reason="gone"), "nothing was continued: gone"),
    (
        e.StackContinued(status="UPDATE_ROLLBACK_COMPLETE", skipped=("Queue",)),
        "the stuck rollback came to its end: UPDATE_ROLLBACK_COMPLETE; it differs from its template in Queue",
    ),
    (
        e.StackImported(status="IMPORT_COMPLETE"),
        "the import has ended: IMPORT_COMPLETE; the release itself follows",
    ),
    (e.OrphansApart(logical_ids=("Table",)), "has to be imported before the release: Table"),
    (
        e.OrphansLeft(orphans=(e.Orphan(logical_id="Table", resource_type="T", physical_id="t"),)),
        "left in the account with their data: Table",
    ),
    (e.OrphansTaken(logical_ids=("Table",)), "taken back into the stack: Table"),
)


@pytest.mark.parametrize(("event", "text"), SENTENCES, ids=lambda value: type(value).__name__)
def test_an_event_is_told_in_one_sentence(event: e.Event, text: str) -> None:
    assert sentence(event, a_plan()) == text


def test_every_kind_of_event_is_told_above() -> None:
    assert {type(event) for event, _ in SENTENCES} == set(get_args(e.Event))


@pytest.mark.parametrize("run", Run)
def test_every_state_of_a_run_has_a_next_command(run: Run) -> None:
    assert all("release " in step for step in next_step(RELEASE, RunState(run=run), NOW))


def test_after_the_bake_the_next_command_is_promote_again() -> None:
    from tests.views.test_pages import baking

    assert next_step(RELEASE, baking(), NOW) == (
        "baking until 2026-11-23 14:20:00Z; then release promote intake@1.2.0",
    )
    assert next_step(RELEASE, baking(), NOW + timedelta(hours=1)) == ("release promote intake@1.2.0",)


def test_once_a_wave_is_approved_the_next_command_is_promote() -> None:
    events = (
        e.PlanFixed(plan=sha(41), waves=4),
        e.WaveGated(wave=0, gate=e.Gate.APPROVAL, reason="somebody else", deadline=START + timedelta(days=7)),
    )
    given = e.ApprovalGiven(
        subject="wave:0", plan=sha(41), by="sso:kim@example.com", expires=START + timedelta(days=1)
    )
    waiting = fold_run(entries("release/intake@1.2.0", *events, e.WaveStarted(wave=0), events[1]))
    approved = fold_run(entries("release/intake@1.2.0", *events, e.WaveStarted(wave=0), events[1], given))

    asked = ("somebody else than runner-1: release approve intake@1.2.0",)
    assert next_step(RELEASE, waiting, NOW) == asked
    assert next_step(RELEASE, approved, NOW) == ("release promote intake@1.2.0",)
    assert next_step(RELEASE, approved, NOW + timedelta(days=1)) == asked


def test_somebody_in_a_hurry_is_told_who_has_to_approve_it() -> None:
    events = (
        e.PlanFixed(plan=sha(41), waves=4),
        e.LaneAsked(lane=e.Lane.EMERGENCY, reason="outage", skips=()),
    )
    asked = fold_run(entries("release/intake@1.2.0", *events))

    assert next_step(RELEASE, asked, NOW) == (
        "release promote intake@1.2.0",
        "somebody else than runner-1: release approve intake@1.2.0 --lane emergency",
    )


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("a\r\nb\tc", "a b c"),
        ("bell\x07 null\x00 c1\x9b31m", "bell? null? c1"),
        ("right\u202eleft", "right?left"),
        ("caf\u00e9 \u2713", "caf\u00e9 \u2713"),
        ("\x1b", ""),
    ],
)
def test_text_from_elsewhere_cannot_steer_the_terminal(hostile: str, shown: str) -> None:
    assert plain(hostile) == shown


def test_markdown_from_elsewhere_is_shown_and_not_obeyed() -> None:
    assert escaped("<img src=x> [a](http://b) `c` **d** @kim |x|\n# e") == (
        r"&lt;img src=x&gt; \[a\]\(http://b\) \`c\` \*\*d\*\* \@kim \|x\| \# e"
    )
    assert len(escaped("&" * 1_000_000)) < 2_000


def test_spans_are_told_in_their_two_largest_units() -> None:
    lengths = (
        timedelta(days=1, hours=2, minutes=3),
        timedelta(seconds=200),
        timedelta(0),
        timedelta(seconds=-5),
    )
    assert [span(length) for length in lengths] == ["1d 2h", "3m 20s", "0s", "0s"]


def test_json_of_the_history_is_json() -> None:
    from pipeline.views.history import history_json
    from tests.views.worlds import run_events

    document = json.loads(json.dumps(history_json(run_events())))
    assert [(row["seq"], row["type"]) for row in document["events"]][:3] == [
        (1, "ReleaseBuilt"),
        (2, "ReleaseTested"),
        (3, "PlanFixed"),
    ]
