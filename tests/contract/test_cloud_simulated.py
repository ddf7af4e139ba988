"""The contracts of Stacks, Alarms and Smoke on the simulated cloud."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pipeline.adapters.simulated.alarms import AlarmSeries
from pipeline.adapters.simulated.changes import Physical
from pipeline.adapters.simulated.clock import SimulatedClock
from pipeline.adapters.simulated.cloud import Break, SimulatedCloud
from pipeline.adapters.simulated.faults import Fault, FaultKind
from pipeline.adapters.simulated.stack import ScriptedRelease
from pipeline.model.canonical import sha256_hex
from pipeline.model.ids import AccountId, Digest, digest
from pipeline.ports import Place
from tests.contract.cloud_bed import TABLE, Bed
from tests.contract.stacks_contract import StacksContract
from tests.contract.watching_contract import AlarmsContract, SmokeContract

_CORE = (("Form", "AWS::Lambda::Function"), ("Mark", "AWS::SSM::Parameter"), ("Queue", "AWS::SQS::Queue"))
_MORE = {
    "sick": (("Sick", "AWS::SQS::Queue"),),
    "stuck-one": (("Switch", "Custom::Switch"),),
    "stuck": (("Switch", "Custom::Switch"), ("Sick", "AWS::SQS::Queue")),
    "table": (("Table", "AWS::DynamoDB::Table"),),
    "import": (("Old", "AWS::SQS::Queue"),),
    "smoke": (("SmokeCheck", "AWS::Lambda::Function"),),
}


def _digest(text: str) -> Digest:
    return digest(sha256_hex(text.encode()))


class SimulatedBed(Bed):
    def __init__(self) -> None:
        self.clock = SimulatedClock()
        self.cloud = SimulatedCloud(self.clock)
        self.stacks, self.alarms, self.smoke = self.cloud.stacks, self.cloud.alarms, self.cloud.smoke
        self.place = Place(AccountId("012345670001"), "us-east-1")
        self.lacks = {"smoke odd": "the simulated functions answer by the book, or raise"}
        for kind in ("one", "two", "three", "sick", "stuck-one", "stuck", "table", "import"):
            self.cloud.release(self._scripted(kind))
        for how in ("well", "ill", "raises"):
            self.cloud.release(self._scripted(f"smoke {how}"))
        self.cloud.breaks(Break(template=self.template("sick"), how="deploy", resources=("Sick",)))
        self.cloud.breaks(Break(template=self.template("smoke ill"), how="smoke"))
        self.cloud.breaks(Break(template=self.template("smoke raises"), how="no smoke"))
        for name in ("999999999999",):
            self.cloud.fault(Fault(kind=FaultKind.ROLE_GONE, account=AccountId(name), times=0))

    def _scripted(self, kind: str) -> ScriptedRelease:
        version = {"import": "one", "table": "two"}.get(kind, kind)
        return ScriptedRelease(
            template=self.template(kind),
            mark=f"contract@{version.replace(' ', '-')} {_digest(version)} commit",
            resources=(*_CORE, *_MORE.get(kind.split(" ")[0], ())),
            functions=(("Form", _digest(f"code {version}")),),
            retained=("Table", "Old"),
            named=(("Table", TABLE),),
            defined=(("Mark", version), ("Queue", version)),
        )

    def template(self, kind: str) -> Digest:
        return _digest(f"template {kind}")

    def wait(self) -> None:
        self.clock.advance(timedelta(seconds=1))

    def mend(self) -> None:
        self.cloud.mends(self.template("stuck"))

    def break_again(self) -> None:
        self.mend()
        for how in ("deploy", "rollback", "continue"):
            self.cloud.breaks(Break(template=self.template("stuck"), how=how, resources=("Switch",)))

    def orphan(self, stack: str) -> str:
        url = f"https://sqs.us-east-1.amazonaws.com/012345670001/{stack}-old"
        thing = Physical(resource_type="AWS::SQS::Queue", physical_id=url)
        self.cloud.formation(self.place).inventory[thing] = ""
        return url

    def set_alarm(self, stack: str, name: str, state: str) -> None:
        series = AlarmSeries(
            name=f"{stack}-{name}",
            states=(state,),
            stack=stack,
            begins=self.clock.now(),
            composite=name == "all",
        )
        self.cloud.alarm(series)

    def smoking(self, how: str) -> tuple[str, str]:
        return self.standing(f"smoke {how}")[0], "SmokeCheck"


@pytest.fixture(scope="module")
def bed() -> Bed:
    return SimulatedBed()


class TestSimulatedStacks(StacksContract):
    pass


class TestSimulatedAlarms(AlarmsContract):
    pass


class TestSimulatedSmoke(SmokeContract):
    pass
