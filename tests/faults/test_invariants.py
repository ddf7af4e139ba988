"""The checker itself: what must never be said or done is noticed at once, under its own name."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.adapters.simulated.cloud import Break
from pipeline.model import event as e
from pipeline.model.plan import Plan
from pipeline.ports import Place
from tests.faults.sight import INVARIANTS, PLANTED, Broken
from tests.faults.stage import Stage
from tests.faults.stories import STORIES, first_is_there
from tests.simulation import SERVICE

Says = Callable[[Stage, Plan], None]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """1.1.0 has passed its service wave and stands before its canary."""
    stage = Stage(tmp_path)
    first_is_there(stage)
    stage.promote(stage.plan("1.1.0"), wave=0)
    return stage


def _says(stage: Stage, stream: str, *events: e.Event) -> None:
    head = stage.journal.head(stream)
    stage.journal.append(stream, events, expected=head.seq, fence=head.fence, actor="runner9")


def _of_run(stage: Stage, *events: e.Event) -> None:
    _says(stage, e.release_stream(stage.plans[-1].release), *events)


def _of_canary(stage: Stage, *events: e.Event) -> None:
    _says(stage, e.target_stream(SERVICE, stage.plans[-1].waves[1].targets[0]), *events)


def _claimed(plan: Plan) -> e.TargetClaimed:
    target = plan.target(plan.waves[1].targets[0])
    return e.TargetClaimed(release=str(plan.release), plan=_digest(plan), wave=1, desired=target.desired)


def _digest(plan: Plan) -> e.Digest:  # type: ignore[name-defined]
    from pipeline.model.plan import plan_digest

    return plan_digest(plan)


def _verified(stage: Stage) -> None:
    stage.check.verifies("runner9", str(stage.plans[-1].release))


def too_many_at_once(stage: Stage, plan: Plan) -> None:
    _verified(stage)
    _of_run(stage, e.WaveStarted(wave=1), e.TargetsClaimed(wave=1, targets=plan.waves[1].targets))


def a_wave_before_its_turn(stage: Stage, _plan: Plan) -> None:
    _verified(stage)
    _of_run(stage, e.WaveStarted(wave=2))


def an_unverified_wave(stage: Stage, _plan: Plan) -> None:
    _of_run(stage, e.WaveStarted(wave=1))


def a_target_claimed_twice(stage: Stage, plan: Plan) -> None:
    _of_canary(stage, _claimed(plan), _claimed(plan))


def a_bake_that_is_too_short(stage: Stage, plan: Plan) -> None:
    target = plan.waves[1].targets[0]
    _verified(stage)
    _of_run(stage, e.WaveStarted(wave=1), e.TargetsClaimed(wave=1, targets=(target,)))
    _of_run(stage, e.WaveBaking(wave=1, until=stage.clock.now() + timedelta(seconds=1)))


def a_halt_left_without_a_reason(stage: Stage, _plan: Plan) -> None:
    _of_run(stage, e.RunHalted(reason="odd", by="ann"), e.RunResumed(reason=""))


def a_halt_left_by_itself(stage: Stage, _plan: Plan) -> None:
    _of_run(stage, e.RunHalted(reason="odd", by="ann"))
    _of_run(stage, e.RollbackOrdered(waves=(0,), reason="why not", by="tidegate"))


def going_back_without_an_order(stage: Stage, plan: Plan) -> None:
    _of_canary(stage, e.RollbackClaimed(release=str(plan.release)))


def a_secret_repeated(stage: Stage, _plan: Plan) -> None:
    _of_canary(stage, e.TargetUnknown(reason=f"the answer was {PLANTED}"))


def health_that_is_none(stage: Stage, plan: Plan) -> None:
    account = plan.target(plan.waves[1].targets[0]).account
    stage.cloud.breaks(Break(template=stage.client_template("1.0.0"), how="alarm", account=account))
    _of_canary(stage, e.TargetJudged(verdict=e.Verdict.PASS, reason=""))


def a_change_nobody_intended(stage: Stage, plan: Plan) -> None:
    stage.check.changing("runner9", "0" * 32, lease_was_read=False)


def a_success_without_its_waves(stage: Stage, _plan: Plan) -> None:
    _of_run(stage, e.RunEnded(outcome=e.Outcome.SUCCEEDED))


def an_entry_changed_on_its_way(stage: Stage, plan: Plan) -> None:
    last = stage.entries[-1]
    stage.check.see(last)


WRONGS: tuple[tuple[str, Says], ...] = (
    ("I1", too_many_at_once),
    ("I2", a_wave_before_its_turn),
    ("I2", a_bake_that_is_too_short),
    ("I2", a_success_without_its_waves),
    ("I6", an_unverified_wave),
    ("I7", a_target_claimed_twice),
    ("I8", a_change_nobody_intended),
    ("I11", a_halt_left_without_a_reason),
    ("I11", a_halt_left_by_itself),
    ("I12", going_back_without_an_order),
    ("I14", an_entry_changed_on_its_way),
    ("I15", a_secret_repeated),
    ("I18", health_that_is_none),
)


@pytest.mark.parametrize(("invariant", "wrong"), WRONGS, ids=[wrong.__name__ for _, wrong in WRONGS])
def test_what_is_wrong_is_noticed_under_its_name(stage: Stage, invariant: str, wrong: Says) -> None:
    with pytest.raises(Broken) as broken:
        wrong(stage, stage.plans[-1])
    assert broken.value.invariant == invariant


def test_an_execution_under_a_token_that_no_journal_knows_is_noticed(stage: Stage) -> None:
    plan = stage.plans[-1]
    target = plan.target(plan.waves[1].targets[0])
    place = Place(target.account, target.id.region)
    stage.cloud.foreign_change_set(place, target.stack, target.desired, "tg-1")
    stage.clock.advance(timedelta(minutes=1))
    with pytest.raises(Broken, match="which no journal knows"):
        stage.cloud.stacks.execute_change_set(place, target.stack, "tg-1", "1" * 32)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_an_undisturbed_story_breaks_nothing(story: object, tmp_path: Path) -> None:
    from tests.faults.cases import set_stage
    from tests.faults.stories import Story

    assert isinstance(story, Story)
    stage = set_stage(story, tmp_path)
    stage.play(story.tell)
    assert stage.check.checks > len(stage.entries)


def test_every_invariant_has_a_sentence_and_a_name() -> None:
    assert [name for name, text in INVARIANTS.items() if not (name.startswith("I") and " " in text)] == []
