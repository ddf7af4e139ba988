"""Which plan may begin, and what the end of one means for whoever waits for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.adapters.simulated.cloud import Break
from pipeline.errors import (
    ApprovalMissing,
    EffectDiffers,
    EvidenceMissing,
    IntegrityBroken,
    LeaseHeld,
    NotFound,
    PlanStale,
    ReleaseError,
    ReleaseHalted,
    ReleasePaused,
    RollbackIncomplete,
)
from pipeline.model import event as e
from pipeline.model.ending import Ending, EndingKind
from pipeline.model.ids import AccountId, Digest, ReleaseName, TargetId
from pipeline.model.plan import Deployable, Plan, plan_digest
from pipeline.model.release import Evidence
from pipeline.model.run_state import Run, RunState, WaveState, WaveStatus, fold_run
from pipeline.model.target_state import Phase, TargetState
from pipeline.ports import Place
from stages.pause import pause
from stages.promote import Admission, active_release, admit, error_of, read_targets
from stages.rollback import RollbackScope
from tests.simulation import SERVICE, Company, digest_of

WHO = Admission(fence=50, actor="ann")
C3 = TargetId("c3", "us-east-1")


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return Company(tmp_path)


def admitted(company: Company, plan: Plan, who: Admission = WHO) -> RunState:
    return admit(plan, company.journal, company.clock, who)


def refused(company: Company, plan: Plan) -> ReleaseError:
    """Why the plan may not begin; nothing may have been written."""
    before = {name: company.journal.head(name) for name in company.journal.streams("")}
    with pytest.raises(ReleaseError) as caught:
        admitted(company, plan)
    assert {name: company.journal.head(name) for name in company.journal.streams("")} == before
    return caught.value


def said(fault: ReleaseError) -> tuple[type[ReleaseError], int, str, str, str]:
    return type(fault), fault.exit_code, fault.problem, fault.state, fault.remedy


def planned(company: Company, version: str) -> Plan:
    company.build(version)
    return company.plan(version)


def tell(company: Company, version: str, *events: e.ReleaseEvent) -> None:
    stream = e.release_stream(ReleaseName(SERVICE, version))
    head = company.journal.head(stream)
    company.journal.append(stream, events, expected=head.seq, fence=head.fence, actor="ci")


def tell_target(company: Company, target: TargetId, *events: e.TargetEvent) -> None:
    stream = e.target_stream(SERVICE, target)
    company.journal.append(
        stream, events, expected=company.journal.head(stream).seq, fence=0, actor="runner1"
    )


# --- a plan that may begin ---------------------------------------------------------------------


def test_a_plan_that_may_begin_is_fixed_in_the_releases_journal(company: Company) -> None:
    plan = planned(company, "1.0.0")
    run = admitted(company, plan)
    last = company.journal.read(e.release_stream(plan.release))[-1]

    assert last.event == e.PlanFixed(plan=plan_digest(plan), waves=len(plan.waves))
    assert (last.actor, last.fence) == ("ann", 50)
    assert (run.run, run.plan, run.waves) == (
        Run.PLANNED, plan_digest(plan), tuple(WaveState() for _ in plan.waves)
    )  # fmt: skip


def test_the_same_plan_again_is_gone_on_with_and_not_fixed_twice(company: Company) -> None:
    plan = planned(company, "1.0.0")
    first = admitted(company, plan)
    before = company.events("1.0.0")

    assert admitted(company, plan) == first
    assert company.events("1.0.0") == before


def test_a_plan_that_has_begun_goes_on_although_its_day_is_over(company: Company) -> None:
    plan = planned(company, "1.0.0")
    run = admitted(company, plan)
    company.clock.advance(timedelta(days=3))

    assert admitted(company, plan) == run


def test_a_release_that_has_ended_may_be_promoted_again_under_a_new_plan(company: Company) -> None:
    first = planned(company, "1.0.0")
    company.promote(first)
    company.clock.advance(timedelta(minutes=1))
    second = company.plan("1.0.0")

    assert plan_digest(second) != plan_digest(first)
    assert admitted(company, second).plan == plan_digest(second)


def test_what_another_plan_said_of_a_target_is_not_this_plans_state(company: Company) -> None:
    company.promote(planned(company, "1.0.0"))
    plan = planned(company, "1.1.0")
    fresh = read_targets(company.journal, plan)

    assert {state.phase for state in fresh.values()} == {Phase.PENDING}
    assert {state.observed for state in fresh.values()} == {"intake@1.0.0"}
    assert {tuple(good.release for good in state.goods) for state in fresh.values()} == {("intake@1.0.0",)}


# --- evidence ----------------------------------------------------------------------------------


def evidence(company: Company, *, passed: int, failed: int, of: Digest | None = None) -> Evidence:
    manifest = company.manifest("1.0.0")
    return Evidence(
        release="intake@1.0.0",
        digest=manifest.digest if of is None else of,
        accounts=("~t1",),
        passed=passed,
        failed=failed,
        skipped=0,
        seconds=9,
    )


def untested(company: Company) -> Plan:
    manifest = company.manifest("1.0.0")
    built = e.ReleaseBuilt(digest=manifest.digest, manifest=digest_of("1.0.0"), commit=manifest.commit)
    tell(company, "1.0.0", built)
    return company.plan("1.0.0")


def test_a_release_that_was_never_tested_is_refused(company: Company) -> None:
    assert said(refused(company, untested(company))) == (
        EvidenceMissing,
        8,
        "intake@1.0.0 did not pass `release test`",
        "nothing was touched",
        "run `release test intake@1.0.0`",
    )


@pytest.mark.parametrize(
    ("passed", "failed", "problem"),
    [
        (11, 1, "intake@1.0.0 failed its tests: 1 failed, 11 passed"),
        (0, 2, "intake@1.0.0 failed its tests: 2 failed, 0 passed"),
        (0, 0, "intake@1.0.0 failed its tests: 0 failed, 0 passed"),
    ],
)
def test_a_release_whose_tests_failed_or_did_not_run_is_refused(
    company: Company, passed: int, failed: int, problem: str
) -> None:
    plan = untested(company)
    tell(company, "1.0.0", e.ReleaseTested(evidence=evidence(company, passed=passed, failed=failed)))

    assert said(refused(company, plan))[:3] == (EvidenceMissing, 8, problem)


def test_tests_of_another_digest_prove_nothing(company: Company) -> None:
    plan = untested(company)
    other = evidence(company, passed=3, failed=0, of=digest_of("another build"))
    tell(company, "1.0.0", e.ReleaseTested(evidence=other))

    assert said(refused(company, plan))[:3] == (
        EvidenceMissing,
        8,
        "intake@1.0.0 did not pass `release test`",
    )


def test_the_newest_tests_count(company: Company) -> None:
    plan = untested(company)
    for failed in (0, 1):
        tested = e.ReleaseTested(evidence=evidence(company, passed=3, failed=failed))
        tell(company, "1.0.0", tested)
    assert isinstance(refused(company, plan), EvidenceMissing)

    tell(company, "1.0.0", e.ReleaseTested(evidence=evidence(company, passed=3, failed=0)))
    assert admitted(company, plan).run is Run.PLANNED


# --- a plan of something else ------------------------------------------------------------------


def test_a_plan_of_another_digest_is_refused(company: Company) -> None:
    plan = planned(company, "1.0.0")
    other = replace(plan, digest=digest_of("release 6.6.6"))

    assert said(refused(company, other)) == (
        IntegrityBroken,
        7,
        f"the plan is for {other.digest}, but intake@1.0.0 is {plan.digest}",
        "nothing was touched",
        "make a new plan with `release plan intake@1.0.0`",
    )


def test_a_plan_of_a_release_that_nobody_has_heard_of_is_refused(company: Company) -> None:
    plan = replace(planned(company, "1.0.0"), release=ReleaseName(SERVICE, "9.9.9"))

    assert said(refused(company, plan)) == (
        NotFound,
        2,
        "there is no release intake@9.9.9",
        "",
        "build it with `release build intake`, from a commit tagged intake/9.9.9",
    )


# --- a plan that is too old --------------------------------------------------------------------


def test_a_plan_is_refused_after_its_day_and_not_before(company: Company) -> None:
    plan = planned(company, "1.0.0")
    company.clock.advance(timedelta(hours=24, milliseconds=1))

    assert said(refused(company, plan)) == (
        PlanStale,
        9,
        "the plan was made at 2026-01-05 09:00 UTC and has expired",
        "",
        "make a new one with `release plan intake@1.0.0`",
    )
    company.clock.advance(timedelta(milliseconds=-1))
    assert admitted(company, plan).run is Run.PLANNED


def test_a_plan_is_refused_when_a_target_has_been_changed_since(company: Company) -> None:
    company.promote(planned(company, "1.0.0"))
    stale = planned(company, "1.1.0")
    company.clock.advance(timedelta(minutes=1))
    company.promote(planned(company, "1.2.0"))
    changed = company.journal.read(e.target_stream(SERVICE, stale.targets[0].id))
    at = next(x.at for x in changed if x.at > stale.created_at)

    assert said(refused(company, stale)) == (
        PlanStale,
        9,
        f"@intake/us-east-1 has been changed since the plan was made, at {at:%H:%M:%S} UTC",
        "",
        "make a new one with `release plan intake@1.1.0`",
    )


def test_a_plan_is_refused_when_a_target_has_been_rolled_back_since(company: Company) -> None:
    company.promote(planned(company, "1.0.0"))
    company.clock.advance(timedelta(minutes=1))
    last = planned(company, "1.1.0")
    company.promote(last)
    company.clock.advance(timedelta(minutes=1))
    stale = planned(company, "1.2.0")
    company.clock.advance(timedelta(minutes=1))
    company.rollback(last, RollbackScope(target=C3))

    assert isinstance(refused(company, stale), PlanStale)
    assert company.runs()[str(C3)] == "1.0.0"


def test_a_plan_is_not_refused_for_what_happened_before_it_was_made(company: Company) -> None:
    company.promote(planned(company, "1.0.0"))
    company.clock.advance(timedelta(minutes=1))

    assert admitted(company, planned(company, "1.1.0")).run is Run.PLANNED


# --- one at a time -----------------------------------------------------------------------------


def test_a_release_waits_for_another_one_that_is_under_way(company: Company) -> None:
    company.promote(planned(company, "1.0.0"), wave=1)
    later = planned(company, "1.1.0")

    assert said(refused(company, later)) == (
        LeaseHeld,
        5,
        "intake@1.0.0 is under way and intake@1.1.0 has to wait",
        "intake@1.0.0 is RUNNING",
        (
            "`release promote intake@1.0.0` goes on with it; `release halt intake@1.0.0 --reason …` or `release pause"
            " intake@1.0.0 --reason …` makes it give way"
        ),
    )


def test_a_release_waits_for_another_one_that_is_rolling_back(company: Company) -> None:
    company.promote(planned(company, "1.0.0"), wave=1)
    tell(company, "1.0.0", e.RollbackOrdered(waves=(1,), reason="because", by="ann"))
    later = planned(company, "1.1.0")

    assert said(refused(company, later))[:4] == (
        LeaseHeld,
        5,
        "intake@1.0.0 is under way and intake@1.1.0 has to wait",
        "intake@1.0.0 is ROLLING_BACK",
    )


def halted(company: Company, version: str) -> Plan:
    plan = planned(company, version)
    company.promote(plan, wave=1)
    company.latch.close(f"{SERVICE}@{version}", "looks odd", "ann")
    assert company.promote(plan).kind is EndingKind.HALTED
    company.clock.advance(timedelta(minutes=1))
    return plan


def test_a_halted_release_gives_way_to_the_next_and_stays_where_it_is(company: Company) -> None:
    company.promote(planned(company, "1.0.0"))
    old = halted(company, "1.1.0")
    before = company.runs()
    new = planned(company, "1.2.0")
    admitted(company, new)

    assert company.run(old).run is Run.SUPERSEDED
    assert company.events("1.1.0")[-1] == e.RunEnded(outcome=e.Outcome.SUPERSEDED)
    assert company.run(new).run is Run.PLANNED
    assert company.runs() == before
    active = active_release(company.journal, SERVICE)
    assert active is not None
    assert active[0] == new.release


def test_a_halted_release_gives_way_only_when_nothing_of_it_is_in_flight(company: Company) -> None:
    old = halted(company, "1.0.0")
    open_one = old.waves[2].targets[0]
    wanted = old.target(open_one).desired
    started = e.TargetClaimed(release="intake@1.0.0", plan=plan_digest(old), wave=2, desired=wanted)
    tell_target(company, open_one, started)
    # Planned after the claim, so that nothing but the open target stands in the way.
    company.clock.advance(timedelta(minutes=1))
    new = planned(company, "1.1.0")

    assert said(refused(company, new))[:3] == (
        LeaseHeld,
        5,
        f"{open_one} is still in flight for intake@1.0.0, which starts nothing more",
    )
    tell_target(company, open_one, e.TargetReleased(reason="halted"))
    assert admitted(company, new).run is Run.PLANNED


def test_a_paused_release_gives_way_too_and_the_way_back_stays_the_last_verified_one(
    company: Company,
) -> None:
    company.promote(planned(company, "1.0.0"))
    company.clock.advance(timedelta(minutes=1))
    old = planned(company, "1.1.0")
    company.promote(old, blocked=True)
    pause(old, "wait", "sso:kim", company.journal, company.latch, company.clock)
    assert company.promote(old).kind is EndingKind.PAUSED
    company.clock.advance(timedelta(minutes=1))
    new = planned(company, "1.2.0")
    assert company.promote(new).kind is EndingKind.SUCCEEDED

    assert company.run(old).run is Run.SUPERSEDED
    # 1.1.0 was healthy there and never baked.
    (service,) = new.waves[0].targets
    back = read_targets(company.journal, new)[service].previous_good
    assert back is not None
    assert back.release == "intake@1.0.0"


def test_a_refused_plan_supersedes_nothing(company: Company) -> None:
    old = halted(company, "1.0.0")
    stale = planned(company, "1.1.0")
    company.clock.advance(timedelta(days=2))

    assert isinstance(refused(company, stale), PlanStale)
    assert company.run(old).run is Run.HALTED


def test_releases_of_other_services_are_nobodys_business(company: Company) -> None:
    company.promote(planned(company, "1.0.0"), wave=1)

    assert active_release(company.journal, "notify") is None
    assert active_release(company.journal, "intak") is None
    active = active_release(company.journal, SERVICE)
    assert active == (ReleaseName(SERVICE, "1.0.0"), fold_run(company.journal.read("release/intake@1.0.0")))


def test_a_release_under_way_is_not_given_a_second_plan(company: Company) -> None:
    first = planned(company, "1.0.0")
    company.promote(first, wave=1)
    company.clock.advance(timedelta(minutes=1))
    second = company.plan("1.0.0")

    assert said(refused(company, second)) == (
        PlanStale,
        9,
        f"intake@1.0.0 is already being promoted under the plan {plan_digest(first)[7:19]}",
        "nothing was touched; that plan keeps the windows, freezes and waves it was made with",
        (
            "go on with `release promote intake@1.0.0`; or take it back first, to begin anew:"
            " `release rollback intake@1.0.0 --all --reason …`"
        ),
    )


def test_a_halted_release_is_resumed_or_rolled_back_and_not_planned_anew(company: Company) -> None:
    halted(company, "1.0.0")

    assert said(refused(company, company.plan("1.0.0"))) == (
        ReleaseHalted,
        3,
        "intake@1.0.0 is halted under another plan: looks odd",
        "",
        "`release resume intake@1.0.0 --reason …` or `release rollback intake@1.0.0 --all`",
    )


# --- what an ending means ----------------------------------------------------------------------


def meaning(
    plan: Plan, kind: EndingKind, run: RunState, states: Sequence[TargetState] = ()
) -> ReleaseError | None:
    fine = TargetState(phase=Phase.HEALTHY)
    many = len(plan.targets)
    targets = dict(zip((x.id for x in plan.targets), [*states, *[fine] * (many - len(states))], strict=True))
    return error_of(plan, Ending(kind=kind, reason="no answer"), run, targets)


@pytest.mark.parametrize(
    "kind",
    [
        EndingKind.SUCCEEDED,
        EndingKind.BAKING,
        EndingKind.WAVE_PASSED,
        EndingKind.INTERRUPTED,
        EndingKind.WAITING,
    ],
)
def test_an_ending_as_planned_is_no_error(company: Company, kind: EndingKind) -> None:
    assert meaning(planned(company, "1.0.0"), kind, RunState()) is None


def test_a_release_that_gave_way_has_not_arrived_and_exits_3(company: Company) -> None:
    fault = meaning(planned(company, "1.0.0"), EndingKind.SUPERSEDED, RunState())
    assert fault is not None
    assert fault.exit_code == 3
    assert fault.problem == "intake@1.0.0 has given way to a later release and goes no further"


def test_a_halt_exits_3_and_says_what_stands_where_and_what_to_type(company: Company) -> None:
    plan = planned(company, "1.0.0")
    run = RunState(run=Run.HALTED, halted_because="no answer", halted_in=2)
    broken = TargetState(phase=Phase.FAILED, reason="no answer")
    remedy = (
        "see `release status intake@1.0.0`; then `release rollback intake@1.0.0 --wave 2 --reason …`"
        ", `release retry intake@1.0.0 --reason …` or `release resume intake@1.0.0 --reason …`"
    )
    fault = meaning(plan, EndingKind.HALTED, run, [TargetState(), broken])

    assert fault is not None
    assert said(fault) == (
        ReleaseHalted,
        3,
        "intake@1.0.0 is halted: no answer",
        "of 8 targets: 1 FAILED, 6 HEALTHY, 1 PENDING",
        remedy,
    )


def test_a_halt_names_waves_as_people_count_them_where_there_is_no_service_wave(company: Company) -> None:
    plan = planned(company, "1.0.0")
    clients = replace(plan, waves=plan.waves[1:])
    fault = meaning(clients, EndingKind.HALTED, RunState(run=Run.HALTED, halted_in=1))

    assert fault is not None
    assert "--wave 2 " in fault.remedy


def test_a_halt_without_a_failure_offers_no_retry(company: Company) -> None:
    fault = meaning(planned(company, "1.0.0"), EndingKind.HALTED, RunState(run=Run.HALTED, halted_in=1))

    assert fault is not None
    assert "release retry" not in fault.remedy


def test_a_pause_exits_12_and_says_until_when_it_waits(company: Company) -> None:
    plan = planned(company, "1.0.0")
    until = company.clock.now() + timedelta(days=7)
    run = RunState(run=Run.PAUSED, paused_because="lunch", paused_by="sso:kim", waiting_until=until)
    fault = meaning(plan, EndingKind.PAUSED, run)

    assert fault is not None
    assert said(fault) == (
        ReleasePaused,
        12,
        "intake@1.0.0 is paused by sso:kim: no answer",
        f"of 8 targets: 8 HEALTHY; it waits until {until:%Y-%m-%d %H:%M} UTC and is halted then",
        "`release resume intake@1.0.0 --reason …` or `release rollback intake@1.0.0 --wave 0 --reason …`",
    )


def test_what_the_judge_could_not_tell_exits_12_and_names_the_evidence(company: Company) -> None:
    plan = planned(company, "1.0.0")
    look = e.WaveJudged(
        wave=1, look=1, verdict=e.Verdict.INCONCLUSIVE, reason="few", evidence=digest_of("evidence")
    )
    unclear = WaveState(status=WaveStatus.INCONCLUSIVE, reason="few requests", looks=(look,))
    run = RunState(
        run=Run.PAUSED, waves=(WaveState(status=WaveStatus.PASSED), unclear, WaveState(), WaveState())
    )
    fault = meaning(plan, EndingKind.PAUSED, run)

    assert fault is not None
    assert (type(fault), fault.problem) == (
        ReleasePaused,
        "canary of intake@1.0.0 is neither proven good nor bad: few requests",
    )
    seen = digest_of("evidence")[7:19]
    assert f"release resume intake@1.0.0 --evidence {seen} --reason …" in fault.remedy
    assert "release rollback intake@1.0.0 --wave 1 --reason …" in fault.remedy
    assert "release explain intake@1.0.0" in fault.remedy


def test_an_approval_that_is_missing_exits_6_and_says_who_may_not_give_it(company: Company) -> None:
    plan = planned(company, "1.0.0")
    waves = (
        WaveState(status=WaveStatus.PASSED),
        WaveState(status=WaveStatus.GATED),
        WaveState(),
        WaveState(),
    )
    run = RunState(run=Run.RUNNING, starter="sso:ada", waves=waves)
    fault = meaning(plan, EndingKind.AWAITING_APPROVAL, run)

    assert fault is not None
    assert said(fault) == (
        ApprovalMissing,
        6,
        "intake@1.0.0 is not going on: no answer",
        "of 8 targets: 8 HEALTHY; it waits",
        (
            "anybody but sso:ada runs `release approve intake@1.0.0 --wave 1`; then `release promote intake@1.0.0`"
            " goes on"
        ),
    )


def test_a_rollback_by_itself_exits_3_with_the_reason_of_the_order(company: Company) -> None:
    order = e.RollbackOrdered(waves=(1,), reason="k failed", by="tidegate")
    run = RunState(run=Run.ROLLED_BACK, rollback=order)
    back = [TargetState(phase=Phase.ROLLED_BACK)] * 8
    fault = meaning(planned(company, "1.0.0"), EndingKind.ROLLED_BACK, run, back)

    assert fault is not None
    assert said(fault) == (
        ReleaseHalted,
        3,
        "intake@1.0.0 was rolled back: k failed",
        "of 8 targets: 8 ROLLED_BACK",
        "see `release history intake@1.0.0`; mend it and release a new version",
    )


def test_an_incomplete_rollback_exits_11_with_the_command_for_each_target_left(company: Company) -> None:
    stuck = TargetState(phase=Phase.QUARANTINED, reason="stuck", command="aws x")
    back = [TargetState(phase=Phase.ROLLED_BACK)] * 6
    run = RunState(run=Run.ROLLBACK_INCOMPLETE)
    plan = planned(company, "1.0.0")
    fault = meaning(plan, EndingKind.ROLLBACK_INCOMPLETE, run, [stuck, *back])

    assert fault is not None
    assert said(fault) == (
        RollbackIncomplete,
        11,
        "intake@1.0.0 could not be rolled back everywhere",
        "of 8 targets: 1 HEALTHY, 1 QUARANTINED, 6 ROLLED_BACK",
        "look at each quarantined target, then `release status intake@1.0.0`",
    )
    assert fault.details == ("@intake/us-east-1: stuck; then: aws x",)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (EndingKind.HALTED, (EffectDiffers, 9)),
        (EndingKind.ROLLED_BACK, (EffectDiffers, 9)),
        (EndingKind.ROLLBACK_INCOMPLETE, (RollbackIncomplete, 11)),
    ],
)
def test_a_target_that_differs_from_the_plan_exits_9_unless_worse_has_come_of_it(
    company: Company, kind: EndingKind, expected: tuple[type[ReleaseError], int]
) -> None:
    stale = TargetState(phase=Phase.FAILED, reason="c3 would do something else", fault=e.Fault.STALE)
    fault = meaning(planned(company, "1.0.0"), kind, RunState(run=Run.HALTED), [stale])

    assert fault is not None
    assert said(fault)[:2] == expected


@pytest.mark.parametrize("of", [f for f in e.Fault if f is not e.Fault.STALE])
def test_no_other_fault_of_a_target_is_taken_for_a_stale_plan(company: Company, of: e.Fault) -> None:
    broken = TargetState(phase=Phase.FAILED, reason="no answer", fault=of)
    fault = meaning(planned(company, "1.0.0"), EndingKind.HALTED, RunState(run=Run.HALTED), [broken])

    assert fault is not None
    assert said(fault)[:2] == (ReleaseHalted, 3)


def test_a_stack_that_was_changed_by_hand_after_the_plan_halts_with_exit_9(company: Company) -> None:
    company.promote(planned(company, "1.0.0"))
    plan = planned(company, "1.1.0")
    victim = plan.target(plan.waves[2].targets[0])
    hotfix = Deployable(
        release="hotfix@1.0.1", digest=digest_of("hotfix"), commit="c", template=digest_of("hotfix/template")
    )
    company.cloud.knows(hotfix, resources=(("Hotfix", "AWS::Lambda::Function"),))
    company.cloud.by_hand(Place(victim.account, victim.id.region), f"svc-{SERVICE}", hotfix)
    company.clock.advance(timedelta(minutes=10))
    ending = company.promote(plan)
    fault = error_of(plan, ending, company.run(plan), read_targets(company.journal, plan))

    assert ending.kind is EndingKind.HALTED
    assert isinstance(fault, EffectDiffers)
    assert fault.exit_code == 9
    assert company.cloud.runs(Place(victim.account, victim.id.region), f"svc-{SERVICE}") == "hotfix@1.0.1"


def test_a_sick_canary_that_went_back_exits_3(company: Company) -> None:
    company.promote(planned(company, "1.0.0"))
    company.build("1.1.0")
    company.cloud.breaks(Break(template=company.client_template("1.1.0"), how="health"))
    plan = company.plan("1.1.0")
    ending = company.promote(plan)
    fault = error_of(plan, ending, company.run(plan), read_targets(company.journal, plan))

    assert fault is not None
    assert said(fault)[:2] == (ReleaseHalted, 3)
    assert fault.state == "of 8 targets: 6 PENDING, 2 ROLLED_BACK"


def test_the_company_of_these_stories_has_eight_targets(company: Company) -> None:
    plan = planned(company, "1.0.0")

    assert len(plan.targets) == 8
    assert plan.target(C3).account == AccountId("000000000003")
