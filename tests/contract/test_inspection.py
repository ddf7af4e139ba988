"""The contract of inspections, against the simulated cloud and against local AWS."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.adapters.aws.inspection import AwsInspection
from pipeline.adapters.aws.session import AMBIENT, Aws, Identity
from pipeline.adapters.local.front import process
from pipeline.adapters.simulated.faults import Fault, FaultKind
from pipeline.adapters.simulated.inspection import SimulatedInspection
from pipeline.model.ids import AccountId, account_id
from pipeline.model.inspection import DriftStatus, ResourceDrift
from pipeline.model.stack import StackStatus
from pipeline.ports import Inspection, Place
from tests import local_aws
from tests.contract.inspection_contract import STACK, InspectionContract, Scene
from tests.local_aws import Front
from tests.simulation import Company

front = local_aws.front


class SimulatedScene:
    def __init__(self, tmp: Path) -> None:
        self.company = Company(tmp=tmp)
        self.simulated = SimulatedInspection(self.company.cloud)
        self.inspection: Inspection = self.simulated
        self.place = Place(AccountId("000000000001"), "us-east-1")
        self.company.build("1.0.0")
        self.deployable = self.company.plan("1.0.0").targets[-1].desired
        self._deploy(STACK)
        self.set_alarm("OK")

    def _deploy(self, stack: str) -> None:
        self.company.cloud.by_hand(self.place, stack, self.deployable, StackStatus.CREATE_COMPLETE)

    def change_by_hand(self, logical_id: str) -> None:
        drift = ResourceDrift(logical_id=logical_id, status=DriftStatus.MODIFIED, properties=("/Value",))
        self.simulated.by_hand(self.place, STACK, drift)

    def delete_by_hand(self, logical_id: str) -> None:
        drift = ResourceDrift(logical_id=logical_id, status=DriftStatus.DELETED)
        self.simulated.by_hand(self.place, STACK, drift)

    def set_alarm(self, state: str) -> None:
        self.simulated.alarm(self.place, STACK, f"{STACK}-errors", state)

    def delete_alarm(self) -> None:
        self.set_alarm("")

    def deploy_another(self) -> None:
        self._deploy("svc-another")

    def close(self) -> None:
        self.company.cloud.fault(Fault(kind=FaultKind.SUSPENDED, times=0))

    def wait(self) -> None:
        self.company.clock.advance(timedelta(seconds=1))


class TestSimulatedInspection(InspectionContract):
    @pytest.fixture
    def scene(self, tmp_path: Path) -> Scene:
        return SimulatedScene(tmp_path)


def _template() -> str:
    def parameter(name: str) -> dict[str, Any]:
        given = {"Type": "String", "Name": {"Fn::Sub": f"/${{AWS::StackName}}/{name}"}, "Value": "as it is"}
        return {"Type": "AWS::SSM::Parameter", "Properties": given}

    alarm = {
        "AlarmName": {"Fn::Sub": "${AWS::StackName}-errors"},
        "ComparisonOperator": "GreaterThanThreshold",
        "EvaluationPeriods": 1,
        "MetricName": "Errors",
        "Namespace": "Tidegate/Tests",
        "Period": 60,
        "Statistic": "Sum",
        "Threshold": 1,
        "TreatMissingData": "ignore",
    }
    resources = {name: parameter(name) for name in "ABC"}
    return json.dumps(
        {"Resources": {**resources, "Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": alarm}}}
    )


class LocalScene:
    """An account of its own on local AWS, entered with the role that AWS puts into every account it makes."""

    def __init__(self, front: Front, name: str) -> None:
        self._front = front
        self._account = front.create_account(name)
        self._session = front.assume(self._account)
        self.place = Place(account_id(self._account), "us-east-1")
        self.inspection: Inspection = AwsInspection(Aws(), _access_role, _access_role)
        self._deploy(STACK)

    def _client(self, service: str) -> Any:
        return self._front.client(self._session, service, "us-east-1")

    def _deploy(self, stack: str) -> None:
        cloudformation = self._client("cloudformation")
        cloudformation.create_stack(StackName=stack, TemplateBody=_template())
        deadline = time.monotonic() + 20
        while (
            cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"] != "CREATE_COMPLETE"
        ):
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def change_by_hand(self, logical_id: str) -> None:
        self._client("ssm").put_parameter(
            Name=f"/{STACK}/{logical_id}", Value="something else", Type="String", Overwrite=True
        )

    def delete_by_hand(self, logical_id: str) -> None:
        self._client("ssm").delete_parameter(Name=f"/{STACK}/{logical_id}")

    def set_alarm(self, state: str) -> None:
        self._client("cloudwatch").set_alarm_state(
            AlarmName=f"{STACK}-errors", StateValue=state, StateReason="a test"
        )

    def delete_alarm(self) -> None:
        self._client("cloudwatch").delete_alarms(AlarmNames=[f"{STACK}-errors"])

    def deploy_another(self) -> None:
        self._deploy("svc-another")

    def close(self) -> None:
        organizations = self._front.client(self._front.admin(), "organizations")
        organizations.close_account(AccountId=self._account)
        # What is assumed already stays good for an hour; a new runner has nothing yet.
        self.inspection = AwsInspection(Aws(), _access_role, _access_role)

    def wait(self) -> None:
        time.sleep(0.02)


def _access_role(place: Place) -> Identity:
    arn = f"arn:aws:iam::{place.account}:role/OrganizationAccountAccessRole"
    return Identity(role_arn=arn, external_id="any", via=AMBIENT)


@pytest.mark.local_aws
class TestInspectionOfLocalAws(InspectionContract):
    @pytest.fixture
    def scene(self, front: Front, monkeypatch: pytest.MonkeyPatch) -> Scene:
        for name, value in process.environment(front.home).items():
            if value:
                monkeypatch.setenv(name, value)
            else:
                monkeypatch.delenv(name, raising=False)
        return LocalScene(front, "inspected")
