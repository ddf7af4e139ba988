"""`release plan` over the simulated cloud: who takes part, who is left out and why, and what is frozen with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import BlockedByPolicy
from pipeline.model.ending import EndingKind
from pipeline.model.fleet import Client, Fleet, Freeze, Window
from pipeline.model.ids import AccountId
from pipeline.model.plan import Plan, SkippedTarget, TargetSkew, plan_digest, plan_from_json, plan_to_json
from pipeline.model.policy import CanaryPolicy
from pipeline.model.release import ServiceSpec
from pipeline.model.stack import ResourceChange
from pipeline.model.waiver import SignedWaiver, Waiver
from pipeline.ports import Place
from stages.fleet import fleet_rows
from stages.plan import PlanPorts, PlanRequest, make_plan
from tests.architecture.reading import ROOT, imports, module_of, sources
from tests.decide.runs import t
from tests.simulation import POLICY, SERVICE, Company, a_fleet, digest_of

REMOVAL = ResourceChange(
    logical_id="Forms",
    resource_type="AWS::DynamoDB::Table",
    action="Remove",
    policy_action="Delete",
    physical_id="forms-1",
)
LOSS = "Forms (AWS::DynamoDB::Table): would be deleted with its data"


@dataclass
class LosingStacks:
    """The cloud's stacks, but in some accounts every change set would also delete a table."""

    stacks: Any
    accounts: frozenset[str]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stacks, name)

    def describe_change_set(self, place: Place, stack: str, change_set: str) -> Any:
        view = self.stacks.describe_change_set(place, stack, change_set)
        return replace(view, changes=(*view.changes, REMOVAL)) if place.account in self.accounts else view


def plan_of(
    company: Company,
    version: str,
    *,
    losing: frozenset[str] = frozenset(),
    waivers: tuple[SignedWaiver, ...] = (),
    rollback_safe: bool = True,
) -> Plan:
    request = PlanRequest(
        fleet=company.fleet,
        manifest=company.manifest(version),
        envelope=digest_of(version),
        spec=ServiceSpec(
            name=SERVICE,
            client_template="client.yaml",
            health=company.health,
            waves=company.policy,
            rollback_safe=rollback_safe,
        ),
        waivers=waivers,
    )
    ports = PlanPorts(
        clock=company.clock,
        journal=company.journal,
        artifacts=company.artifacts,
        stacks=LosingStacks(company.cloud.stacks, losing),
    )
    return make_plan(request, ports)


def account(name: str) -> str:
    return f"{int(name.removeprefix('c')):012d}"


@pytest.fixture
def company(tmp_path: Path) -> Company:
    """Everybody runs 1.0.0; 1.1.0 is built."""
    company = Company(tmp_path)
    company.build("1.0.0")
    assert company.promote(company.plan("1.0.0")).kind is EndingKind.SUCCEEDED
    company.build("1.1.0")
    return company


# --- the guard ------------------------------------------------------------------------------------


def test_a_client_whose_change_is_blocked_is_left_out_and_nobody_else(company: Company) -> None:
    plan = plan_of(company, "1.1.0", losing=frozenset({account("c2")}))

    assert plan.skipped == (
        SkippedTarget(id=t("c2/eu-west-1"), reason=f"is blocked by the guard: {LOSS}"),
        SkippedTarget(id=t("c2"), reason=f"is blocked by the guard: {LOSS}"),
    )
    assert {x.id.owner for x in plan.targets} == {"@intake", "c1", "c3", "c4", "c5", "c6"}
    assert company.promote(plan).kind is EndingKind.SUCCEEDED
    assert company.runs()["c2/us-east-1"] == "1.0.0"


def test_where_everybody_is_blocked_the_plan_is_refused_with_what_a_waiver_would_take(
    company: Company,
) -> None:
    with pytest.raises(BlockedByPolicy) as refused:
        plan_of(company, "1.1.0", losing=frozenset(account(f"c{n}") for n in range(1, 7)))

    told, *alone, together = refused.value.details
    six = "c1/us-east-1, c2/us-east-1, c2/eu-west-1, c3/us-east-1, c4/us-east-1, c5/us-east-1"
    assert told == f"{six} and 1 more: {LOSS}"
    assert [line.split()[7:9] for line in alone] == [
        ["--client", name] for name in ("c1", "c2", "c2", "c3", "c4", "c5")
    ]
    assert together.startswith("for all 7 alike: release waive intake@1.1.0 --group sha256:")


def test_a_blocked_change_of_the_services_own_stack_refuses_the_plan(company: Company) -> None:
    with pytest.raises(BlockedByPolicy) as refused:
        plan_of(company, "1.1.0", losing=frozenset({"222222222222"}))

    assert refused.value.details[0] == f"@intake/us-east-1: {LOSS}"


def test_a_waiver_lets_its_client_take_part_and_stands_in_the_plan(company: Company) -> None:
    waiver = Waiver(
        release=company.manifest("1.1.0").release,
        client="c3",
        logical_id="Forms",
        physical_id="forms-1",
        rule="removal",
        reason="c3 keeps none",
        approver="ann",
        expires=company.clock.now() + timedelta(days=1),
    )
    signed = SignedWaiver(waiver=waiver, key="key", signature="sig")
    of_another = replace(signed, waiver=replace(waiver, release=company.manifest("1.0.0").release))
    losing = frozenset({account("c3"), account("c4")})
    plan = plan_of(company, "1.1.0", losing=losing, waivers=(signed, of_another))

    assert plan.skipped == (SkippedTarget(id=t("c4"), reason=f"is blocked by the guard: {LOSS}"),)
    assert plan.waivers == (signed,)
    assert plan.notes[0].startswith("ann waived removal of Forms at c3/us-east-1 until ")


# --- windows and freezes ---------------------------------------------------------------------------


def frozen(company: Company, days: int, **scope: str) -> Fleet:
    now = company.clock.now()
    freeze = Freeze(reason="year's end", start=now, end=now + timedelta(days=days), **scope)
    return replace(company.fleet, freezes=(freeze,))


def test_a_client_frozen_for_longer_than_a_run_waits_is_left_out(company: Company) -> None:
    company.fleet = frozen(company, 30, client="c2")
    plan = plan_of(company, "1.1.0")

    assert [skipped.id for skipped in plan.skipped] == [t("c2/eu-west-1"), t("c2")]
    assert plan.skipped[0].reason.startswith("c2 is frozen until ")
    assert plan.skipped[0].reason.endswith(": year's end (a run waits for 14 days at most)")
    assert all(wave.targets for wave in plan.waves)


def test_a_client_frozen_for_a_while_takes_part_at_the_end(company: Company) -> None:
    company.fleet = frozen(company, 3, client="c2")
    plan = plan_of(company, "1.1.0")
    thaw = company.clock.now() + timedelta(days=3)

    assert plan.skipped == ()
    assert plan.waves[-1].targets == ()
    assert {eta.id.owner: eta.start >= thaw for eta in plan.etas} == {
        "@intake": False, "c1": False, "c2": True, "c3": False, "c4": False, "c5": False, "c6": False,
    }  # fmt: skip
    assert company.promote(plan).kind is EndingKind.SUCCEEDED
    assert company.clock.now() >= thaw
    assert set(company.runs().values()) == {"1.1.0"}


def test_a_service_frozen_for_longer_than_a_run_waits_has_no_plan(company: Company) -> None:
    company.fleet = frozen(company, 30, service=SERVICE)
    with pytest.raises(BlockedByPolicy, match=r"intake is frozen until .*: year's end"):
        plan_of(company, "1.1.0")


def test_a_client_with_a_window_is_expected_in_it(company: Company) -> None:
    day = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[
        (company.clock.now() + timedelta(days=2)).weekday()
    ]
    window = Window(days=(day,), start="06:00", end="07:00", timezone="Asia/Kathmandu")
    clients = tuple(replace(c, window=window) if c.name == "c5" else c for c in company.fleet.clients)
    company.fleet = replace(company.fleet, clients=clients)
    plan = plan_of(company, "1.1.0")
    (expected,) = (eta for eta in plan.etas if eta.id == t("c5"))

    assert f"{expected.start:%H:%M}" == "00:15"  # 05:45 east of Greenwich
    assert company.promote(plan).kind is EndingKind.SUCCEEDED
    (deployed,) = (
        h for h in company.cloud.history if h.place.account == account("c5") and "1.1.0" in h.after
    )
    assert f"{deployed.at:%H:%M}" >= "00:15"


# --- what the journal knows ---------------------------------------------------------------------------


def test_a_client_that_was_left_out_of_two_releases_is_told_to_lag(company: Company) -> None:
    company.suspended("c4")
    for version in ("1.1.0", "1.2.0"):
        if version != "1.1.0":
            company.build(version)
        assert company.promote(company.plan(version)).kind is EndingKind.SUCCEEDED
    company.build("1.3.0")
    rows = {row.client: row.behind for row in fleet_rows(company.fleet, company.journal, None)}

    assert rows == {"@intake": 0, "c1": 0, "c2": 0, "c3": 0, "c4": 2, "c5": 0, "c6": 0}
    assert plan_of(company, "1.3.0").skew == (TargetSkew(id=t("c4"), running="intake@1.0.0", behind=2),)


def test_turns_are_estimated_by_what_deployments_took_before(company: Company) -> None:
    first = plan_of(company, "1.1.0").etas[0]

    assert timedelta(0) < first.finish - first.start < timedelta(minutes=5)


def test_all_of_it_survives_in_the_stored_plan(company: Company) -> None:
    company.fleet = frozen(company, 3, client="c2")
    company.policy = replace(POLICY, canary=CanaryPolicy(clients=2), approvals=(2,))
    plan = plan_of(company, "1.1.0", rollback_safe=False)
    stored = plan_from_json(company.artifacts.get(plan_digest(plan)))

    assert stored == plan
    assert plan_from_json(plan_to_json(stored)) == plan
    assert (stored.rollback_safe, stored.waves[2].approval) == (False, True)
    assert stored.draw is not None
    assert len(stored.draw.canaries) == 2


# --- after the plan is fixed --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda fleet: replace(
            fleet,
            clients=(
                *fleet.clients,
                Client(
                    name="new",
                    account=AccountId("000000000099"),
                    regions=("us-east-1",),
                    services=(SERVICE,),
                ),
            ),
        ),
        lambda fleet: replace(fleet, clients=tuple(replace(c, suspended=False) for c in fleet.clients)),
        lambda fleet: replace(fleet, clients=tuple(replace(c, suspended=True) for c in fleet.clients)),
        lambda fleet: replace(fleet, clients=tuple(replace(c, ring="late") for c in fleet.clients)),
        lambda fleet: replace(fleet, clients=()),
    ],
    ids=["added", "reactivated", "suspended", "of another ring", "gone"],
)
def test_what_is_done_to_the_fleet_during_a_run_never_changes_the_run(
    company: Company, change: Callable[[Fleet], Fleet]
) -> None:
    company.suspended("c6")
    plan = plan_of(company, "1.1.0")
    company.promote(plan, wave=1)
    company.fleet, before = change(company.fleet), company.fleet

    assert company.promote(plan).kind is EndingKind.SUCCEEDED
    company.fleet = before
    assert sorted(company.deployments("1.1.0")) == sorted(str(target.id) for target in plan.targets)
    assert company.runs()["c6/us-east-1"] == "1.0.0"


def test_nothing_that_carries_out_a_plan_can_read_the_fleet_or_the_files() -> None:
    """Not even by accident: they do not import what would be needed."""
    carrying_out = ("pipeline.engine.", "stages.promote", "pipeline.decide.run_steps", "pipeline.decide.pace")
    reading = [
        (module_of(path, ROOT), found.module)
        for path in sources(ROOT)
        if module_of(path, ROOT).startswith(carrying_out)
        for found in imports(path, ROOT)
        if found.module.startswith(("pipeline.config", "pipeline.model.fleet", "stages.plan"))
    ]

    assert reading == []


def test_a_fleet_of_one_client_still_has_a_canary(tmp_path: Path) -> None:
    company = Company(tmp_path, fleet=a_fleet(1))
    company.policy = replace(POLICY, canary=CanaryPolicy())
    company.build("1.0.0")
    plan = plan_of(company, "1.0.0")

    assert [wave.name for wave in plan.waves] == ["service", "canary"]
    assert plan.draw is not None
    assert not plan.draw.randomised
