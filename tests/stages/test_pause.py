"""A pause, its end, and the decision that a judge could not make: words beside a runner, bound to what was shown."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from pipeline.errors import FenceLost, IntegrityBroken, ReleaseError, ReleasePaused, StreamMoved, UsageError
from pipeline.model import event as e
from pipeline.model.run_state import Run, RunState, WaveStatus
from stages.beside import say_beside
from stages.pause import decide_wave, pause, resume_pause, undecided_wave
from stages.rollback import resume
from tests.stages.desk import ADA, BOB, EVIDENCE, RUNNER, Desk

SHOWN = EVIDENCE.removeprefix("sha256:")[:12]


def paused(desk: Desk, reason: str = "lunch") -> RunState:
    return pause(desk.plan, reason, BOB, desk.journal, desk.latch, desk.clock)


def undecided(evidence: bool = True) -> Desk:
    """The judge has looked at the canary and cannot tell."""
    desk = Desk()
    deadline = desk.clock.now() + timedelta(days=7)
    look = e.WaveJudged(
        wave=1, look=1, verdict=e.Verdict.INCONCLUSIVE, reason="few requests", evidence=EVIDENCE
    )
    unclear = e.WaveInconclusive(
        wave=1, reason="few requests", deadline=deadline, evidence=EVIDENCE if evidence else None
    )
    return desk.began(*desk.through(1), e.WaveStarted(wave=1), look, unclear)


def refused(desk: Desk, doing: Callable[[], object]) -> ReleaseError:
    before = desk.entries
    with pytest.raises(ReleaseError) as caught:
        doing()
    assert desk.entries == before, "nothing may have been written"
    assert caught.value.state
    assert caught.value.remedy
    return caught.value


# --- pause -------------------------------------------------------------------------------------


def test_a_pause_stands_in_the_journal_with_its_reason_its_person_and_its_deadline() -> None:
    desk = Desk().began(e.WaveStarted(wave=0))
    run = paused(desk)

    deadline = desk.clock.now() + desk.plan.waiting_deadline
    assert desk.last.event == e.RunPaused(reason="lunch", by=BOB, deadline=deadline)
    assert (run.run, run.paused_because, run.paused_by) == (Run.PAUSED, "lunch", BOB)
    assert desk.run == run


def test_a_pause_outdates_no_runner() -> None:
    desk = Desk().began(e.WaveStarted(wave=0))
    paused(desk)

    assert (desk.last.fence, desk.last.actor) == (RUNNER.fence, BOB)
    desk.say(e.WaveBaking(wave=0, until=desk.clock.now()))
    assert desk.run.run is Run.PAUSED


def test_a_runner_that_speaks_at_the_same_time_is_heard_as_well() -> None:
    desk = Desk().began(e.WaveStarted(wave=0))
    spoken: list[RunState] = []

    def decide(run: RunState) -> tuple[e.ReleaseEvent, ...]:
        if not spoken:
            spoken.append(run)
            desk.say(e.WavePassed(wave=0))
        return (e.RunPaused(reason="lunch", by=BOB, deadline=desk.clock.now()),)

    run = say_beside(desk.journal, desk.plan.release, decide, BOB)
    assert run.waves[0].status is WaveStatus.PASSED
    assert [type(x.event).__name__ for x in desk.entries[-2:]] == ["WavePassed", "RunPaused"]


def test_a_stream_that_never_stands_still_is_given_up() -> None:
    desk = Desk().began(e.WaveStarted(wave=0))

    def decide(_run: RunState) -> tuple[e.ReleaseEvent, ...]:
        desk.say(e.WaveJudging(wave=0))
        return (e.RunResumed(reason="x"),)

    with pytest.raises((StreamMoved, FenceLost)):
        say_beside(desk.journal, desk.plan.release, decide, BOB)


def test_to_pause_twice_changes_nothing() -> None:
    desk = Desk().began(e.WaveStarted(wave=0))
    first = paused(desk)
    before = desk.entries

    assert paused(desk, "again") == first
    assert desk.entries == before


@pytest.mark.parametrize(
    ("events", "problem"),
    [
        ((e.RunHalted(reason="sick", by="tidegate"),), "is halted already: sick"),
        ((e.RollbackOrdered(waves=(0,), reason="bad", by=ADA),), "is being rolled back"),
        ((e.RunEnded(outcome=e.Outcome.SUCCEEDED),), "is not under way: it is SUCCEEDED"),
    ],
)
def test_only_what_is_under_way_is_paused(events: tuple[e.ReleaseEvent, ...], problem: str) -> None:
    desk = Desk().began(*events)

    assert problem in refused(desk, lambda: paused(desk)).problem


def test_a_halt_that_no_runner_has_seen_yet_is_no_pause() -> None:
    desk = Desk().began(e.WaveStarted(wave=0))
    desk.latch.close(str(desk.plan.release), "the phones ring", BOB)

    assert "is halted already: the phones ring" in refused(desk, lambda: paused(desk)).problem


# --- its end -----------------------------------------------------------------------------------


def test_a_pause_ends_beside_the_runner_and_forgives_nothing() -> None:
    desk = Desk().began(e.WaveStarted(wave=0))
    paused(desk)
    run = resume_pause(desk.plan, "back", BOB, desk.journal)

    assert desk.last.event == e.RunResumed(reason="back")
    assert (run.run, run.paused_because, run.waiting_until) == (Run.RUNNING, "", None)
    assert desk.last.fence == RUNNER.fence


def test_what_is_not_paused_is_not_resumed_as_a_pause() -> None:
    desk = Desk().began(e.WaveStarted(wave=0))

    error = refused(desk, lambda: resume_pause(desk.plan, "back", BOB, desk.journal))
    assert isinstance(error, UsageError)
    assert error.problem == f"{desk.plan.release} is not paused: it is RUNNING"


def test_a_paused_run_whose_halt_was_ordered_meanwhile_comes_back_from_both() -> None:
    desk = Desk().began(e.WaveStarted(wave=0))
    paused(desk)
    desk.latch.close(str(desk.plan.release), "the phones ring", BOB)
    run = resume(desk.plan, "all is well", desk.journal, desk.latch, RUNNER)

    assert run.run is Run.RUNNING
    assert desk.latch.read(str(desk.plan.release)) is None
    assert [type(x.event).__name__ for x in desk.entries[-2:]] == ["RunHalted", "RunResumed"]


# --- what the judge could not tell -------------------------------------------------------------


def test_an_undecided_wave_is_not_passed_by_resuming() -> None:
    desk = undecided()
    assert undecided_wave(desk.run) == 1

    for doing in (
        lambda: resume_pause(desk.plan, "go on", BOB, desk.journal),
        lambda: decide_wave(desk.plan, "go on", "", BOB, desk.journal),
    ):
        error = refused(desk, doing)
        assert isinstance(error, ReleasePaused)
        assert f"--evidence {SHOWN}" in error.remedy
        assert "release rollback intake@1.4.0 --wave 1" in error.remedy


@pytest.mark.parametrize("shown", [SHOWN, EVIDENCE, SHOWN.upper(), EVIDENCE.removeprefix("sha256:")])
def test_a_person_lets_it_pass_on_the_evidence_that_was_shown(shown: str) -> None:
    desk = undecided()
    run = decide_wave(desk.plan, "seen the graphs", shown, BOB, desk.journal)

    assert desk.last.event == e.WaveDecided(wave=1, reason="seen the graphs", evidence=EVIDENCE)
    assert desk.last.actor == BOB
    assert run.run is Run.RUNNING
    assert run.waves[1].decided


@pytest.mark.parametrize("shown", ["0" * 12, SHOWN[:11], SHOWN + "0", "latest"])
def test_evidence_that_is_not_at_hand_decides_nothing(shown: str) -> None:
    desk = undecided()

    error = refused(desk, lambda: decide_wave(desk.plan, "fine", shown, BOB, desk.journal))
    assert isinstance(error, IntegrityBroken)
    assert SHOWN in error.problem


def test_a_decision_is_for_one_wave_and_once() -> None:
    desk = undecided()
    decide_wave(desk.plan, "seen", SHOWN, BOB, desk.journal)

    error = refused(desk, lambda: decide_wave(desk.plan, "seen", SHOWN, BOB, desk.journal))
    assert "no wave of intake@1.4.0 waits for a decision" in error.problem
    deadline = desk.clock.now() + timedelta(days=7)
    desk.say(
        e.WavePassed(wave=1),
        e.WaveStarted(wave=2),
        e.WaveInconclusive(wave=2, reason="dark", deadline=deadline, evidence=EVIDENCE),
    )
    assert undecided_wave(desk.run) == 2


def test_where_there_is_no_evidence_none_is_asked_for() -> None:
    desk = undecided(evidence=False)
    run = decide_wave(desk.plan, "seen elsewhere", "", BOB, desk.journal)

    assert desk.last.event == e.WaveDecided(wave=1, reason="seen elsewhere")
    assert run.run is Run.RUNNING


def test_a_wave_that_nobody_decided_in_time_is_resumed_before_it_is_decided() -> None:
    desk = undecided().say(e.RunHalted(reason="nobody decided in time", by="tidegate"))
    error = refused(desk, lambda: decide_wave(desk.plan, "seen", SHOWN, BOB, desk.journal))
    assert "is HALTED, and that comes first" in error.problem

    assert resume(desk.plan, "back", desk.journal, desk.latch, RUNNER).run is Run.PAUSED
    assert decide_wave(desk.plan, "seen", SHOWN, BOB, desk.journal).run is Run.RUNNING
