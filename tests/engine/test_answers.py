"""What the engine makes of answers that come late, incomplete or not at all."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from pipeline.adapters.simulated.cloud import Break, Temper
from pipeline.adapters.simulated.faults import Fault, FaultKind
from pipeline.adapters.simulated.stack import CloudTimes
from pipeline.model.ending import EndingKind
from pipeline.model.stack import StackSnapshot, StackStatus
from pipeline.ports import Place
from tests.simulation import Company


class _ClearingWithoutToken:
    """Stacks whose DELETE events do not carry the token of the execution that they clear away after."""

    def __init__(self, stacks: Any) -> None:
        self._stacks = stacks

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stacks, name)

    def operation(self, place: Place, stack: str, token: str) -> StackSnapshot | None:
        found: StackSnapshot | None = self._stacks.operation(place, stack, token)
        return None if found is not None and found.status is StackStatus.DELETE_COMPLETE else found


def test_a_creation_that_clears_itself_away_ends_even_where_its_deletion_carries_no_token(
    tmp_path: Path,
) -> None:
    company = Company(
        tmp_path, wrap=lambda name, port: _ClearingWithoutToken(port) if name == "stacks" else port
    )
    company.build("1.0.0")
    company.cloud.breaks(Break(template=company.client_template("1.0.0"), how="deploy"))
    plan = company.plan("1.0.0")
    company.promote(plan)
    assert company.phases(plan)[str(plan.waves[1].targets[0])] == "ROLLED_BACK"


def test_alarms_that_cannot_be_read_do_not_fail_a_bake_but_never_let_it_pass(tmp_path: Path) -> None:
    company = Company(tmp_path)
    company.build("1.0.0")
    company.promote(company.plan("1.0.0"))
    company.build("1.1.0")
    template = company.client_template("1.1.0")
    company.cloud.breaks(
        Break(template=template, how="no data", after=timedelta(minutes=20), until=timedelta(minutes=40))
    )
    plan = company.plan("1.1.0")
    assert company.promote(plan).kind is EndingKind.SUCCEEDED

    company.build("1.2.0")
    template = company.client_template("1.2.0")
    company.cloud.breaks(Break(template=template, how="no data", after=timedelta(minutes=20)))
    plan = company.plan("1.2.0")
    assert company.promote(plan).kind is EndingKind.ROLLED_BACK
    assert set(company.runs().values()) == {"1.1.0"}


def test_an_execution_whose_answer_was_lost_is_found_again_although_its_events_lag(tmp_path: Path) -> None:
    company = Company(tmp_path, temper=Temper(times=CloudTimes(lag=timedelta(seconds=20))))
    company.build("1.0.0")
    company.promote(company.plan("1.0.0"))
    company.build("1.1.0")
    plan = company.plan("1.1.0")
    lost = Fault(kind=FaultKind.LOST_APPLIED, call="execute_change_set", times=1)
    company.cloud.fault(lost)
    assert company.promote(plan).kind is EndingKind.SUCCEEDED
    assert sorted(company.deployments("1.1.0")) == sorted(str(t.id) for t in plan.targets)


def test_a_call_that_was_lost_on_its_way_to_aws_is_made_again_once_that_is_certain(tmp_path: Path) -> None:
    company = Company(tmp_path)
    company.build("1.0.0")
    plan = company.plan("1.0.0")
    lost = Fault(kind=FaultKind.LOST_NOT_APPLIED, call="execute_change_set", times=1)
    company.cloud.fault(lost)
    assert company.promote(plan).kind is EndingKind.SUCCEEDED
    assert sorted(company.deployments("1.0.0")) == sorted(str(t.id) for t in plan.targets)


def test_an_outage_is_told_now_and_then_and_ends_in_unknown_not_in_silence(tmp_path: Path) -> None:
    company = Company(tmp_path)
    company.build("1.0.0")
    company.promote(company.plan("1.0.0"))
    company.build("1.1.0")
    plan = company.plan("1.1.0")
    company.promote(plan, wave=0)
    company.cloud.fault(Fault(kind=FaultKind.THROTTLED, call="*", times=0))
    assert company.promote(plan).kind is EndingKind.ROLLBACK_INCOMPLETE
    assert len(company.warnings) > 10
    assert "trying again since" in company.warnings[0]
