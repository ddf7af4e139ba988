"""The guard from plan to execution: who is stopped by a blocked change, who is not, and what AWS is told to refuse."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.adapters.simulated.stack import ScriptedRelease
from pipeline.errors import BlockedByPolicy
from pipeline.model.ending import EndingKind
from pipeline.model.ids import AccountId, TargetId, stack_name
from pipeline.model.plan import Deployable, Plan, plan_to_json
from pipeline.model.release import ServiceSpec
from pipeline.model.run_state import Run
from pipeline.model.stack import Mark
from pipeline.model.target_state import Phase
from pipeline.model.waiver import SignedWaiver, Waiver
from pipeline.ports import Place
from stages.plan import PlanPorts, PlanRequest, make_plan
from stages.promote import read_run, read_targets
from tests.simulation import SERVICE, Company, digest_of

FORM = ("Form", "AWS::Lambda::Function")
FORMS = ("Forms", "AWS::DynamoDB::Table")
STACK = stack_name(SERVICE)
C1, C3 = TargetId("c1", "us-east-1"), TargetId("c3", "us-east-1")


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return Company(tmp_path)


def place(target: TargetId) -> Place:
    return Place(AccountId(f"{int(target.owner.removeprefix('c')):012d}"), target.region)


def built(company: Company, version: str, *tables: tuple[str, str]) -> None:
    """As `Company.build`, but the clients' template holds these as well, each with DeletionPolicy Retain."""
    company.build(version)
    known = company.cloud.scripted(company.client_template(version))
    kept = tuple(name for name, _ in tables)
    company.cloud.release(replace(known, resources=(FORM, *tables), retained=kept))


def everywhere(company: Company, version: str, *tables: tuple[str, str]) -> None:
    built(company, version, *tables)
    assert company.promote(company.plan(version)).kind is EndingKind.SUCCEEDED


def a_table_by_hand(company: Company, target: TargetId) -> None:
    """Somebody gives this one client a table that no release of ours knows."""
    deployable = Deployable(
        release=f"{SERVICE}@0.0.1", digest=digest_of("by hand"), commit="c", template=digest_of("by hand")
    )
    mark = Mark(release=deployable.release, digest=deployable.digest, commit=deployable.commit)
    company.cloud.release(
        ScriptedRelease(
            template=deployable.template, mark=mark.text(), resources=(FORM, FORMS), retained=("Forms",)
        )
    )
    company.cloud.by_hand(place(target), STACK, deployable)
    company.clock.sleep(timedelta(hours=2))


def waived_plan(company: Company, version: str, *waivers: SignedWaiver) -> Plan:
    """As `Company.plan`, with waivers whose signature was checked."""
    manifest = company.manifest(version)
    spec = ServiceSpec(
        name=SERVICE, client_template="client.yaml", health=company.health, waves=company.policy
    )
    request = PlanRequest(
        fleet=company.fleet, manifest=manifest, envelope=digest_of(version), spec=spec, waivers=waivers
    )
    ports = PlanPorts(
        clock=company.clock,
        journal=company.journal,
        artifacts=company.artifacts,
        stacks=company.cloud.stacks,
    )
    return make_plan(request, ports)


def phases(company: Company, plan: Plan) -> dict[str, Phase]:
    return {str(target): state.phase for target, state in read_targets(company.journal, plan).items()}


def test_a_client_whose_change_is_blocked_is_left_out_of_the_plan_and_the_others_go_on(
    company: Company,
) -> None:
    everywhere(company, "1.0.0")
    a_table_by_hand(company, C3)
    built(company, "1.1.0")

    plan = company.plan("1.1.0")
    ending = company.promote(plan)

    assert [(s.id, s.reason.startswith("is blocked by the guard: Forms")) for s in plan.skipped] == [
        (C3, True)
    ]
    assert ending.kind is EndingKind.SUCCEEDED
    assert set(phases(company, plan).values()) == {Phase.HEALTHY}
    assert company.cloud.runs(place(C3), STACK) == f"{SERVICE}@0.0.1"


def test_a_change_that_is_blocked_only_when_it_is_made_stops_that_client_and_not_its_wave(
    company: Company,
) -> None:
    everywhere(company, "1.0.0")
    built(company, "1.1.0")
    plan = company.plan("1.1.0")
    a_table_by_hand(company, C3)

    ending = company.promote(plan)

    found = phases(company, plan)
    assert found.pop(str(C3)) is Phase.SKIPPED
    assert set(found.values()) == {Phase.HEALTHY}
    assert ending.kind is EndingKind.SUCCEEDED
    assert read_run(company.journal, plan.release).run is Run.SUCCEEDED
    assert company.cloud.runs(place(C3), STACK) == f"{SERVICE}@0.0.1"
    assert company.cloud.stacks.list_change_sets(place(C3), STACK) == ()


def test_a_plan_that_would_take_every_clients_table_is_refused(company: Company) -> None:
    everywhere(company, "1.0.0", FORMS)
    built(company, "1.1.0")

    with pytest.raises(BlockedByPolicy) as caught:
        company.plan("1.1.0")

    told, *alone, together = caught.value.details
    assert " and 1 more: " in told
    assert "would be let go of" in told
    assert len(alone) == 6
    assert together.startswith("for all 7 alike: release waive ")


def test_after_its_first_healthy_release_a_stack_refuses_by_itself_what_the_guard_refuses(
    company: Company,
) -> None:
    everywhere(company, "1.0.0", FORMS)

    stack = company.cloud.formation(place(C1)).find(STACK)

    assert stack is not None
    assert stack.protected
    assert "LogicalResourceId/Forms" in stack.policy


def test_a_waiver_in_the_plan_lets_one_clients_change_through_to_the_stack_policy(company: Company) -> None:
    """The guard passes over what a person has signed for. AWS does not: its policy is that person's to change."""
    everywhere(company, "1.0.0")
    a_table_by_hand(company, C1)
    built(company, "1.1.0")
    waiver = SignedWaiver(
        waiver=Waiver(
            release=company.manifest("1.1.0").release,
            client="c1",
            logical_id="Forms",
            physical_id=_physical_id(company),
            rule="removal",
            reason="the table was a mistake",
            approver="ann",
            expires=company.clock.now() + timedelta(days=1),
        ),
        key="key",
        signature="c2ln",
    )
    plan = waived_plan(company, "1.1.0", waiver)

    assert C1 in {target.id for target in plan.targets}
    assert plan.waivers == (waiver,)
    assert plan_to_json(plan)  # waivers are part of what the plan's digest names
    assert company.promote(plan).kind is EndingKind.SUCCEEDED
    assert company.cloud.runs(place(C1), STACK) == f"{SERVICE}@1.1.0"


def _physical_id(company: Company) -> str:
    stack = company.cloud.formation(place(C1)).find(STACK)
    assert stack is not None
    return str(stack.ids_at(company.clock.now())["Forms"])


def test_what_the_stack_policy_refuses_is_told_before_it_is_tried(company: Company) -> None:
    everywhere(company, "1.0.0", FORMS)
    built(company, "1.1.0")
    waiver = SignedWaiver(
        waiver=Waiver(
            release=company.manifest("1.1.0").release,
            client="c1",
            logical_id="Forms",
            physical_id=_physical_id(company),
            rule="removal",
            reason="the table was a mistake",
            approver="ann",
            expires=company.clock.now() + timedelta(days=1),
        ),
        key="key",
        signature="c2ln",
    )
    plan = waived_plan(company, "1.1.0", waiver)

    company.promote(plan)

    state = read_targets(company.journal, plan)[C1]
    assert state.phase is Phase.SKIPPED
    assert "Forms: the stack policy refuses it" in state.reason
    assert company.cloud.runs(place(C1), STACK) == f"{SERVICE}@1.0.0"
