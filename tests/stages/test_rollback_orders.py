"""What a person's halt, resume, clear and rollback leave in the journal, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.adapters.simulated.cloud import Break
from pipeline.decide.rollback import waves_to_roll_back
from pipeline.errors import NotFound, ReleaseError, ReleaseHalted, UsageError
from pipeline.model import event as e
from pipeline.model.ending import EndingKind
from pipeline.model.ids import ReleaseName, TargetId
from pipeline.model.plan import Plan
from pipeline.model.run_state import Run, RunState, WaveState, WaveStatus
from pipeline.model.target_state import TargetState, fold_target
from pipeline.ports import Halt
from stages.promote import Admission
from stages.rollback import (
    RollbackScope,
    check_rollback,
    choose_skips,
    clear,
    halt,
    order_rollback,
    resume,
)
from tests.simulation import SERVICE, Company

WHO = Admission(fence=50, actor="ann")
C3 = TargetId("c3", "us-east-1")


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return Company(tmp_path)


def planned(company: Company, version: str) -> Plan:
    company.clock.advance(timedelta(minutes=1))
    company.build(version)
    return company.plan(version)


def released(company: Company, version: str) -> Plan:
    plan = planned(company, version)
    assert company.promote(plan).kind is EndingKind.SUCCEEDED
    return plan


def half_way(company: Company, version: str) -> Plan:
    """Service and canary have the release, the other waves have not started."""
    plan = planned(company, version)
    assert company.promote(plan, wave=1).kind is EndingKind.WAVE_PASSED
    return plan


def halted_by_itself(company: Company, version: str) -> Plan:
    """One target of wave 2 is not well; the others there are."""
    company.build(version)
    company.clock.advance(timedelta(minutes=1))
    plan = company.plan(version)
    account = plan.target(victim_of(plan)).account
    company.cloud.breaks(Break(template=company.client_template(version), how="health", account=account))
    assert company.promote(plan).kind is EndingKind.HALTED
    return plan


def victim_of(plan: Plan) -> TargetId:
    return plan.waves[2].targets[-1]


def ordered(company: Company, plan: Plan, scope: RollbackScope, reason: str = "it is slow") -> RunState:
    return order_rollback(plan, scope, reason, company.journal, WHO)


def orders(company: Company, version: str) -> list[e.Event]:
    return [event for event in company.events(version) if isinstance(event, e.RollbackOrdered)]


def refusal(company: Company, doing: Callable[[], object]) -> tuple[type[ReleaseError], str]:
    """Why it is refused; nothing may have been written."""
    before = {name: company.journal.head(name) for name in company.journal.streams("")}
    with pytest.raises(ReleaseError) as caught:
        doing()
    assert {name: company.journal.head(name) for name in company.journal.streams("")} == before
    return type(caught.value), caught.value.problem


def state_of(company: Company, target: TargetId) -> TargetState:
    return fold_target(company.journal.read(e.target_stream(SERVICE, target)))


# --- the order ---------------------------------------------------------------------------------


def test_a_wave_goes_back_with_all_that_started_after_it(company: Company) -> None:
    plan = released(company, "1.0.0")

    assert ordered(company, plan, RollbackScope(wave=2)).run is Run.ROLLING_BACK
    assert orders(company, "1.0.0") == [e.RollbackOrdered(waves=(2, 3), reason="it is slow", by="ann")]
    last = company.journal.read(e.release_stream(plan.release))[-1]
    assert (last.actor, last.fence) == ("ann", 50)


def test_a_wave_may_go_back_alone(company: Company) -> None:
    ordered(company, released(company, "1.0.0"), RollbackScope(wave=2, only=True))

    assert orders(company, "1.0.0") == [e.RollbackOrdered(waves=(2,), reason="it is slow", by="ann")]


def test_waves_that_have_not_started_are_not_ordered_back(company: Company) -> None:
    ordered(company, half_way(company, "1.0.0"), RollbackScope(wave=0))

    assert orders(company, "1.0.0") == [e.RollbackOrdered(waves=(0, 1), reason="it is slow", by="ann")]


def test_everything_goes_back_as_a_recall(company: Company) -> None:
    ordered(company, half_way(company, "1.0.0"), RollbackScope(all=True))

    assert orders(company, "1.0.0") == [
        e.RollbackOrdered(waves=(0, 1), reason="it is slow", by="ann", recall=True)
    ]


def test_a_stuck_rollback_goes_on_without_the_resources_that_a_person_names(company: Company) -> None:
    released(company, "1.0.0")
    assert refusal(
        company, lambda: choose_skips(SERVICE, C3, ("Queue",), "it is gone", company.journal, WHO)
    ) == (UsageError, "no rollback of intake is stuck at c3/us-east-1: it is HEALTHY")
    stream = e.target_stream(SERVICE, C3)
    stuck = e.TargetQuarantined(reason="stuck", command="look")
    company.journal.append(stream, (stuck,), expected=company.journal.head(stream).seq, fence=9, actor="ci")
    choose_skips(SERVICE, C3, ("Queue", "Topic", "Queue"), "they are gone", company.journal, WHO)

    last = company.journal.read(stream)[-1]
    assert (last.event, last.actor) == (
        e.SkipsChosen(resources=("Queue", "Topic"), reason="they are gone"),
        "ann",
    )
    assert not state_of(company, C3).quarantined


def test_one_target_goes_back_alone(company: Company) -> None:
    plan = released(company, "1.0.0")
    ordered(company, plan, RollbackScope(target=C3))

    assert orders(company, "1.0.0") == [
        e.RollbackOrdered(waves=(plan.wave_of(C3),), reason="it is slow", by="ann", targets=(C3,))
    ]


def test_a_client_that_was_deferred_goes_back_from_the_wave_it_went_with(company: Company) -> None:
    plan = half_way(company, "1.0.0")
    late = plan.waves[2].targets[0]
    company.say(plan, e.TargetsDeferred(wave=2, to=3, targets=(late,), reason="late"), replace(WHO, fence=2))
    assert company.promote(plan).kind is EndingKind.SUCCEEDED

    assert company.rollback(plan, RollbackScope(target=late)).kind is EndingKind.ROLLBACK_INCOMPLETE
    assert company.phases(plan)[str(late)] == "QUARANTINED"


class _OneMoreWave:
    """A journal in which the runner that has just lost its lease speaks once more behind whoever reads."""

    def __init__(self, company: Company, plan: Plan) -> None:
        self.company, self.plan, self.spoke = company, plan, False

    def read(self, stream: str) -> tuple[e.Envelope, ...]:
        entries = self.company.journal.read(stream)
        if stream.startswith("release/") and not self.spoke:
            self.spoke = True
            self.company.say(self.plan, e.WaveStarted(wave=2), replace(WHO, fence=entries[-1].fence))
        return entries

    def __getattr__(self, name: str) -> object:
        return getattr(self.company.journal, name)


def test_a_wave_that_begins_while_the_order_is_written_goes_back_with_the_others(company: Company) -> None:
    plan = half_way(company, "1.0.0")
    order_rollback(plan, RollbackScope(wave=1), "because", _OneMoreWave(company, plan), WHO)  # type: ignore[arg-type]

    assert company.events("1.0.0")[-1] == e.RollbackOrdered(waves=(1, 2), reason="because", by="ann")


def test_a_rollback_under_way_is_not_called_off_by_a_resume(company: Company) -> None:
    plan = half_way(company, "1.0.0")
    halt(plan.release, "odd", "bob", company.journal, company.latch)
    order_rollback(plan, RollbackScope(all=True), "bad", company.journal, WHO)
    before = company.events("1.0.0")
    with pytest.raises(UsageError, match="is being rolled back, and that is not called off"):
        resume(plan, "oops", company.journal, company.latch, WHO)
    assert company.events("1.0.0") == before


def test_the_same_order_again_goes_on_and_a_wider_one_is_an_order_of_its_own(company: Company) -> None:
    plan = released(company, "1.0.0")
    first = ordered(company, plan, RollbackScope(wave=3))

    assert ordered(company, plan, RollbackScope(wave=3)) == first
    assert len(orders(company, "1.0.0")) == 1
    ordered(company, plan, RollbackScope(wave=1))
    assert orders(company, "1.0.0")[1:] == [e.RollbackOrdered(waves=(1, 2, 3), reason="it is slow", by="ann")]


@pytest.mark.parametrize(("only", "waves"), [(False, (1, 2)), (True, (1,))])
def test_waves_to_roll_back_are_those_that_have_started(only: bool, waves: tuple[int, ...]) -> None:
    run = RunState(
        waves=(
            WaveState(status=WaveStatus.PASSED),
            WaveState(status=WaveStatus.PASSED),
            WaveState(status=WaveStatus.FAILED),
            WaveState(),
        )
    )

    assert waves_to_roll_back(run, 1, only=only) == waves
    assert waves_to_roll_back(run, 3, only=only) == ()


# --- refusals ----------------------------------------------------------------------------------


def test_a_wave_that_has_not_started_cannot_go_back(company: Company) -> None:
    plan = half_way(company, "1.0.0")

    assert refusal(company, lambda: ordered(company, plan, RollbackScope(wave=2))) == (
        ReleaseHalted,
        "wave 2 of intake@1.0.0 has not started: there is nothing to roll back",
    )


def test_a_wave_that_does_not_exist_is_answered_with_those_that_do(company: Company) -> None:
    plan = released(company, "1.0.0")

    assert refusal(company, lambda: ordered(company, plan, RollbackScope(wave=7))) == (
        NotFound,
        "intake@1.0.0 has no wave 7: its waves are 0 (service), 1 (canary), 2 (wave-2), 3 (wave-3)",
    )


def test_a_target_that_is_not_in_the_plan_cannot_go_back(company: Company) -> None:
    plan = released(company, "1.0.0")
    scope = RollbackScope(target=TargetId("zoe", "us-east-1"))

    assert refusal(company, lambda: ordered(company, plan, scope)) == (
        NotFound,
        "zoe/us-east-1 is not in the plan of intake@1.0.0",
    )


def test_the_services_own_account_never_goes_back_below_its_clients(company: Company) -> None:
    plan = released(company, "1.0.0")

    assert refusal(company, lambda: ordered(company, plan, RollbackScope(wave=0, only=True))) == (
        UsageError,
        "the service's own account never goes below its clients: it goes back last, when none is left",
    )


def test_a_release_that_never_began_cannot_go_back(company: Company) -> None:
    plan = planned(company, "1.0.0")

    assert refusal(company, lambda: ordered(company, plan, RollbackScope(all=True))) == (
        UsageError,
        "intake@1.0.0 is NONE: there is nothing to roll back",
    )


def test_a_release_that_has_given_way_cannot_go_back(company: Company) -> None:
    released(company, "1.0.0")
    old = halted_by_itself(company, "1.1.0")
    released(company, "1.2.0")

    assert refusal(company, lambda: ordered(company, old, RollbackScope(all=True))) == (
        UsageError,
        "intake@1.1.0 is SUPERSEDED: there is nothing to roll back",
    )


@pytest.mark.parametrize(
    "scope",
    [
        RollbackScope(wave=2),
        RollbackScope(wave=7),
        RollbackScope(wave=0, only=True),
        RollbackScope(target=TargetId("zoe", "us-east-1")),
    ],
)
def test_what_would_be_refused_is_refused_before_anybody_loses_the_lease(
    company: Company, scope: RollbackScope
) -> None:
    plan = half_way(company, "1.0.0")

    asked = refusal(company, lambda: check_rollback(plan, scope, company.journal))
    assert asked == refusal(company, lambda: ordered(company, plan, scope))


def test_to_ask_whether_a_rollback_would_be_refused_orders_none(company: Company) -> None:
    plan = half_way(company, "1.0.0")
    check_rollback(plan, RollbackScope(all=True), company.journal)

    assert orders(company, "1.0.0") == []


def test_waves_are_named_as_people_count_them_where_a_service_has_no_wave(company: Company) -> None:
    plan = half_way(company, "1.0.0")
    clients = replace(plan, release=ReleaseName("notify", "1.0.0"), waves=plan.waves[1:])
    stream = e.release_stream(clients.release)
    said: tuple[e.ReleaseEvent, ...] = (
        e.PlanFixed(plan=plan.digest, waves=3),
        *(e.WaveStarted(wave=n) for n in range(2)),
    )
    company.journal.append(stream, said, expected=0, fence=1, actor="ci")
    order_rollback(clients, RollbackScope(wave=2), "it is slow", company.journal, WHO)

    assert company.journal.read(stream)[-1].event == e.RollbackOrdered(
        waves=(1,), reason="it is slow", by="ann"
    )
    assert refusal(
        company,
        lambda: order_rollback(clients, RollbackScope(wave=0), "why not", company.journal, WHO),
    ) == (NotFound, "notify@1.0.0 has no wave 0: its waves are 1 (canary), 2 (wave-2), 3 (wave-3)")


# --- what comes of it --------------------------------------------------------------------------


def test_earlier_waves_stay_on_the_release_and_are_marked_at_risk(company: Company) -> None:
    released(company, "1.0.0")
    plan = released(company, "1.1.0")
    assert company.rollback(plan, RollbackScope(wave=2)).kind is EndingKind.ROLLED_BACK
    back = {str(target) for wave in plan.waves[2:] for target in wave.targets}

    assert company.runs() == {name: "1.0.0" if name in back else "1.1.0" for name in company.runs()}
    assert [(wave.status, wave.at_risk) for wave in company.run(plan).waves] == [
        (WaveStatus.PASSED, True),
        (WaveStatus.PASSED, True),
        (WaveStatus.ROLLED_BACK, False),
        (WaveStatus.ROLLED_BACK, False),
    ]


def test_a_recall_takes_the_release_from_everybody_and_from_the_service_last(company: Company) -> None:
    released(company, "1.0.0")
    plan = released(company, "1.1.0")
    before = len(company.cloud.history)
    assert company.rollback(plan, RollbackScope(all=True)).kind is EndingKind.ROLLED_BACK

    assert set(company.runs().values()) == {"1.0.0"}
    back = [h.place.account for h in company.cloud.history[before:]]
    assert len(back) == len(plan.targets)
    assert back[-1] == plan.target(plan.waves[0].targets[0]).account


def test_a_rollback_goes_in_the_reverse_order_of_the_rollout(company: Company) -> None:
    released(company, "1.0.0")
    plan = released(company, "1.1.0")
    before = len(company.cloud.history)
    company.rollback(plan, RollbackScope(all=True))
    waves = {
        (x.account, x.id.region): plan.wave_of(x.id) for x in plan.targets
    }  # an account alone would not tell the two Regions of a client apart
    went = [waves[h.place.account, h.place.region] for h in company.cloud.history[before:]]

    assert went == sorted(went, reverse=True)


def test_nothing_ever_goes_back_to_a_recalled_release(company: Company) -> None:
    released(company, "1.0.0")
    recalled = released(company, "1.1.0")
    company.rollback(recalled, RollbackScope(all=True))
    plan = released(company, "1.2.0")
    company.rollback(plan, RollbackScope(all=True))

    assert set(company.runs().values()) == {"1.0.0"}


def test_a_release_may_be_recalled_while_a_later_one_runs(company: Company) -> None:
    released(company, "1.0.0")
    bad = released(company, "1.1.0")
    last = released(company, "1.2.0")
    before = company.cloud.history
    assert company.rollback(bad, RollbackScope(all=True)).kind is EndingKind.ROLLED_BACK

    assert company.cloud.history == before
    assert set(company.runs().values()) == {"1.2.0"}
    assert company.rollback(last, RollbackScope(target=C3)).kind is EndingKind.SUCCEEDED
    assert company.runs()[str(C3)] == "1.0.0"


def test_a_recall_is_said_once_in_each_targets_own_stream(company: Company) -> None:
    released(company, "1.0.0")
    plan = released(company, "1.1.0")
    for _ in range(2):
        ordered(company, plan, RollbackScope(all=True))
    said = [
        [x.event for x in company.journal.read(e.target_stream(SERVICE, target.id))].count(
            e.TargetRecalled(release="intake@1.1.0")
        )
        for target in plan.targets
    ]

    assert said == [1] * len(plan.targets)
    assert [good.release for good in state_of(company, C3).goods] == ["intake@1.0.0"]


def test_a_target_that_went_back_alone_leaves_the_others_and_the_release_as_they_were(
    company: Company,
) -> None:
    released(company, "1.0.0")
    plan = released(company, "1.1.0")
    assert company.rollback(plan, RollbackScope(target=C3)).kind is EndingKind.SUCCEEDED

    assert company.runs() == {name: "1.0.0" if name == str(C3) else "1.1.0" for name in company.runs()}
    assert {wave.at_risk for wave in company.run(plan).waves} == {False}


# --- halt --------------------------------------------------------------------------------------


def test_a_halt_closes_the_latch_and_needs_nothing_else(company: Company) -> None:
    plan = half_way(company, "1.0.0")
    before = company.events("1.0.0")
    closed = Halt(reason="looks odd", actor="ann", at=company.clock.now())

    assert halt(plan.release, "looks odd", "ann", company.journal, company.latch) == closed
    assert company.latch.read("intake@1.0.0") == closed
    assert company.events("1.0.0") == before


def test_the_first_halt_stands(company: Company) -> None:
    plan = half_way(company, "1.0.0")
    first = halt(plan.release, "looks odd", "ann", company.journal, company.latch)
    company.clock.advance(timedelta(minutes=1))

    assert halt(plan.release, "me too", "bob", company.journal, company.latch) == first


def test_what_has_ended_or_never_was_cannot_be_halted(company: Company) -> None:
    plan = released(company, "1.0.0")
    unheard = ReleaseName(SERVICE, "9.9.9")

    assert refusal(
        company, lambda: halt(plan.release, "looks odd", "ann", company.journal, company.latch)
    ) == (UsageError, "intake@1.0.0 is not under way: it is SUCCEEDED")
    assert refusal(company, lambda: halt(unheard, "looks odd", "ann", company.journal, company.latch)) == (
        NotFound,
        "there is no release intake@9.9.9",
    )
    assert company.latch.read("intake@1.0.0") is None


# --- resume ------------------------------------------------------------------------------------


def resumed(company: Company, plan: Plan) -> RunState:
    return resume(plan, "looked at it", company.journal, company.latch, WHO)


def test_a_resume_forgives_what_has_failed_so_far_and_opens_the_latch(company: Company) -> None:
    released(company, "1.0.0")
    plan = halted_by_itself(company, "1.1.0")
    company.latch.close("intake@1.1.0", "looks odd", "ann")
    run = resumed(company, plan)

    assert (run.run, run.forgiven) == (Run.RUNNING, frozenset({victim_of(plan)}))
    assert company.events("1.1.0")[-1] == e.RunResumed(reason="looked at it", forgiven=(victim_of(plan),))
    assert company.latch.read("intake@1.1.0") is None


def test_a_resumed_release_goes_on_and_what_was_forgiven_stays_where_it_is(company: Company) -> None:
    released(company, "1.0.0")
    plan = halted_by_itself(company, "1.1.0")
    company.resume(plan)
    before = len(company.cloud.history)
    assert company.promote(plan).kind is EndingKind.SUCCEEDED

    phases = company.phases(plan)
    assert phases.pop(str(victim_of(plan))) == "FAILED"
    assert set(phases.values()) == {"HEALTHY"}
    again = [h.place.account for h in company.cloud.history[before:]]
    assert plan.target(victim_of(plan)).account not in again


def test_a_halt_that_no_runner_has_noticed_yet_is_told_before_its_end(company: Company) -> None:
    plan = half_way(company, "1.0.0")
    halt(plan.release, "looks odd", "bob", company.journal, company.latch)
    run = resumed(company, plan)

    assert run.run is Run.RUNNING
    assert company.events("1.0.0")[-2:] == [
        e.RunHalted(reason="looks odd", by="bob"),
        e.RunResumed(reason="looked at it"),
    ]
    assert company.latch.read("intake@1.0.0") is None


def test_what_is_not_halted_cannot_be_resumed(company: Company) -> None:
    plan = half_way(company, "1.0.0")

    assert refusal(company, lambda: resumed(company, plan)) == (
        UsageError,
        "intake@1.0.0 is not halted: it is RUNNING",
    )


def test_the_latch_of_a_run_that_has_ended_is_opened_and_nothing_is_said(company: Company) -> None:
    plan = released(company, "1.0.0")
    company.latch.close("intake@1.0.0", "too late", "bob")
    before = company.events("1.0.0")

    assert resumed(company, plan).run is Run.SUCCEEDED
    assert company.events("1.0.0") == before
    assert company.latch.read("intake@1.0.0") is None


# --- clear -------------------------------------------------------------------------------------


def quarantined(company: Company) -> TargetId:
    """The canary of a first release that is sick there."""
    company.build("1.0.0")
    company.cloud.breaks(Break(template=company.client_template("1.0.0"), how="health"))
    plan = company.plan("1.0.0")
    assert company.promote(plan).kind is EndingKind.ROLLBACK_INCOMPLETE
    return plan.waves[1].targets[0]


def test_a_person_clears_a_quarantine_with_a_reason(company: Company) -> None:
    canary = quarantined(company)
    clear(SERVICE, canary, "looked at it", company.journal, WHO)
    last = company.journal.read(e.target_stream(SERVICE, canary))[-1]

    assert (last.event, last.actor) == (e.TargetCleared(reason="looked at it"), "ann")
    assert not state_of(company, canary).quarantined


def test_only_what_is_quarantined_can_be_cleared(company: Company) -> None:
    released(company, "1.0.0")

    assert refusal(company, lambda: clear(SERVICE, C3, "why not", company.journal, WHO)) == (
        UsageError,
        "c3/us-east-1 is not quarantined for intake: it is HEALTHY",
    )
    unheard = TargetId("zoe", "us-east-1")
    assert refusal(company, lambda: clear(SERVICE, unheard, "why not", company.journal, WHO)) == (
        UsageError,
        "zoe/us-east-1 is not quarantined for intake: it is PENDING",
    )


def test_a_clear_of_one_service_says_nothing_of_another(company: Company) -> None:
    canary = quarantined(company)

    assert refusal(company, lambda: clear("notify", canary, "why not", company.journal, WHO)) == (
        UsageError,
        f"{canary} is not quarantined for notify: it is PENDING",
    )
