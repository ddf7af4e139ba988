"""Whole releases on the simulated cloud: what a company lives through, told in a few sentences each."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.adapters.simulated.cloud import Break
from pipeline.errors import BlockedByPolicy
from pipeline.model.ending import EndingKind
from pipeline.model.ids import AccountId, TargetId
from pipeline.model.policy import AlarmsBefore
from pipeline.model.run_state import Run
from stages.rollback import RollbackScope, halt
from tests.simulation import Company, digest_of


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return Company(tmp_path)


def released(company: Company, version: str) -> None:
    company.build(version)
    assert company.promote(company.plan(version)).kind is EndingKind.SUCCEEDED


def test_a_good_release_reaches_every_client_once(company: Company) -> None:
    company.build("1.0.0")
    plan = company.plan("1.0.0")
    ending = company.promote(plan)
    assert ending.kind is EndingKind.SUCCEEDED
    assert set(company.runs().values()) == {"1.0.0"}
    assert sorted(company.deployments("1.0.0")) == sorted(str(t.id) for t in plan.targets)
    assert company.run(plan).run is Run.SUCCEEDED


def test_no_target_of_a_wave_starts_before_the_wave_before_it_has_baked(company: Company) -> None:
    company.build("1.0.0")
    plan = company.plan("1.0.0")
    company.promote(plan)
    started = {f"{h.place.account}/{h.place.region}": h.at for h in company.cloud.history}
    for earlier, later in zip(plan.waves, plan.waves[1:], strict=False):
        keys = {t.id: f"{t.account}/{t.id.region}" for t in plan.targets}
        last = max(started[keys[t]] for t in earlier.targets)
        first = min(started[keys[t]] for t in later.targets)
        assert first - last >= earlier.bake


def test_a_sick_canary_goes_back_by_itself_and_nobody_else_is_touched(company: Company) -> None:
    released(company, "1.0.0")
    company.build("1.1.0")
    company.cloud.breaks(Break(template=company.client_template("1.1.0"), how="health"))
    plan = company.plan("1.1.0")
    canary = plan.waves[1].targets[0]
    ending = company.promote(plan)
    assert ending.kind is EndingKind.ROLLED_BACK
    assert company.deployments("1.1.0") == ["@intake/us-east-1", str(canary)]
    assert set(company.runs().values()) == {"1.0.0"}
    assert company.phases(plan)["@intake/us-east-1"] == "ROLLED_BACK"


def test_a_canary_that_falls_ill_while_it_bakes_goes_back_as_well(company: Company) -> None:
    released(company, "1.0.0")
    company.build("1.1.0")
    late = Break(template=company.client_template("1.1.0"), how="alarm", after=timedelta(minutes=30))
    company.cloud.breaks(late)
    plan = company.plan("1.1.0")
    assert company.promote(plan).kind is EndingKind.ROLLED_BACK
    assert set(company.runs().values()) == {"1.0.0"}


def test_a_wave_that_fails_halts_and_the_rest_is_untouched(company: Company) -> None:
    released(company, "1.0.0")
    company.build("1.2.0")
    plan = company.plan("1.2.0")
    victim = plan.target(plan.waves[2].targets[0])
    company.cloud.breaks(
        Break(template=company.client_template("1.2.0"), how="deploy", account=victim.account)
    )
    ending = company.promote(plan)
    assert ending.kind is EndingKind.HALTED
    assert company.run(plan).halted_in == 2
    for target in plan.waves[3].targets:
        assert company.runs()[str(target)] == "1.0.0"


def test_a_halted_wave_goes_back_each_target_to_its_own_previous_release(company: Company) -> None:
    released(company, "1.0.0")
    company.build("1.2.0")
    plan = company.plan("1.2.0")
    victim = plan.target(plan.waves[2].targets[-1])
    company.cloud.breaks(
        Break(template=company.client_template("1.2.0"), how="health", account=victim.account)
    )
    assert company.promote(plan).kind is EndingKind.HALTED
    assert company.rollback(plan, RollbackScope(wave=2)).kind is EndingKind.ROLLED_BACK
    runs = company.runs()
    assert {runs[str(t)] for t in plan.waves[2].targets} == {"1.0.0"}
    assert {runs[str(t)] for t in plan.waves[1].targets} == {"1.2.0"}
    assert company.run(plan).waves[1].at_risk

    company.build("1.3.0")
    third = company.plan("1.3.0")
    assert company.promote(third).kind is EndingKind.SUCCEEDED
    assert set(company.runs().values()) == {"1.3.0"}
    assert company.rollback(third, RollbackScope(all=True)).kind is EndingKind.ROLLED_BACK
    assert company.runs() == runs


def test_a_first_deployment_that_is_sick_is_quarantined_not_deleted(company: Company) -> None:
    company.build("1.0.0")
    company.cloud.breaks(Break(template=company.client_template("1.0.0"), how="health"))
    plan = company.plan("1.0.0")
    canary = plan.waves[1].targets[0]
    assert company.promote(plan).kind is EndingKind.ROLLBACK_INCOMPLETE
    assert company.phases(plan)[str(canary)] == "QUARANTINED"
    assert company.runs()[str(canary)] == "1.0.0"


def test_a_quarantined_target_is_left_out_until_a_person_clears_it(company: Company) -> None:
    company.build("1.0.0")
    company.cloud.breaks(Break(template=company.client_template("1.0.0"), how="health"))
    sick = company.plan("1.0.0")
    company.promote(sick)
    canary = sick.waves[1].targets[0]
    company.build("1.0.1")
    assert [skipped.id for skipped in company.plan("1.0.1").skipped] == [canary]
    company.clear(canary)
    assert company.promote(company.plan("1.0.1")).kind is EndingKind.SUCCEEDED
    assert set(company.runs().values()) == {"1.0.1"}


def test_nothing_is_planned_while_the_services_own_account_is_in_quarantine(company: Company) -> None:
    company.build("1.0.0")
    company.cloud.breaks(Break(template=digest_of("1.0.0/service/template"), how="alarm"))
    assert company.promote(company.plan("1.0.0")).kind is EndingKind.ROLLBACK_INCOMPLETE
    company.build("1.0.1")
    with pytest.raises(BlockedByPolicy, match="the service's own target @intake/us-east-1 is in quarantine"):
        company.plan("1.0.1")
    company.clear(TargetId("@intake", "us-east-1"))
    # The broken release still rings its alarm, which has to be no reason against the release that mends it.
    company.policy = replace(company.policy, alarms_before=AlarmsBefore.RECORD)
    assert company.promote(company.plan("1.0.1")).kind is EndingKind.SUCCEEDED


def test_a_first_creation_that_fails_clears_itself_and_leaves_nothing(company: Company) -> None:
    company.build("1.0.0")
    company.cloud.breaks(Break(template=company.client_template("1.0.0"), how="deploy"))
    plan = company.plan("1.0.0")
    assert company.promote(plan).kind is EndingKind.ROLLBACK_INCOMPLETE  # the service's own account is left
    canary = str(plan.waves[1].targets[0])
    assert company.phases(plan)[canary] == "ROLLED_BACK"
    assert company.runs()[canary] == ""


def test_until_blocked_returns_at_the_bake_and_the_same_command_goes_on(company: Company) -> None:
    company.build("1.0.0")
    plan = company.plan("1.0.0")
    ending = company.promote(plan, blocked=True)
    assert ending.kind is EndingKind.BAKING
    assert ending.until is not None
    assert company.deployments("1.0.0") == ["@intake/us-east-1"]
    company.clock.advance(timedelta(minutes=10))
    second = company.promote(plan, blocked=True)
    assert second.kind is EndingKind.BAKING
    assert company.deployments("1.0.0") == ["@intake/us-east-1", *map(str, plan.waves[1].targets)]
    while ending.kind is not EndingKind.SUCCEEDED:
        company.clock.advance(timedelta(hours=1))
        ending = company.promote(plan, blocked=True)
    assert set(company.runs().values()) == {"1.0.0"}


def test_a_persons_halt_stops_it_before_the_next_account_and_resume_goes_on(company: Company) -> None:
    company.build("1.0.0")
    plan = company.plan("1.0.0")
    company.promote(plan, wave=1)
    halt(plan.release, "looks odd", "ann", company.journal, company.latch)
    before = company.deployments("1.0.0")
    ending = company.promote(plan)
    assert (ending.kind, ending.reason) == (EndingKind.HALTED, "looks odd")
    assert company.deployments("1.0.0") == before
    company.resume(plan)
    assert company.promote(plan).kind is EndingKind.SUCCEEDED


def test_one_target_can_go_back_alone_and_the_release_stands(company: Company) -> None:
    released(company, "1.0.0")
    released(company, "1.1.0")
    plan = company.plan("1.1.0")
    fixed = company.run(plan).plan
    assert fixed is not None
    from pipeline.model.plan import plan_from_json

    plan = plan_from_json(company.artifacts.get(fixed))
    target = TargetId("c3", "us-east-1")
    assert company.rollback(plan, RollbackScope(target=target)).kind is EndingKind.SUCCEEDED
    runs = company.runs()
    assert runs.pop("c3/us-east-1") == "1.0.0"
    assert set(runs.values()) == {"1.1.0"}


def test_promoting_a_finished_release_again_changes_nothing(company: Company) -> None:
    company.build("1.0.0")
    plan = company.plan("1.0.0")
    company.promote(plan)
    happened = company.cloud.history
    assert company.promote(plan).kind is EndingKind.SUCCEEDED
    assert company.cloud.history == happened


def test_two_regions_of_one_client_are_never_in_flight_together(company: Company) -> None:
    company.build("1.0.0")
    company.promote(company.plan("1.0.0"))
    spans = [(h.at, h.settled) for h in company.cloud.history if h.place.account == AccountId("000000000002")]
    (first_start, first_end), (second_start, _) = sorted(spans)
    assert first_start < first_end <= second_start
