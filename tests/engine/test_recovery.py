"""Trouble at single stacks of the simulated company: stuck rollbacks, broken stacks, accounts' own faults, gates."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.adapters.simulated.alarms import AlarmSeries
from pipeline.adapters.simulated.faults import Fault, FaultKind
from pipeline.model import event as e
from pipeline.model.ending import EndingKind
from pipeline.model.fleet import Client
from pipeline.model.ids import AccountId, TargetId
from pipeline.model.plan import Deployable
from pipeline.model.policy import AlarmsBefore
from pipeline.model.stack import StackStatus
from pipeline.ports import Place
from stages.rollback import RollbackScope
from tests.engine.companies import (
    STACK,
    append,
    breaks,
    canary_place,
    open_change_sets,
    released,
    state_of,
    with_table,
)
from tests.simulation import SERVICE, Company

FIRST = TargetId("c1", "us-east-1")
THIRD = TargetId("c3", "us-east-1")
THIRD_PLACE = Place(AccountId("000000000003"), "us-east-1")


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return Company(tmp_path)


def said(company: Company, target: TargetId, *kinds: type[e.TargetEvent]) -> list[e.Event]:
    entries = company.journal.read(e.target_stream(SERVICE, target))
    return [entry.event for entry in entries if isinstance(entry.event, kinds)]


def calls(company: Company, call: str, place: Place) -> list[str]:
    """What the caller was told, for each call of this name that took effect in the account."""
    return [c.result for c in company.cloud.mutations if (c.call, c.place, c.applied) == (call, place, True)]


# --- UPDATE_ROLLBACK_FAILED ----------------------------------------------------------------------


def test_a_rollback_that_cloudformation_could_not_finish_is_continued_and_the_release_has_failed(
    company: Company,
) -> None:
    released(company, "1.0.0")
    company.build("1.1.0")
    plan = company.plan("1.1.0")
    target, place = canary_place(plan)
    breaks(company, "1.1.0", place, "deploy", "rollback")

    assert company.promote(plan).kind is EndingKind.ROLLED_BACK
    assert set(company.runs().values()) == {"1.0.0"}
    assert calls(company, "continue_update_rollback", place) == ["ok"]
    state = state_of(company, target)
    assert (state.phase.value, state.drifted) == ("ROLLED_BACK", ())
    (failed,) = said(company, target, e.TargetFailed)
    assert isinstance(failed, e.TargetFailed)
    assert failed.fault is e.Fault.RELEASE
    assert failed.reason.endswith("its rollback was continued and ended in UPDATE_ROLLBACK_COMPLETE")


@pytest.mark.parametrize("kind", [FaultKind.LOST_APPLIED, FaultKind.LOST_NOT_APPLIED, FaultKind.THROTTLED])
def test_a_continued_rollback_whose_answer_is_lost_is_looked_for(company: Company, kind: FaultKind) -> None:
    released(company, "1.0.0")
    company.build("1.1.0")
    plan = company.plan("1.1.0")
    _, place = canary_place(plan)
    breaks(company, "1.1.0", place, "deploy", "rollback")
    company.cloud.fault(Fault(kind=kind, call="continue_update_rollback"))

    assert company.promote(plan).kind is EndingKind.ROLLED_BACK
    assert set(company.runs().values()) == {"1.0.0"}
    assert [h.how for h in company.cloud.history if h.place == place].count("continue") == 1


def test_a_stack_that_stays_stuck_is_for_a_person_who_may_name_what_is_skipped(company: Company) -> None:
    released(company, "1.0.0")
    company.build("1.1.0")
    plan = company.plan("1.1.0")
    target, place = canary_place(plan)
    breaks(company, "1.1.0", place, "deploy", "rollback", "continue")

    assert company.promote(plan).kind is EndingKind.ROLLBACK_INCOMPLETE
    assert len(calls(company, "continue_update_rollback", place)) == 3
    stuck = state_of(company, target)
    assert stuck.phase.value == "QUARANTINED"
    assert stuck.command.startswith(f"release clear intake {target} --skip LOGICAL_ID --reason TEXT")

    append(company, target, e.SkipsChosen(resources=("Nothing",), reason="a slip"))
    assert company.rollback(plan, RollbackScope(target=target)).kind is EndingKind.ROLLBACK_INCOMPLETE
    assert len(calls(company, "continue_update_rollback", place)) == 3
    assert "Nothing is not among the resources" in state_of(company, target).reason

    append(company, target, e.SkipsChosen(resources=("Form",), reason="its queue is gone for good"))
    company.rollback(plan, RollbackScope(target=target))
    state = state_of(company, target)
    assert (state.phase.value, state.drifted, state.skips) == ("ROLLED_BACK", ("Form",), ())
    assert [h.skipped for h in company.cloud.history if h.how == "continue"][-1] == ("Form",)


def test_a_stack_found_stuck_is_mended_and_then_deployed_to(company: Company) -> None:
    released(company, "1.0.0")
    company.build("1.1.0")
    plan = company.plan("1.1.0")
    current = _desired(company, "1.0.0", THIRD)
    company.cloud.by_hand(THIRD_PLACE, STACK, current, StackStatus.UPDATE_ROLLBACK_FAILED)

    assert company.promote(plan).kind is EndingKind.SUCCEEDED
    assert set(company.runs().values()) == {"1.1.0"}
    assert calls(company, "continue_update_rollback", THIRD_PLACE) == ["ok"]


def _desired(company: Company, version: str, target: TargetId) -> Deployable:
    return company.plan(version).target(target).desired


# --- broken stacks -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "status",
    [
        StackStatus.ROLLBACK_COMPLETE,
        StackStatus.ROLLBACK_FAILED,
        StackStatus.CREATE_FAILED,
        StackStatus.UPDATE_FAILED,
        StackStatus.DELETE_FAILED,
        StackStatus.IMPORT_ROLLBACK_FAILED,
    ],
)
def test_a_stack_found_broken_is_quarantined_and_the_others_go_on(
    company: Company, status: StackStatus
) -> None:
    released(company, "1.0.0")
    company.build("1.1.0")
    plan = company.plan("1.1.0")
    current = _desired(company, "1.0.0", THIRD)
    company.cloud.by_hand(THIRD_PLACE, STACK, current, status)
    before = company.cloud.mutations

    company.promote(plan)
    state = state_of(company, THIRD)
    assert (state.phase.value, state.blameless) == ("QUARANTINED", True)
    assert state.command.startswith("aws cloudformation describe-stack-events --stack-name svc-intake")
    assert [c for c in company.cloud.mutations[len(before) :] if c.place == THIRD_PLACE] == []
    others = {t: v for t, v in company.runs().items() if t != str(THIRD)}
    assert set(others.values()) == {"1.1.0"}


def test_somebody_elses_new_stack_is_never_taken_over(company: Company) -> None:
    released(company, "1.0.0")
    company.build("1.1.0")
    newcomer = Client(
        name="c7", account=AccountId("000000000007"), regions=("us-east-1",), services=(SERVICE,)
    )
    company.fleet = replace(company.fleet, clients=(*company.fleet.clients, newcomer))
    plan = company.plan("1.1.0")
    place = Place(AccountId("000000000007"), "us-east-1")
    desired = plan.target(TargetId("c7", "us-east-1")).desired
    company.cloud.foreign_change_set(place, STACK, desired, "made-by-hand")

    company.promote(plan)
    state = state_of(company, TargetId("c7", "us-east-1"))
    assert state.phase.value == "QUARANTINED"
    assert company.cloud.stacks.list_change_sets(place, STACK) == ("made-by-hand",)
    assert company.runs()["c7/us-east-1"] == ""


def test_a_stack_that_somebody_else_is_changing_is_waited_for_and_never_cancelled(company: Company) -> None:
    released(company, "1.0.0")
    company.build("1.1.0")
    plan = company.plan("1.1.0")
    target, place = canary_place(plan)
    current = _desired(company, "1.0.0", target)

    def somebody() -> None:
        company.cloud.by_hand(place, STACK, replace(current, parameters=current.parameters))

    company.cloud.later(timedelta(0), somebody)

    assert company.promote(plan).kind is EndingKind.SUCCEEDED
    hows = [h.how for h in company.cloud.history if h.place == place]
    assert hows == ["change set", "by hand", "change set"]


def test_change_sets_that_vanish_are_made_again_and_executed_once(company: Company) -> None:
    released(company, "1.0.0")
    company.build("1.1.0")
    plan = company.plan("1.1.0")
    target, place = canary_place(plan)
    made = len(calls(company, "create_change_set", place))
    vanished: list[str] = []

    class Vanishing:
        """The first change set of ours is gone by the time it is read."""

        def __init__(self, port: object) -> None:
            self._port = port

        def __getattr__(self, name: str) -> object:
            if name == "describe_change_set" and not vanished and _has_ours(company, place):
                vanished.append("once")
                company.cloud.vanish(place, STACK)
            return getattr(self._port, name)

    company.wrap = lambda name, port: Vanishing(port) if name == "stacks" else port

    assert company.promote(plan).kind is EndingKind.SUCCEEDED
    assert vanished == ["once"]
    assert len(calls(company, "create_change_set", place)) == made + 2
    assert company.deployments("1.1.0").count(str(target)) == 1


def _has_ours(company: Company, place: Place) -> bool:
    return bool(company.cloud.stacks.list_change_sets(place, STACK))


def test_no_change_set_is_ever_left_behind(company: Company) -> None:
    released(company, "1.0.0")
    company.build("1.1.0")
    plan = company.plan("1.1.0")
    company.cloud.by_hand(THIRD_PLACE, STACK, plan.target(THIRD).desired)
    company.clock.advance(timedelta(minutes=10))

    company.promote(plan)
    assert open_change_sets(company) == []


# --- whose fault -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [FaultKind.SUSPENDED, FaultKind.REFUSED])
def test_an_accounts_own_fault_skips_that_client_and_burns_no_tolerance(
    company: Company, kind: FaultKind
) -> None:
    released(company, "1.0.0")
    company.build("1.1.0")
    plan = company.plan("1.1.0")
    company.cloud.fault(Fault(kind=kind, account=THIRD_PLACE.account, times=0))

    assert company.promote(plan).kind is EndingKind.SUCCEEDED
    state = state_of(company, THIRD)
    assert (state.phase.value, state.fault, state.changed) == ("SKIPPED", e.Fault.ACCOUNT, False)
    others = {t: v for t, v in company.runs().items() if t != str(THIRD)}
    assert set(others.values()) == {"1.1.0"}


def test_the_services_own_account_is_never_passed_over(company: Company) -> None:
    released(company, "1.0.0")
    company.build("1.1.0")
    plan = company.plan("1.1.0")
    company.cloud.fault(Fault(kind=FaultKind.REFUSED, account=AccountId("222222222222"), times=0))

    assert company.promote(plan).kind is not EndingKind.SUCCEEDED
    assert state_of(company, TargetId("@intake", "us-east-1")).phase.value == "FAILED"
    assert set(company.runs().values()) == {"1.0.0"}


def test_an_account_that_closes_after_the_execution_has_failed_or_is_unknown(company: Company) -> None:
    released(company, "1.0.0")
    company.build("1.1.0")
    plan = company.plan("1.1.0")
    company.cloud.fault(
        Fault(kind=FaultKind.SUSPENDED, call="template", account=THIRD_PLACE.account, times=0)
    )

    assert company.promote(plan).kind is EndingKind.HALTED
    state = state_of(company, THIRD)
    assert (state.phase.value, state.fault, state.blameless) == ("FAILED", e.Fault.ACCOUNT, False)


def test_what_the_guard_refuses_at_one_client_stops_that_client_and_not_the_wave(company: Company) -> None:
    released(company, "1.0.0")
    with_table(company, "1.0.9")
    company.build("1.1.0")
    plan = company.plan("1.1.0")
    by_hand = replace(_desired(company, "1.0.0", THIRD), template=company.client_template("1.0.9"))
    company.cloud.by_hand(THIRD_PLACE, STACK, by_hand)
    company.clock.advance(timedelta(minutes=10))

    assert company.promote(plan).kind is EndingKind.SUCCEEDED
    state = state_of(company, THIRD)
    assert (state.phase.value, state.fault) == ("SKIPPED", e.Fault.GUARD)
    assert "Notes (AWS::DynamoDB::Table): would be let go of" in state.reason
    assert open_change_sets(company) == []


# --- gates at the target -----------------------------------------------------------------------


def in_alarm(company: Company, place: Place) -> None:
    """From now on and for good, whatever runs there."""
    company.cloud.alarm(
        AlarmSeries(name="disk", states=("ALARM",), account=place.account, begins=company.clock.now())
    )


def test_an_alarm_from_before_blocks_that_client(company: Company) -> None:
    released(company, "1.0.0")
    company.build("1.1.0")
    plan = company.plan("1.1.0")
    in_alarm(company, THIRD_PLACE)

    assert company.promote(plan).kind is EndingKind.SUCCEEDED
    state = state_of(company, THIRD)
    assert (state.phase.value, state.fault, state.alarms_before) == ("SKIPPED", e.Fault.ACCOUNT, ("disk",))
    assert state.reason == "in ALARM before anything was deployed: disk"
    assert company.runs()[str(THIRD)] == "1.0.0"


def test_an_alarm_from_before_is_left_out_and_said_where_the_policy_has_it_recorded(
    company: Company,
) -> None:
    company.policy = replace(company.policy, alarms_before=AlarmsBefore.RECORD)
    released(company, "1.0.0")
    company.build("1.1.0")
    plan = company.plan("1.1.0")
    in_alarm(company, THIRD_PLACE)

    assert company.promote(plan).kind is EndingKind.SUCCEEDED
    state = state_of(company, THIRD)
    assert (state.phase.value, state.alarms_before) == ("HEALTHY", ("disk",))
    assert state.reason == "left out, because in ALARM before the deployment: disk"
    assert company.runs()[str(THIRD)] == "1.1.0"


def test_a_smoke_check_that_says_no_is_a_failed_deployment(company: Company) -> None:
    company.health = replace(company.health, smoke="Form")
    released(company, "1.0.0")
    company.build("1.1.0")
    plan = company.plan("1.1.0")
    _, place = canary_place(plan)
    breaks(company, "1.1.0", place, "smoke")

    assert company.promote(plan).kind is EndingKind.ROLLED_BACK
    assert set(company.runs().values()) == {"1.0.0"}


def test_a_smoke_check_that_does_not_answer_is_never_healthy(company: Company) -> None:
    company.health = replace(company.health, smoke="Form")
    released(company, "1.0.0")
    company.build("1.1.0")
    plan = company.plan("1.1.0")
    _, place = canary_place(plan)
    breaks(company, "1.1.0", place, "no smoke")

    assert company.promote(plan).kind is EndingKind.ROLLED_BACK


# --- protection --------------------------------------------------------------------------------


def test_every_stack_is_protected_once_it_is_healthy(company: Company) -> None:
    released(company, "1.0.0")
    released(company, "1.1.0")

    for target in (FIRST, THIRD):
        protected = said(company, target, e.TargetProtected)
        assert [getattr(event, "spared", None) for event in protected] == [()]
        assert state_of(company, target).protected.startswith("arn:")


def test_what_cannot_be_protected_is_told_and_tried_again_and_the_release_goes_on(company: Company) -> None:
    company.cloud.fault(
        Fault(
            kind=FaultKind.REFUSED, call="update_termination_protection", account=THIRD_PLACE.account, times=1
        )
    )
    released(company, "1.0.0")
    state = state_of(company, THIRD)
    assert (state.phase.value, state.protected) == ("HEALTHY", "")
    assert state.unprotected
    assert [w for w in company.warnings if "could not be protected" in w]

    released(company, "1.1.0")
    assert state_of(company, THIRD).protected
    assert state_of(company, THIRD).unprotected == ""
