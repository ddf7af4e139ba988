"""From a fleet and what was read of it to a plan: who is left out, in which waves, and what is the same for whom."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest

from pipeline.decide.planning import (
    PLAN_LIFE,
    Effect,
    Surroundings,
    assemble,
    effect_line,
    reason_to_skip,
    too_late,
    waiver_notes,
    with_times,
)
from pipeline.decide.skew import Known
from pipeline.decide.waves import Candidate, cut_waves
from pipeline.model.fleet import Client, Fleet, FleetService, Freeze, Pin, Tools, Window
from pipeline.model.ids import AccountId, TargetId
from pipeline.model.judging import JudgePolicy, MetricKind, MetricSpec
from pipeline.model.plan import (
    EffectGroup,
    EffectKind,
    Plan,
    PlannedTarget,
    SkippedTarget,
    TargetSkew,
    Wave,
    WaveKind,
)
from pipeline.model.policy import (
    REST,
    AlarmsBefore,
    CanaryPolicy,
    OnFail,
    OnFailPolicy,
    Pace,
    ServiceWavePolicy,
    WavePolicy,
    WaveSize,
)
from pipeline.model.release import BuiltStack, Manifest, Parameter
from pipeline.model.stack import ResourceChange, effect_of
from pipeline.model.target_state import Phase, TargetState
from pipeline.model.waiver import SignedWaiver, Waiver
from tests.decide.runs import NEW, NOW, RELEASE, digest_of, planned, t

ACME = Client(
    name="acme", account=AccountId("000000000001"), regions=("us-east-1",), services=("intake", "notify")
)
TODAY = date(2026, 1, 5)


def pinned(until: str, service: str = "intake") -> Client:
    return replace(ACME, pins=(Pin(service=service, reason="their audit", until=until),))


# --- who is left out ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("client", "state", "reason"),
    [
        (ACME, TargetState(), ""),
        (ACME, TargetState(phase=Phase.FAILED, reason="no answer"), ""),
        (ACME, TargetState(phase=Phase.QUARANTINED, reason="stuck"), "is quarantined: stuck"),
        (replace(ACME, suspended=True), TargetState(), "is suspended"),
        (
            replace(ACME, account=None),
            TargetState(),
            "has no account yet; run `release bootstrap client acme`",
        ),
        (pinned("2026-01-04"), TargetState(), ""),
        (pinned("2026-01-05"), TargetState(), "is pinned until 2026-01-05: their audit"),
        (pinned("2026-03-01"), TargetState(), "is pinned until 2026-03-01: their audit"),
        (pinned("2026-03-01", "notify"), TargetState(), ""),
    ],
)
def test_a_client_is_left_out_only_for_a_reason_it_can_be_told(
    client: Client, state: TargetState, reason: str
) -> None:
    assert reason_to_skip(client, "intake", state, TODAY) == reason


def test_a_pin_that_is_over_does_not_hide_one_that_holds() -> None:
    over, holds = (Pin(service="intake", reason=why, until=day) for why, day in
                   (("old", "2026-01-01"), ("new", "2026-02-01")))  # fmt: skip

    assert reason_to_skip(replace(ACME, pins=(over, holds)), "intake", TargetState(), TODAY) == (
        "is pinned until 2026-02-01: new"
    )


# --- what would change -------------------------------------------------------------------------

FORM = ResourceChange(logical_id="Form", resource_type="AWS::Lambda::Function", action="Modify")
FORMS = ResourceChange(
    logical_id="Forms", resource_type="AWS::DynamoDB::Table", action="Modify", replacement="False"
)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (FORM, "Modify Form (AWS::Lambda::Function)"),
        (FORMS, "Modify Forms (AWS::DynamoDB::Table)"),
        (replace(FORMS, replacement="True"), "Modify Forms (AWS::DynamoDB::Table), replaces it"),
        (replace(FORMS, replacement="Conditional"), "Modify Forms (AWS::DynamoDB::Table), may replace it"),
        (replace(FORMS, action="Remove", replacement=""), "Remove Forms (AWS::DynamoDB::Table)"),
    ],
)
def test_a_change_is_told_in_one_line(change: ResourceChange, line: str) -> None:
    assert effect_line(change) == line


def test_only_an_update_has_a_digest_to_be_compared_with() -> None:
    assert Effect(kind=EffectKind.UPDATE, changes=(FORM,)).digest == effect_of((FORM,))
    assert Effect(kind=EffectKind.CREATE, changes=(FORM,)).digest is None
    assert Effect(kind=EffectKind.NOTHING).digest is None


def test_effects_are_the_same_whatever_the_accounts_call_their_resources() -> None:
    here = (replace(FORM, physical_id="form-1"), FORMS)
    there = (FORMS, replace(FORM, physical_id="form-2", nested_change_set="arn:x"))

    assert effect_of(here) == effect_of(there)
    assert effect_of(here) != effect_of((FORM, replace(FORMS, replacement="True")))


# --- the whole plan ----------------------------------------------------------------------------

FLEET = Fleet(
    email="qa@example.com",
    tools=Tools(account=AccountId("111111111111"), release_key="key"),
    services=(FleetService(name="intake", account=AccountId("222222222222"), regions=("us-east-1",)),),
    clients=(
        replace(ACME, regions=("us-east-1", "eu-west-1")),
        replace(ACME, name="birch", ring="canary"),
        replace(ACME, name="cedar", ring="late"),
        replace(ACME, name="elm"),
        replace(ACME, name="fir", ring="late"),
    ),
    health_hosts=("*.example.com",),
)
ERRORS = MetricSpec(name="errors", kind=MetricKind.RATE, namespace="AWS/Lambda", errors="Errors")
POLICY = WavePolicy(
    service=ServiceWavePolicy(bake=timedelta(minutes=10)),
    canary=CanaryPolicy(clients=1, bake=timedelta(hours=1), min_requests=100),
    sizes=(WaveSize(1, "clients"), REST),
    bake=timedelta(hours=2),
    tolerance=1,
    max_skipped=3,
    max_in_flight=20,
    pace=Pace.FULL,
    on_fail=OnFailPolicy(service=OnFail.HOLD, canary=OnFail.ROLLBACK, wave=OnFail.HOLD),
    approvals=(1,),
    judge=JudgePolicy(metrics=(ERRORS,)),
)
MANIFEST = Manifest(
    release=RELEASE,
    digest=NEW.digest,
    commit=NEW.commit,
    stacks=(),
    artifacts=(),
    spec=digest_of("spec"),
)
CREATED = Effect(kind=EffectKind.CREATE, changes=(replace(FORM, action="Add"),))
UPDATED = Effect(kind=EffectKind.UPDATE, changes=(FORMS, FORM))
SAME = Effect(kind=EffectKind.NOTHING)


def read(target: str, effect: Effect) -> tuple[PlannedTarget, Effect]:
    found = planned(t(target))
    return replace(found, effect=effect.kind, effect_digest=effect.digest), effect


READ = (
    read("elm", UPDATED),
    read("cedar", CREATED),
    read("acme/eu-west-1", UPDATED),
    read("acme", replace(UPDATED, changes=(FORM, FORMS))),
    read("birch", UPDATED),
    read("fir", SAME),
    read("@intake", CREATED),
)


def the_plan(targets: tuple[tuple[PlannedTarget, Effect], ...] = READ, now: datetime = NOW) -> Plan:
    skipped = (
        SkippedTarget(id=t("oak"), reason="is suspended"),
        SkippedTarget(id=t("ash"), reason="is suspended"),
    )
    return assemble(MANIFEST, digest_of("envelope"), FLEET, POLICY, targets, skipped, now)


FEW = "statistics cannot fail a canary of 1 beside 4 on the old version: it waits for a person after its hard gates"


def test_a_plan_is_of_this_release_and_lives_for_a_day() -> None:
    plan = the_plan()

    assert replace(plan, targets=(), waves=(), groups=(), draw=None, etas=()) == Plan(
        release=RELEASE,
        digest=NEW.digest,
        manifest=digest_of("envelope"),
        created_at=NOW,
        expires_at=NOW + timedelta(hours=24),
        bucket_prefix="tidegate-artifacts-111111111111",
        health_hosts=("*.example.com",),
        targets=(),
        waves=(),
        skipped=(
            SkippedTarget(id=t("ash"), reason="is suspended"),
            SkippedTarget(id=t("oak"), reason="is suspended"),
        ),
        judge=POLICY.judge,
        notes=(FEW,),
    )
    assert timedelta(hours=24) == PLAN_LIFE


def test_waves_take_what_the_policy_gives_to_each_kind() -> None:
    service, canary, second, third = the_plan().waves
    middle = {client for client in ("acme", "elm") if t(client) in second.targets}

    assert service == Wave(
        name="service", kind=WaveKind.SERVICE, targets=(t("@intake"),), bake=timedelta(minutes=10),
        tolerance=0, max_in_flight=1, max_skipped=0, pace=Pace.STRICT, on_fail=OnFail.HOLD,
    )  # fmt: skip
    assert canary == Wave(
        name="canary", kind=WaveKind.CANARY, targets=(t("birch"),), bake=timedelta(hours=1),
        tolerance=0, max_in_flight=1, max_skipped=3, pace=Pace.STRICT, on_fail=OnFail.ROLLBACK,
        extend=timedelta(hours=1), min_requests=100, approval=True,
    )  # fmt: skip
    assert replace(second, targets=()) == Wave(
        name="wave-2", kind=WaveKind.WAVE, targets=(), bake=timedelta(hours=2),
        tolerance=1, max_in_flight=20, max_skipped=3, pace=Pace.FULL, on_fail=OnFail.HOLD,
    )  # fmt: skip
    assert replace(third, targets=()) == replace(second, name="wave-3", targets=())
    assert len(middle) == 1
    assert set(third.targets[-2:]) == {t("cedar"), t("fir")}


def test_targets_stand_in_the_order_in_which_their_turn_comes() -> None:
    plan = the_plan()

    assert [x.id for x in plan.targets] == [target for wave in plan.waves for target in wave.targets]


def test_a_plan_does_not_depend_on_the_order_in_which_accounts_answered() -> None:
    assert the_plan(tuple(reversed(READ))) == the_plan()


def test_targets_that_would_be_changed_alike_stand_together_the_largest_group_first() -> None:
    plan = the_plan()
    turn = {x.id: n for n, x in enumerate(plan.targets)}

    def in_turn(*names: str) -> tuple[TargetId, ...]:
        return tuple(sorted((t(name) for name in names), key=turn.__getitem__))

    assert plan.groups == (
        EffectGroup(
            effect=EffectKind.UPDATE,
            effect_digest=effect_of((FORM, FORMS)),
            targets=in_turn("acme", "acme/eu-west-1", "birch", "elm"),
            changes=("Modify Form (AWS::Lambda::Function)", "Modify Forms (AWS::DynamoDB::Table)"),
        ),
        EffectGroup(
            effect=EffectKind.CREATE,
            effect_digest=None,
            targets=in_turn("@intake", "cedar"),
            changes=("Add Form (AWS::Lambda::Function)",),
        ),
        EffectGroup(effect=EffectKind.NOTHING, effect_digest=None, targets=in_turn("fir"), changes=()),
    )


def test_first_creations_of_different_stacks_do_not_stand_together() -> None:
    other = Effect(kind=EffectKind.CREATE, changes=(replace(FORMS, action="Add"),))
    plan = the_plan((read("@intake", other), read("cedar", CREATED)))

    assert [group.targets for group in plan.groups] == [(t("@intake"),), (t("cedar"),)]


def test_a_client_of_whom_one_region_is_left_out_takes_part_with_the_other() -> None:
    plan = the_plan(tuple(pair for pair in READ if pair[0].id != t("acme")))

    assert [x.id for x in plan.targets if x.id.owner == "acme"] == [t("acme/eu-west-1")]
    assert t("acme") not in [target for wave in plan.waves for target in wave.targets]


def test_a_plan_for_nobody_has_no_waves() -> None:
    plan = the_plan(())

    assert (plan.targets, plan.waves, plan.groups) == ((), (), ())


# --- windows, freezes and pins ------------------------------------------------------------------

OFFICE = Window(days=("mon", "tue"), start="06:00", end="10:00", timezone="America/New_York")
YEARS_END = Freeze(
    reason="year's end", start=NOW - timedelta(days=1), end=NOW + timedelta(days=2), service="intake"
)


def in_a_fleet(*freezes: Freeze, **windows: Window) -> Fleet:
    """windows: by client."""
    clients = tuple(replace(c, window=windows.get(c.name, c.window)) for c in FLEET.clients)
    return replace(FLEET, clients=clients, freezes=freezes)


def plan_of(fleet: Fleet, policy: WavePolicy = POLICY, around: Surroundings | None = None) -> Plan:
    return assemble(MANIFEST, digest_of("envelope"), fleet, policy, READ, (), NOW, around)


def test_a_client_with_a_window_makes_room_at_the_end_for_those_who_come_late() -> None:
    plan = plan_of(in_a_fleet(elm=OFFICE))

    assert [wave.name for wave in plan.waves] == ["service", "canary", "wave-2", "wave-3", "wave-4"]
    assert plan.waves[-1].targets == ()
    assert plan.waves[:-1] == the_plan().waves
    assert [x.id for x in plan.targets if x.window is not None] == [t("elm")]
    assert plan.target(t("elm")).window == OFFICE


def test_a_freeze_goes_into_the_plan_with_every_target_that_it_speaks_of() -> None:
    over = replace(YEARS_END, end=NOW)
    of_another = replace(YEARS_END, service="notify")
    of_acme = replace(YEARS_END, service="", client="acme", start=NOW)
    plan = plan_of(in_a_fleet(of_acme, YEARS_END, over, of_another))

    assert plan.target(t("acme/eu-west-1")).freezes == (YEARS_END, of_acme)
    assert plan.target(t("elm")).freezes == (YEARS_END,)
    assert plan.target(t("@intake")).freezes == (YEARS_END,)
    assert plan.waves[-1].targets == ()


def test_pins_and_freezes_that_are_over_are_told() -> None:
    over = replace(YEARS_END, end=NOW - timedelta(minutes=1), service="")
    clients = (pinned("2026-01-04"), replace(pinned("2026-01-02", "notify"), name="elm"))
    fleet = replace(FLEET, clients=(*clients, *FLEET.clients[1:3]), freezes=(over,))
    ends = assemble(MANIFEST, digest_of("envelope"), fleet, POLICY, READ[1:2], (), NOW).notes

    assert ends == (
        "acme's pin expired after 2026-01-04 (their audit): it gets this release",
        "the freeze of the fleet ended on 2026-01-05 08:59Z (year's end); take it out of fleet.toml",
        FEW.replace("beside 4", "beside 0"),
    )


def test_a_client_whose_turn_would_come_too_late_is_known_before_the_run() -> None:
    policy = replace(POLICY, max_deferral=timedelta(days=1))
    elm = with_times(planned(t("elm")), in_a_fleet(YEARS_END), "intake", NOW)

    assert too_late(elm, POLICY, NOW) == ""
    assert too_late(elm, policy, NOW) == (
        "intake is frozen until 2026-01-07 09:00Z: year's end (a run waits for 1 day at most)"
    )


# --- who stands for what ------------------------------------------------------------------------


def test_the_draw_is_of_this_very_release_and_stands_in_the_plan() -> None:
    plan = the_plan()

    assert plan.draw is not None
    assert plan.draw.seed == f"intake@1.4.0 {NEW.digest}"
    assert plan.draw.canaries == ("birch",)
    assert plan.draw.uncovered == (
        "no canary client is in eu-west-1, where 1 client will be changed",
        "no canary client gets the change of 1 client: a first creation",
    )
    assert {x.id.owner: x.stratum for x in plan.targets} == {
        "@intake": "",
        "birch": "canary / us-east-1",
        "elm": "default / us-east-1",
        "acme": "default / us-east-1",
        "cedar": "late / us-east-1",
        "fir": "",
    }


def test_parameters_are_told_apart_by_which_are_set_and_not_by_what_they_are_set_to() -> None:
    stack = BuiltStack(
        role="client",
        template=digest_of("template"),
        unmarked=digest_of("unmarked"),
        parameters=(Parameter(name="Colour", type="String", default="#000"),),
    )
    values = {
        "acme": (("Client", "acme"), ("Colour", "#0a7")),
        "birch": (("Client", "birch"), ("Colour", "#c33")),
        "elm": (("Client", "elm"), ("Colour", "#000")),
    }
    targets = []
    for name, given in values.items():
        target, effect = read(name, UPDATED)
        targets.append((replace(target, desired=replace(target.desired, parameters=given)), effect))
    manifest, policy = replace(MANIFEST, stacks=(stack,)), replace(POLICY, canary=CanaryPolicy(clients=1))
    plan = assemble(manifest, digest_of("envelope"), FLEET, policy, targets, (), NOW)

    assert plan.draw is not None
    assert plan.draw.uncovered == ("no canary client sets the parameters of 1 client: none at all",)


# --- the rest of the policy ------------------------------------------------------------------------


def test_what_the_run_has_to_know_is_in_the_plan_and_not_in_the_file() -> None:
    policy = replace(
        POLICY,
        approvals=(2, 7),
        approval_life=timedelta(hours=8),
        waiting_deadline=timedelta(days=3),
        alarms_before=AlarmsBefore.RECORD,
        max_deferral=timedelta(days=10),
        emergency_bake=timedelta(minutes=2),
        max_skew=1,
        judge=JudgePolicy(metrics=(ERRORS,), alpha_permille=10),
    )
    plan = plan_of(FLEET, policy, Surroundings(rollback_safe=False, notes=("one thing",)))

    assert [wave.approval for wave in plan.waves] == [False, False, True, False]
    assert plan.notes == ("one thing", "an approval is asked for wave 7, which this plan does not have", FEW)
    assert (plan.approval_life, plan.waiting_deadline) == (timedelta(hours=8), timedelta(days=3))
    assert (plan.max_deferral, plan.emergency_bake) == (timedelta(days=10), timedelta(minutes=2))
    assert (plan.alarms_before, plan.max_skew, plan.rollback_safe) == (AlarmsBefore.RECORD, 1, False)
    assert plan.judge == policy.judge


def test_requests_that_nobody_counts_are_told_before_the_run() -> None:
    uncounted = replace(POLICY, judge=JudgePolicy())
    note = (
        "the canary is to see 100 requests, but no [[judge.metric]] counts them:"
        " it cannot pass without a person"
    )

    assert plan_of(FLEET, uncounted).notes == (note,)
    assert plan_of(FLEET, POLICY).notes == (FEW,)
    assert plan_of(FLEET, replace(uncounted, canary=CanaryPolicy(clients=1))).notes == ()


def test_who_lags_is_in_the_plan_also_where_it_is_left_out() -> None:
    known = tuple(Known(f"intake@1.{n}.0", baked=n != 2) for n in range(4))
    running = {t("elm"): "intake@1.0.0", t("oak"): "intake@1.1.0", t("acme"): "intake@1.3.0", t("fir"): ""}

    assert plan_of(FLEET, around=Surroundings(known=known, running=running)).skew == (
        TargetSkew(id=t("elm"), running="intake@1.0.0", behind=2),
        TargetSkew(id=t("oak"), running="intake@1.1.0", behind=1),
    )


def test_whoever_signed_a_waiver_is_named_where_it_lets_something_through() -> None:
    waiver = Waiver(
        release=RELEASE, logical_id="Forms", physical_id="forms-1", rule="removal", reason="moved to S3",
        approver="ann", expires=NOW + timedelta(days=1), client="acme",
    )  # fmt: skip
    signed = SignedWaiver(waiver=waiver, key="key", signature="sig")

    assert waiver_notes([(t("acme"), signed), (t("acme/eu-west-1"), signed)]) == (
        "ann waived removal of Forms at acme/us-east-1, acme/eu-west-1 until 2026-01-06 09:00Z: moved to S3",
    )


# --- how waves are cut -------------------------------------------------------------------------


def cut(clients: int, *sizes: WaveSize, canary: int = 1, served: bool = True) -> list[tuple[str, int]]:
    """(name, how many clients) of each wave."""
    candidates = [
        Candidate(client=f"c{n}", ring="default", targets=(t(f"c{n}"), t(f"c{n}/eu-west-1")))
        for n in range(clients)
    ]
    policy = replace(POLICY, canary=CanaryPolicy(clients=canary), sizes=sizes)
    service = (t("@intake"),) if served else ()
    waves = cut_waves(service, candidates, policy, "intake@1.4.0")
    return [(wave.name, len({target.owner for target in wave.targets})) for wave in waves]


@pytest.mark.parametrize(
    ("sizes", "waves"),
    [
        ((REST,), [20]),
        ((WaveSize(10, "%"), WaveSize(30, "%"), REST), [2, 6, 12]),
        ((WaveSize(1, "%"), REST), [1, 19]),
        ((WaveSize(26, "%"),), [6, 14]),
        ((WaveSize(3, "clients"), WaveSize(50, "%"), WaveSize(50, "%"), REST), [3, 10, 7]),
        ((WaveSize(99, "clients"), REST), [20]),
        ((WaveSize(5, "clients"), WaveSize(5, "clients")), [5, 5, 10]),
    ],
)
def test_sizes_are_of_the_clients_behind_the_canary_and_percentages_are_rounded_up(
    sizes: tuple[WaveSize, ...], waves: list[int]
) -> None:
    found = cut(23, *sizes, canary=3)

    assert found == [("service", 1), ("canary", 3), *((f"wave-{n}", many) for n, many in enumerate(waves, 2))]


def test_waves_are_numbered_alike_where_a_service_has_no_account_of_its_own() -> None:
    assert cut(3, WaveSize(1, "clients"), REST, served=False) == [("canary", 1), ("wave-2", 1), ("wave-3", 1)]


def test_a_fleet_as_small_as_its_canary_has_no_further_wave() -> None:
    assert cut(2, REST, canary=2) == [("service", 1), ("canary", 2)]
    assert cut(2, REST, canary=5) == [("service", 1), ("canary", 2)]
    assert cut(0, REST) == [("service", 1)]


def test_it_is_not_always_the_same_client_that_goes_first() -> None:
    candidates = [Candidate(client=f"c{n}", ring="default", targets=(t(f"c{n}"),)) for n in range(12)]
    first = {
        cut_waves((), candidates, POLICY, f"intake@1.{minor}.0")[0].targets[0].owner for minor in range(40)
    }

    assert len(first) > 6
