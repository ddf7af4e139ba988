"""What the tests of the simulated cloud share: three releases of one service, one place, and a way to deploy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

from pipeline.adapters.simulated.clock import SimulatedClock
from pipeline.adapters.simulated.cloud import Break, SimulatedCloud, Temper
from pipeline.adapters.simulated.stack import ScriptedRelease
from pipeline.model.canonical import sha256_hex
from pipeline.model.ids import AccountId, Digest, digest
from pipeline.model.plan import Deployable
from pipeline.model.stack import IN_PROGRESS, ChangeSetView, Mark, StackStatus
from pipeline.ports import ChangeSetRequest, Place

ACME = Place(AccountId("012345670001"), "us-east-1")
ZOE = Place(AccountId("012345670002"), "eu-west-1")
STACK = "svc-intake"
FORM = ("Form", "AWS::Lambda::Function")
TABLE = ("Table", "AWS::DynamoDB::Table")


def digest_of(text: str) -> Digest:
    return digest(sha256_hex(text.encode()))


def deployable(version: str) -> Deployable:
    return Deployable(
        release=f"intake@{version}",
        digest=digest_of(f"release {version}"),
        commit="c" * 40,
        template=digest_of(f"template {version}"),
        functions=(("Form", digest_of(f"code {version}")),),
    )


def scripted(version: str, *resources: tuple[str, str], **more: object) -> ScriptedRelease:
    made = deployable(version)
    mark = Mark(release=made.release, digest=made.digest, commit=made.commit).text()
    values: dict[str, object] = {
        "template": made.template,
        "mark": mark,
        "resources": resources or (FORM,),
        "functions": made.functions,
    }
    return ScriptedRelease(**cast("Any", values | more))


ONE, TWO, THREE = (deployable(version) for version in ("1.0.0", "2.0.0", "3.0.0"))


@dataclass
class Scene:
    """A cloud that knows ONE (a function), TWO (with a table) and THREE (a function)."""

    temper: Temper = field(default_factory=Temper)

    def __post_init__(self) -> None:
        self.clock = SimulatedClock()
        self.cloud = SimulatedCloud(self.clock, self.temper)
        self.stacks = self.cloud.stacks
        self.cloud.release(scripted("1.0.0"))
        self.cloud.release(scripted("2.0.0", FORM, TABLE))
        self.cloud.release(scripted("3.0.0"))
        self._number = 0

    def token(self) -> str:
        self._number += 1
        return f"{self._number:032x}"

    def breaks(self, wanted: Deployable, *hows: str, resources: tuple[str, ...] = ()) -> None:
        for how in hows:
            self.cloud.breaks(Break(template=wanted.template, how=how, resources=resources))

    def request(self, wanted: Deployable, *, creating: bool = False) -> ChangeSetRequest:
        token = self.token()
        return ChangeSetRequest(
            stack=STACK,
            name=f"tg-{token}",
            token=token,
            creating=creating,
            template=wanted.template,
            parameters=wanted.parameters,
            tags=(),
        )

    def made(self, request: ChangeSetRequest) -> ChangeSetView:
        self.stacks.create_change_set(ACME, request)
        self.clock.advance(timedelta(seconds=10))
        return self.stacks.describe_change_set(ACME, STACK, request.name)

    def execute(self, request: ChangeSetRequest) -> list[StackStatus | None]:
        self.made(request)
        self.stacks.execute_change_set(ACME, STACK, request.name, request.token)
        return self.shown()

    def deploy(self, wanted: Deployable, *, creating: bool = False) -> list[StackStatus | None]:
        return self.execute(self.request(wanted, creating=creating))

    def continued(self, skip: Sequence[str] = ()) -> list[StackStatus | None]:
        self.stacks.continue_update_rollback(ACME, STACK, self.token(), skip)
        return self.shown()

    def shown(self) -> list[StackStatus | None]:
        """Every status the stack shows until it stands still."""
        shown: list[StackStatus | None] = []
        while True:
            snapshot = self.stacks.describe(ACME, STACK)
            status = None if snapshot is None else snapshot.status
            if not shown or shown[-1] is not status:
                shown.append(status)
            if status not in IN_PROGRESS:
                return shown
            self.clock.advance(timedelta(seconds=1))

    def runs(self) -> str:
        return self.cloud.runs(ACME, STACK)
