"""Trying again: only what failed, only under the same plan, and not behind a person's back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from pipeline.errors import NotFound, ReleaseError, ReleaseHalted, ReleasePaused, UsageError
from pipeline.model import event as e
from pipeline.model.ids import TargetId
from pipeline.model.run_state import Run, WaveStatus
from pipeline.model.target_state import Phase, fold_target
from stages.promote import Admission
from stages.retry import retriable, retry
from tests.stages.desk import BOB, Desk

WHO = Admission(fence=9, actor=BOB)
FAILED = e.TargetFailed(reason="sick", fault=e.Fault.RELEASE)


def a_failed_wave() -> Desk:
    """c3 failed, c4 is unknown, c5 is healthy; the run has halted by itself."""
    desk = Desk()
    claim = e.TargetsClaimed(wave=2, targets=desk.plan.waves[2].targets)
    desk.began(*desk.through(2), e.WaveStarted(wave=2), claim)
    desk.claimed("c3", 2, FAILED)
    desk.claimed("c4", 2, e.TargetUnknown(reason="no answer"))
    desk.claimed("c5", 2, e.TargetHealthy(changed=True))
    return desk.say(e.WaveFailed(wave=2, reason="sick"), e.RunHalted(reason="sick", by="tidegate"))


def tried(desk: Desk, *only: str) -> tuple[TargetId, ...]:
    return retry(desk.plan, [desk.target(name) for name in only], "mended", desk.journal, desk.latch, WHO)


def phases(desk: Desk) -> list[Phase]:
    return [fold_target(desk.journal.read(desk.target_stream(c))).phase for c in ("c3", "c4", "c5")]


def refused(desk: Desk, doing: Callable[[], object]) -> ReleaseError:
    heads = {name: desk.journal.head(name) for name in desk.journal.streams("")}
    with pytest.raises(ReleaseError) as caught:
        doing()
    assert {name: desk.journal.head(name) for name in desk.journal.streams("")} == heads
    assert caught.value.state
    assert caught.value.remedy
    return caught.value


def test_what_waits_for_a_person_is_not_lifted_by_trying_again() -> None:
    desk = Desk()
    desk.began(*desk.through(2), e.WaveStarted(wave=2))
    desk.claimed("c3", 2, FAILED)
    desk.say(e.RunPaused(reason="lunch", by=BOB, deadline=desk.clock.now() + timedelta(days=1)))
    found = refused(desk, lambda: tried(desk))
    assert isinstance(found, ReleasePaused)
    assert found.problem == "intake@1.4.0 is paused: lunch"


def test_failed_and_unknown_targets_are_pending_again_as_another_attempt() -> None:
    desk = a_failed_wave()
    c3, c4 = desk.target("c3"), desk.target("c4")
    assert tried(desk) == (c3, c4)

    assert phases(desk) == [Phase.PENDING, Phase.PENDING, Phase.HEALTHY]
    assert [desk.journal.read(desk.target_stream(c))[-1].event for c in ("c3", "c4")] == [
        e.TargetRetried(reason="mended")
    ] * 2
    assert fold_target(desk.journal.read(desk.target_stream("c3"))).attempt == 1
    assert desk.last.event == e.RetryOrdered(targets=(c3, c4), reason="mended")
    assert (desk.last.actor, desk.last.fence) == (BOB, 9)
    assert (desk.run.run, desk.run.waves[2].status) == (Run.RUNNING, WaveStatus.DEPLOYING)
    assert desk.run.waves[2].claimed == {desk.target("c5")}


def test_one_of_them_may_be_named_also_twice() -> None:
    desk = a_failed_wave()

    assert tried(desk, "c4", "c4") == (desk.target("c4"),)
    assert phases(desk) == [Phase.FAILED, Phase.PENDING, Phase.HEALTHY]


def test_a_retry_that_died_half_way_is_picked_up_by_the_same_command() -> None:
    desk = a_failed_wave()
    desk.say_of("c3", e.TargetRetried(reason="mended"))
    assert retriable(desk.plan, desk.journal) == (desk.target("c3"), desk.target("c4"))

    assert tried(desk) == (desk.target("c3"), desk.target("c4"))
    assert [type(x.event).__name__ for x in desk.journal.read(desk.target_stream("c3"))] == [
        "TargetClaimed",
        "TargetFailed",
        "TargetRetried",
    ]
    assert retriable(desk.plan, desk.journal) == ()


def test_a_target_that_did_not_fail_is_not_tried_again() -> None:
    desk = a_failed_wave()

    error = refused(desk, lambda: tried(desk, "c5"))
    assert isinstance(error, UsageError)
    assert error.problem == "c5/us-east-1 is HEALTHY: only failed and unknown targets are tried again"
    assert isinstance(refused(desk, lambda: tried(desk, "zoe")), NotFound)


def test_where_nothing_failed_there_is_nothing_to_try_again() -> None:
    desk = Desk().began(e.WaveStarted(wave=0))

    assert "no target of intake@1.4.0 has failed" in refused(desk, lambda: tried(desk)).problem


def test_a_persons_halt_is_lifted_by_resume_and_not_by_a_retry() -> None:
    desk = a_failed_wave()
    desk.latch.close(str(desk.plan.release), "hands off", BOB)

    error = refused(desk, lambda: tried(desk))
    assert isinstance(error, ReleaseHalted)
    assert "release resume" in error.remedy


@pytest.mark.parametrize(
    "event",
    [
        e.RunEnded(outcome=e.Outcome.SUPERSEDED),
        e.RollbackOrdered(waves=(2,), reason="bad", by=BOB),
    ],
)
def test_a_run_that_has_ended_or_goes_back_tries_nothing_again(event: e.ReleaseEvent) -> None:
    desk = a_failed_wave().say(event)

    assert isinstance(refused(desk, lambda: tried(desk)), UsageError)


def test_a_quarantined_target_is_cleared_by_a_person_and_not_tried_again() -> None:
    desk = a_failed_wave()
    desk.say_of("c3", e.TargetQuarantined(reason="stuck", command="aws x"))

    assert retriable(desk.plan, desk.journal) == (desk.target("c4"),)
