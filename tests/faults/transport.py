"""Families C, G and K: calls that fail on the wire, stores that refuse or lose their answer, accounts nobody enters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from pipeline.adapters.simulated.faults import WIRE, Fault, FaultKind
from pipeline.errors import AnswerLost, OperationFailed, ReleaseError, StreamMoved, Throttled
from pipeline.model import event as e
from pipeline.model.ids import TargetId
from pipeline.model.policy import CanaryPolicy
from tests.faults.cases import Case, Family, seeds, set_stage, sharing
from tests.faults.kills import calls_of
from tests.faults.stage import QUICK, Stage
from tests.faults.stories import STORIES, Story, first_is_there
from tests.faults.wire import Strike
from tests.simulation import SERVICE, a_fleet

__all__ = ["ACCOUNTS", "STORES", "TRANSPORT"]

FOUR_WAVES = 1


def planned(stage: Stage) -> Stage:
    """With its next plan made before anything fails."""
    return stage.plan_ahead("1.1.0") if stage.plans else stage


# --- C: transport --------------------------------------------------------------------------------------------------

CALLS = (
    "describe",
    "create_change_set",
    "describe_change_set",
    "list_change_sets",
    "delete_change_set",
    "execute_change_set",
    "operation",
    "template",
    "function_digests",
    "alarms",
    "health",
    "*",
)
PASSING = (
    FaultKind.THROTTLED,
    FaultKind.UNAVAILABLE,
    FaultKind.BROKEN,
    FaultKind.BROKEN_APPLIED,
    FaultKind.NOT_SENT,
    FaultKind.LOST_APPLIED,
    FaultKind.LOST_NOT_APPLIED,
    FaultKind.RESET_APPLIED,
    FaultKind.RESET,
    FaultKind.GARBLED_APPLIED,
    FaultKind.GARBLED,
)
"""What a repetition, or a look, gets over: where it strikes once the release must end as if nothing had been."""
STAYING = (
    FaultKind.REFUSED,
    FaultKind.INVALID,
    FaultKind.QUOTA,
    FaultKind.EXPIRED,
    FaultKind.NO_CREDENTIALS,
)
KINDS = PASSING + STAYING
TIMES = (1, 3, 0)


def _parts_c(number: int) -> tuple[int, str, FaultKind, int]:
    """seed = 1000 x story + position in calls x kinds x times."""
    story, rest = divmod(number, 1000)
    call, rest = divmod(rest, len(KINDS) * len(TIMES))
    return story, CALLS[call], KINDS[rest // len(TIMES)], TIMES[rest % len(TIMES)]


def _cases_c(large: bool) -> list[Case]:
    every = len(CALLS) * len(KINDS) * len(TIMES)
    stories = range(len(STORIES)) if large else (FOUR_WAVES,)
    return [Case(seeds("C") + 1000 * story + number) for story in stories for number in range(every)]


def _prepare_c(case: Case, tmp: Path) -> Stage:
    story = _parts_c(case.number)[0]
    fleet = a_fleet(5) if story == FOUR_WAVES else STORIES[story].fleet
    return planned(set_stage(replace(STORIES[story], fleet=fleet), tmp))


def _act_c(stage: Stage, case: Case) -> None:
    """Every second kind of call fails in one client's account only, the others everywhere."""
    story, call, kind, times = _parts_c(case.number)
    stage.strict = kind in PASSING and times == 1
    account = stage.fleet.clients[0].account if CALLS.index(call) % 2 and call != "*" else None
    stage.cloud.fault(Fault(kind=kind, call=call, account=account, nth=2, times=times))
    stage.play(STORIES[story].tell)


_PLAY_C, _BATCH_C = sharing(_prepare_c, _act_c)
TRANSPORT = Family(
    letter="C",
    title="each call throttled, refused, cut off, garbled, or done and its answer lost: once, three times, for ever",
    invariants=("I1", "I4", "I9", "I17", "I18"),
    cases=_cases_c,
    play=_PLAY_C,
    batch=_BATCH_C,
    scene=lambda case: case.number // 1000,
)

# --- G: the stores -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Refusal:
    """methods: of a store that may answer so."""

    methods: tuple[str, ...]
    error: Callable[[], ReleaseError] | None
    applied: bool = False


REFUSALS = (
    _Refusal(("append",), lambda: StreamMoved("somebody was faster")),
    _Refusal(
        ("append", "take", "renew", "give_back"), lambda: AnswerLost("the store's answer is lost"), True
    ),
    _Refusal(
        ("append", "take", "renew", "read", "head", "current"),
        lambda: AnswerLost("nothing reached the store"),
    ),
    _Refusal(("append", "read", "head", "current"), lambda: Throttled("the store is throttled")),
    _Refusal(("append", "read", "head", "renew"), lambda: OperationFailed("the disk is full")),
    _Refusal(("head", "read"), None),
)
"""The last one is no refusal but an answer of a moment ago."""
SPREAD = 5
STORES_ONLY = ("journal", "leases", "latch")


def _cases_g(large: bool) -> list[Case]:
    found = []
    for number, story in enumerate(STORIES):
        calls = calls_of(0, story.name)
        for kind, refusal in enumerate(REFUSALS):
            places = [
                n
                for n, label in enumerate(calls, start=1)
                if label.partition(".")[0] in STORES_ONLY and label.partition(".")[2] in refusal.methods
            ]
            stride = 1 if large else max(1, len(places) // SPREAD)
            found += [Case(seeds("G") + 100 * kind + number, p) for p in places[number % stride :: stride]]
    return found


def _prepare_g(case: Case, tmp: Path) -> Stage:
    return planned(set_stage(STORIES[case.number % 100], tmp))


def _act_g(stage: Stage, case: Case) -> None:
    refusal = REFUSALS[case.number // 100]
    stage.strict, stage.rivals = False, True

    def hook(number: int, _label: str) -> Strike | None:
        if number != case.place:
            return None
        error = None if refusal.error is None else refusal.error()
        return Strike(error=error, applied=refusal.applied, stale=error is None)

    stage.wire.hook = hook
    stage.play(STORIES[case.number % 100].tell)


_PLAY_G, _BATCH_G = sharing(_prepare_g, _act_g)
STORES = Family(
    letter="G",
    title="a store loses a race, its answer or its calm, or answers as of a moment ago",
    invariants=("I8", "I9", "I14", "I17"),
    cases=_cases_g,
    play=_PLAY_G,
    batch=_BATCH_G,
    scene=lambda case: case.number % 100,
)

# --- K: accounts ---------------------------------------------------------------------------------------------------

SHUT = (
    FaultKind.SUSPENDED,
    FaultKind.PENDING_CLOSURE,
    FaultKind.MOVED,
    FaultKind.ROLE_GONE,
    FaultKind.EXTERNAL_ID,
    FaultKind.SCP,
    FaultKind.QUOTA,
    FaultKind.REGION_OFF,
    FaultKind.WRONG_ACCOUNT,
    FaultKind.YOUNG,
)
PHASES = ("before the plan", "before the wave", "change set made", "in mid-flight", "on the way back")


def _cases_k(large: bool) -> list[Case]:
    waves = (1, 2, 3) if large else (2,)
    return [
        Case(seeds("K") + 100 * kind + phase, wave)
        for kind in range(len(SHUT))
        for phase in range(len(PHASES))
        for wave in waves
    ]


WARY = Story(
    name="wary",
    prepare=first_is_there,
    tell=STORIES[FOUR_WAVES].tell,
    fleet=a_fleet(8),
    policy=replace(QUICK, canary=CanaryPolicy(clients=1, bake=timedelta(seconds=4)), max_in_flight=10),
)
"""So few are well when the last wave begins that whoever is left out and counted as well is noticed."""


def _prepare_k(_case: Case, tmp: Path) -> Stage:
    return set_stage(WARY, tmp, strict=False)


def _act_k(stage: Stage, case: Case) -> None:
    kind, phase = SHUT[case.number // 100], PHASES[case.number % 100]
    story = STORIES[10] if phase == "on the way back" else STORIES[FOUR_WAVES]
    name = stage.fleet.clients[2 + case.place].name
    if phase != "before the plan":
        name = stage.plan_ahead("1.1.0").plans[-1].waves[case.place].targets[0].owner
    client = stage.fleet.client(name)
    assert client is not None
    assert client.account is not None
    fault = Fault(kind=kind, account=client.account, times=0)
    stream = e.target_stream(SERVICE, TargetId(client.name, client.regions[0]))
    when: dict[str, type[e.Event]] = {
        "before the wave": e.WaveBaking,
        "change set made": e.ChangeSetMade,
        "in mid-flight": e.ExecutionStarted,
        "on the way back": e.RollbackClaimed,
    }
    if phase == "before the plan":
        stage.cloud.fault(fault)
    else:
        stage.shuts_when(when[phase], stream if phase != "before the wave" else "", fault)
    stage.play(story.tell)
    _nobody_is_in_the_wrong_place(stage)


def _nobody_is_in_the_wrong_place(stage: Stage) -> None:
    """I20: whatever changed lies in an account of the fleet, under a plan."""
    assert {h.place for h in stage.cloud.history} <= set(stage.check.record.places)


_PLAY_K, _BATCH_K = sharing(_prepare_k, _act_k)
ACCOUNTS = Family(
    letter="K",
    title="an account is suspended, leaves, loses its role, or leads elsewhere, at every phase",
    invariants=("I1", "I4", "I17", "I20"),
    cases=_cases_k,
    play=_PLAY_K,
    batch=_BATCH_K,
    scene=lambda _case: "four waves",
)
assert set(KINDS) <= set(WIRE), "every kind of fault is one that the cloud knows"
