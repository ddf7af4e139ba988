"""Ways back that are not straight: second plans, stuck clients, recalls of old releases, orders changed on the way."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.adapters.simulated.cloud import Break
from pipeline.engine.world import LEASE_TTL
from pipeline.errors import BlockedByPolicy, LeaseHeld, PlanStale, UsageError
from pipeline.model import event as e
from pipeline.model.ending import EndingKind
from pipeline.model.fleet import Client
from pipeline.model.ids import AccountId, TargetId
from pipeline.model.plan import Plan
from pipeline.model.policy import OnFail
from pipeline.model.run_state import Run
from pipeline.model.stack import StackStatus
from pipeline.model.target_state import fold_target
from pipeline.ports import Place
from stages.promote import Admission
from stages.rollback import RollbackScope, halt, order_rollback
from tests.simulation import SERVICE, Company, digest_of

SERVICE_PLACE = Place(AccountId("222222222222"), "us-east-1")
THIRD = AccountId("000000000003")


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return Company(tmp_path)


def released(company: Company, version: str) -> Plan:
    company.build(version)
    plan = company.plan(version)
    assert company.promote(plan).kind is EndingKind.SUCCEEDED
    return plan


def service_runs(company: Company) -> str:
    return company.cloud.runs(SERVICE_PLACE, f"svc-{SERVICE}")


def test_a_second_plan_that_fails_takes_nothing_back_that_it_has_not_changed(company: Company) -> None:
    released(company, "1.0.0")
    released(company, "1.1.0")
    company.clock.advance(timedelta(hours=1))
    newcomer = Client(
        name="c7", account=AccountId("000000000007"), regions=("us-east-1",), services=(SERVICE,)
    )
    company.fleet = replace(company.fleet, clients=(*company.fleet.clients, newcomer))
    plan = company.plan("1.1.0")
    canary = plan.target(plan.waves[1].targets[0])
    company.cloud.breaks(
        Break(template=company.client_template("1.1.0"), how="alarm", account=canary.account)
    )
    company.promote(plan)
    others = {target: version for target, version in company.runs().items() if not target.startswith("c7/")}
    assert set(others.values()) == {"1.1.0"}
    assert service_runs(company) == "intake@1.1.0"


def test_the_service_never_goes_below_a_client_that_could_not_be_put_back(company: Company) -> None:
    released(company, "1.0.0")
    plan = released(company, "1.1.0")
    company.cloud.breaks(Break(template=company.client_template("1.0.0"), how="deploy", account=THIRD))
    assert company.rollback(plan, RollbackScope(all=True)).kind is EndingKind.ROLLBACK_INCOMPLETE
    assert company.phases(plan)["c3/us-east-1"] == "QUARANTINED"
    assert service_runs(company) == "intake@1.1.0"


def test_a_single_target_that_cannot_be_put_back_is_not_called_done(company: Company) -> None:
    released(company, "1.0.0")
    plan = released(company, "1.1.0")
    company.cloud.breaks(Break(template=company.client_template("1.0.0"), how="deploy", account=THIRD))
    ending = company.rollback(plan, RollbackScope(target=TargetId("c3", "us-east-1")))
    assert ending.kind is EndingKind.ROLLBACK_INCOMPLETE


def test_nothing_ever_goes_back_to_a_release_that_was_recalled_meanwhile(company: Company) -> None:
    released(company, "1.0.0")
    second = released(company, "1.1.0")
    third = released(company, "1.2.0")
    assert company.rollback(second, RollbackScope(all=True)).kind is EndingKind.ROLLED_BACK
    assert set(company.runs().values()) == {"1.2.0"}
    assert company.rollback(third, RollbackScope(all=True)).kind is EndingKind.ROLLED_BACK
    assert set(company.runs().values()) == {"1.0.0"}


def test_a_wider_order_replaces_a_narrower_one_that_died_half_way(company: Company) -> None:
    released(company, "1.0.0")
    plan = released(company, "1.1.0")
    lease = company.leases.take(f"service/{SERVICE}", "first", LEASE_TTL)
    who = Admission(fence=lease.fence, actor="first")
    order_rollback(plan, RollbackScope(wave=3, only=True), "narrow", company.journal, who)
    company.leases.give_back(lease)
    assert company.rollback(plan, RollbackScope(all=True)).kind is EndingKind.ROLLED_BACK
    assert set(company.runs().values()) == {"1.0.0"}
    assert service_runs(company) == "intake@1.0.0"


def test_the_service_alone_cannot_be_ordered_back(company: Company) -> None:
    released(company, "1.0.0")
    plan = released(company, "1.1.0")
    with pytest.raises(UsageError, match="never goes below its clients"):
        company.rollback(plan, RollbackScope(wave=0, only=True))


def test_nothing_is_planned_where_the_service_itself_cannot_be_deployed_to(company: Company) -> None:
    released(company, "1.0.0")
    company.build("1.1.0")
    current = company.plan("1.0.0").target(TargetId("@intake", "us-east-1")).desired
    company.cloud.by_hand(SERVICE_PLACE, f"svc-{SERVICE}", current, StackStatus.UPDATE_ROLLBACK_FAILED)
    with pytest.raises(
        BlockedByPolicy, match="cannot be deployed to: its stack is in UPDATE_ROLLBACK_FAILED"
    ):
        company.plan("1.1.0")


def test_only_so_many_unreachable_clients_may_be_passed_over(company: Company) -> None:
    released(company, "1.0.0")
    company.build("1.1.0")
    current = company.plan("1.0.0").target(TargetId("c3", "us-east-1")).desired
    place = Place(THIRD, "us-east-1")
    company.cloud.by_hand(place, f"svc-{SERVICE}", current, StackStatus.UPDATE_ROLLBACK_FAILED)
    skipped = company.plan("1.1.0").skipped
    assert [(str(s.id), s.reason) for s in skipped] == [
        ("c3/us-east-1", "its stack is in UPDATE_ROLLBACK_FAILED")
    ]
    company.policy = replace(company.policy, max_skipped=0)
    with pytest.raises(
        BlockedByPolicy, match="1 targets cannot be deployed to, and only 0 may be passed over"
    ):
        company.plan("1.1.0")


def test_a_plan_from_before_a_rollback_is_stale(company: Company) -> None:
    released(company, "1.0.0")
    first = released(company, "1.1.0")
    company.build("1.2.0")
    early = company.plan("1.2.0")
    company.clock.advance(timedelta(minutes=1))
    company.rollback(first, RollbackScope(all=True))
    with pytest.raises(PlanStale, match="has been changed since the plan was made"):
        company.promote(early)


def test_an_expired_plan_is_refused(company: Company) -> None:
    company.build("1.0.0")
    plan = company.plan("1.0.0")
    company.clock.advance(timedelta(hours=25))
    with pytest.raises(PlanStale, match="has expired"):
        company.promote(plan)
    assert company.cloud.history == ()


def test_a_target_that_fails_after_its_deployment_is_shown_on_what_it_runs(company: Company) -> None:
    released(company, "1.0.0")
    company.policy = replace(company.policy, on_fail=replace(company.policy.on_fail, canary=OnFail.HOLD))
    company.build("1.1.0")
    company.cloud.breaks(Break(template=company.client_template("1.1.0"), how="health"))
    plan = company.plan("1.1.0")
    assert company.promote(plan).kind is EndingKind.HALTED
    canary = plan.waves[1].targets[0]
    state = fold_target(company.journal.read(e.target_stream(SERVICE, canary)))
    assert (state.observed, company.runs()[str(canary)]) == ("intake@1.1.0", "1.1.0")


def test_a_halt_that_no_runner_has_seen_stands_in_the_journal_once_it_is_lifted(company: Company) -> None:
    company.build("1.0.0")
    plan = company.plan("1.0.0")
    company.promote(plan, wave=0)
    halt(plan.release, "odd", "ann", company.journal, company.latch)
    company.resume(plan, "not odd after all")
    told = [event for event in company.events("1.0.0") if isinstance(event, e.RunHalted | e.RunResumed)]
    assert told == [e.RunHalted(reason="odd", by="ann"), e.RunResumed(reason="not odd after all")]
    assert company.run(plan).run is Run.RUNNING


def test_a_release_that_was_halted_in_flight_is_followed_to_its_end_before_another_begins(
    company: Company,
) -> None:
    released(company, "1.0.0")
    company.build("1.1.0")
    halted = company.plan("1.1.0")
    open_target = halted.waves[0].targets[0]
    claimed = e.TargetClaimed(
        release="intake@1.1.0",
        plan=digest_of("another plan"),
        wave=0,
        desired=halted.target(open_target).desired,
    )
    stream, own = e.target_stream(SERVICE, open_target), e.release_stream(halted.release)
    journal = company.journal
    events: tuple[e.ReleaseEvent, ...] = (
        e.PlanFixed(plan=digest_of("another plan"), waves=1),
        e.RunHalted(reason="stalled", by="ann"),
    )
    journal.append(own, events, expected=journal.head(own).seq, fence=9, actor="x")
    journal.append(stream, (claimed,), expected=journal.head(stream).seq, fence=9, actor="x")
    company.build("1.2.0")
    with pytest.raises(LeaseHeld, match=r"still in flight for intake@1\.1\.0"):
        company.promote(company.plan("1.2.0"))
