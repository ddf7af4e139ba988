"""Families D and M: stacks found in every status there is, and ways back that are not straight."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pipeline.adapters.simulated.cloud import Break
from pipeline.model import event as e
from pipeline.model.ending import EndingKind as Kind
from pipeline.model.ids import AccountId, TargetId
from pipeline.model.plan import PlannedTarget
from pipeline.model.stack import StackStatus
from pipeline.ports import Place
from stages.rollback import RollbackScope
from tests.faults.cases import Case, Family, seeds, set_stage, sharing
from tests.faults.kills import MOMENTS
from tests.faults.stage import Stage
from tests.faults.stories import STORIES, broken
from tests.faults.wire import Strike
from tests.simulation import SERVICE, a_fleet

__all__ = ["STACK_STATUSES", "WAYS_BACK"]

STACK = f"svc-{SERVICE}"
FOUR_WAVES, RECALLED = 1, 10

# --- D -------------------------------------------------------------------------------------------------------------

FOUND = (*StackStatus, None)
"""None: the stack is gone."""
WHEN = (
    "before the plan",
    "after the plan",
    "when it is claimed",
    "when its change set is made",
    "when it is executed",
    "before it goes back",
)


def _cases_d(large: bool) -> list[Case]:
    waves = (0, 1, 2, 3) if large else (2,)
    return [
        Case(seeds("D") + 100 * status + when, wave)
        for status in range(len(FOUND))
        for when in range(len(WHEN))
        for wave in waves
    ]


def _prepare_first(_case: Case, tmp: Path) -> Stage:
    return set_stage(replace(STORIES[FOUR_WAVES], fleet=a_fleet(5)), tmp, strict=False)


def _act_d(stage: Stage, case: Case) -> None:
    status, when = FOUND[case.number // 100], WHEN[case.number % 100]
    told = stage.plans[0].waves[min(case.place, len(stage.plans[0].waves) - 1)].targets[0]
    victim = stage.plans[0].target(told)
    stream = e.target_stream(SERVICE, victim.id)

    def found(_entry: e.Envelope | None = None) -> None:
        _is_found(stage, victim, status)

    moments: dict[str, type[e.Event]] = {
        "after the plan": e.PlanFixed,
        "when it is claimed": e.TargetClaimed,
        "when its change set is made": e.ChangeSetMade,
        "when it is executed": e.ExecutionStarted,
        "before it goes back": e.RollbackOrdered,
    }
    if when == "before the plan":
        found()
    else:
        anywhere = moments[when] in (e.PlanFixed, e.RollbackOrdered)
        stage.happens_when(moments[when], "" if anywhere else stream, found)
    stage.play(STORIES[RECALLED if when == "before it goes back" else FOUR_WAVES].tell)
    assert not [h for h in stage.cloud.history if h.how == "delete" and h.token], "a stack was deleted"


def _is_found(stage: Stage, victim: PlannedTarget, status: StackStatus | None) -> None:
    place = Place(victim.account, victim.id.region)
    if status is None:
        standing = stage.cloud.formation(place).find(STACK)
        if standing is not None:
            standing.protected = False  # whoever deletes it by hand has to switch that off first
            stage.cloud.deleted_by_hand(place, STACK)
    else:
        stage.cloud.by_hand(place, STACK, victim.desired, status)


_PLAY_D, _BATCH_D = sharing(_prepare_first, _act_d)
STACK_STATUSES = Family(
    letter="D",
    title="a stack is found in every status, or gone, before, in and after its turn",
    invariants=("I4", "I7", "I13", "I17"),
    cases=_cases_d,
    play=_PLAY_D,
    batch=_BATCH_D,
    scene=lambda _case: "four waves",
)

# --- M -------------------------------------------------------------------------------------------------------------

TROUBLES = (
    "the update is stuck",
    "going on is stuck as well",
    "the old template is gone",
    "by hand at another version",
    "the way back fails",
    "the way back is sick",
    "killed on the way back",
    "recalled meanwhile",
)
SCOPES = (
    RollbackScope(all=True),
    RollbackScope(wave=2),
    RollbackScope(wave=3),
    RollbackScope(wave=2, only=True),
)
PLACES = (1, 2, 3)


def _cases_m(large: bool) -> list[Case]:
    deaths = range(0, 60, 5) if large else range(0, 9, 3)
    return [
        Case(seeds("M") + 100 * trouble + 10 * scope + wave, death)
        for trouble in range(len(TROUBLES))
        for scope in range(len(SCOPES))
        for wave in PLACES
        for death in (deaths if TROUBLES[trouble] == "killed on the way back" else (0,))
    ]


def _act_m(stage: Stage, case: Case) -> None:
    trouble, scope = TROUBLES[case.number // 100], SCOPES[case.number // 10 % 10]
    plan = stage.plan("1.1.0")
    target = plan.waves[case.number % 10].targets[-1]
    victim = plan.target(target)

    def tell(stage: Stage) -> None:
        if trouble in ("the update is stuck", "going on is stuck as well"):
            broken(stage, "1.1.0", "deploy", case.number % 10)
            broken(stage, "1.1.0", "rollback", case.number % 10)
        if trouble == "going on is stuck as well":
            broken(stage, "1.1.0", "continue", case.number % 10)
        ending = stage.promote(plan)
        if ending.kind in (Kind.ROLLED_BACK, Kind.ROLLBACK_INCOMPLETE):
            return
        _goes_wrong(stage, trouble, victim, case)
        stage.rollback(plan, scope)

    stage.play(tell)


def _goes_wrong(stage: Stage, trouble: str, victim: PlannedTarget, case: Case) -> None:
    old = stage.client_template("1.0.0")
    first = stage.plans[0].target(victim.id)
    match trouble:
        case "the old template is gone":
            stage.cloud._releases.pop(old, None)
        case "by hand at another version":
            stage.cloud.by_hand(_place(victim), STACK, first.desired)
        case "the way back fails":
            stage.cloud.breaks(Break(template=old, how="deploy", account=victim.account))
        case "the way back is sick":
            stage.cloud.breaks(Break(template=old, how="alarm", account=victim.account))
        case "killed on the way back":
            _dies_soon(stage, case)
        case _:
            pass


def _dies_soon(stage: Stage, case: Case) -> None:
    due = len(stage.wire.seen) + 12 + 7 * case.place
    moment = MOMENTS[case.place % len(MOMENTS)]
    stage.wire.hook = lambda number, _label: Strike(moment=moment) if number == due else None


def _place(victim: PlannedTarget) -> Place:
    return Place(AccountId(victim.account), TargetId(victim.id.owner, victim.id.region).region)


_PLAY_M, _BATCH_M = sharing(_prepare_first, _act_m)
WAYS_BACK = Family(
    letter="M",
    title="the way back is stuck, gone, sick, overtaken by a hand, or dies",
    invariants=("I4", "I9", "I12", "I17"),
    cases=_cases_m,
    play=_PLAY_M,
    batch=_BATCH_M,
    scene=lambda _case: "four waves",
)
