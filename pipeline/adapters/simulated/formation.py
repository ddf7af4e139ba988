"""Room: adapters/simulated. CloudFormation of one account and Region: its stacks and the reads of them.

Facts: botocore service model `cloudformation` 2010-05-15 and the CloudFormation User Guide, unless another source
is named at a method. It knows no faults and no other account; what changes a stack stands in `changing.py`. The
caller holds the lock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pipeline.adapters.simulated.changes import Physical
from pipeline.adapters.simulated.faults import draw
from pipeline.adapters.simulated.stack import ChangeSet, CloudTimes, Content, Stack, outputs_of
from pipeline.adapters.simulated.witness import Happening
from pipeline.errors import ChangeSetGone, RequestRefused, WrongAccount
from pipeline.model.ids import Digest
from pipeline.model.stack import ChangeSetView, StackSnapshot, StackStatus
from pipeline.ports import Place

__all__ = ["Formation", "Happening", "Temper"]

S = StackStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Temper:
    """How the cloud behaves. weather: see Faults. honours_client_token: False where CreateChangeSet answers a
    retry with AlreadyExistsException whatever its ClientToken (aws-cli#5342).

    flickers: within `times.lag` each read may be older or newer than the one before it, as answers of several
    machines are. early_validation: a change set that would add a resource whose name exists fails at once; without
    it the update fails (User Guide, "Validate stack deployments").
    """

    seed: int = 0
    times: CloudTimes = field(default_factory=CloudTimes)
    weather: int = 0
    honours_client_token: bool = True
    flickers: bool = False
    early_validation: bool = True


class Formation:
    """The state and its reads. inventory: every real resource there is, with the id of the stack that owns it;
    empty where none does. touched: grows with every change of anything, so that one can tell a call without effect.
    """

    def __init__(self, place: Place, now: Callable[[], datetime], temper: Temper) -> None:
        self.place = place
        self.now = now
        self.temper = temper
        self.history: list[Happening] = []
        self.stacks: list[Stack] = []
        self.used: dict[str, Stack] = {}
        self.inventory: dict[Physical, str] = {}
        self.touched = 0
        self._reads = 0
        self._outputs: dict[Digest, tuple[Content, tuple[tuple[str, str], ...]]] = {}

    # --- looking -------------------------------------------------------------------------------

    def find(self, name: str, at: datetime | None = None) -> Stack | None:
        """By name the one that is not deleted; by id also a deleted one ("for deleted stacks you must specify the
        unique stack ID", DescribeStacks)."""
        if name.startswith("arn:"):
            if name.split(":")[4] != self.place.account:
                raise WrongAccount(f"{name} is not in account {self.place.account}")
            return next((stack for stack in self.stacks if stack.id == name), None)
        moment = at or self.now()
        for stack in reversed(self.stacks):
            if stack.name == name and not stack.is_gone(moment):
                return stack
        return None

    def content(self, name: str) -> Content | None:
        """What truly runs there, without any lag."""
        stack = self.find(name)
        return None if stack is None else stack.content_at(self.now())

    def standing(self) -> tuple[Stack, ...]:
        now = self.now()
        return tuple(stack for stack in self.stacks if not stack.is_gone(now))

    def outputs(self, content: Content) -> tuple[tuple[str, str], ...]:
        """Filled in once for each template: every look at a stack asks for them."""
        known = self._outputs.get(content.release.template)
        if known is None or known[0].release is not content.release:
            known = (content, outputs_of(content, self.place.account, self.place.region))
            self._outputs[content.release.template] = known
        return known[1]

    def _seen(self) -> datetime:
        """The moment that a read shows. AWS promises nothing: every deployment tool's polling loop has met a
        COMPLETE that belonged to the operation before."""
        lag = self.temper.times.lag
        if not lag:
            return self.now()
        if not self.temper.flickers:
            return self.now() - lag
        self._reads += 1
        return self.now() - lag * (self.draw("flicker", self._reads) % 101) / 100

    def describe(self, name: str) -> StackSnapshot | None:
        """Eventually consistent: for `lag` after an execution it shows what was before."""
        seen = self._seen()
        stack = self.find(name, seen)
        if stack is None:
            return None
        content = stack.content_at(seen)
        return stack.snapshot(seen, () if content is None else self.outputs(content))

    def operation(self, name: str, token: str) -> StackSnapshot | None:
        """All events of one operation carry its ClientRequestToken (StackEvent). By name the events of a deleted
        stack are not to be had. As late as DescribeStacks. The reason is that of the first failure."""
        seen = self._seen()
        stack = self.find(name, seen)
        if stack is None:
            return None
        for operation in reversed(stack.operations):
            if operation.token == token and operation.started <= seen:
                status, reason = operation.status_at(seen)
                failed = next((r for at, _, r in operation.steps if at <= seen and "failed" in r), "")
                why = (operation.cause or failed) if failed else reason
                return StackSnapshot(stack_id=stack.id, status=status, reason=why, last_token=token)
        return None

    def template(self, name: str) -> Digest:
        """While an operation runs, GetTemplate gives the one that it goes to."""
        stack, now = self.find(name), self.now()
        content = None if stack is None else stack.content_at(now)
        if stack is not None and stack.operations:
            running = stack.operations[-1]
            if running.complete is not None and now < running.complete:
                content = running.after
        if content is None:
            raise no_such_stack(name)
        return content.release.template

    def physical_ids(self, name: str, logical_ids: Sequence[str]) -> Mapping[str, str]:
        """ListStackResources; of a deleted stack too, by its id."""
        stack = self.find(name)
        if stack is None:
            raise no_such_stack(name)
        ids = stack.ids_at(self.now())
        return {logical: ids[logical] for logical in logical_ids if logical in ids}

    def failed_resources(self, name: str) -> Mapping[str, str]:
        """UPDATE_FAILED by the rollback, as ListStackResources shows it while the stack is stuck."""
        stack, now = self.find(name), self.now()
        if stack is None:
            raise no_such_stack(name)
        current = stack.current(now)
        if current is None or current.status_at(now)[0] is not S.UPDATE_ROLLBACK_FAILED:
            return {}
        return dict(sorted(current.stuck))

    # --- change sets ---------------------------------------------------------------------------

    def describe_change_set(self, name: str, change_set: str) -> ChangeSetView:
        stack, found = self.change_set_of(name, change_set)
        if self._is_too_young(found):
            raise no_such_change_set(change_set)
        return stack.view(found, self.now())

    def list_change_sets(self, name: str) -> tuple[str, ...]:
        stack = self.find(name)
        if stack is None:
            return ()
        waiting = [c for c in stack.change_sets.values() if c.executed_by is None]
        return tuple(sorted(c.name for c in waiting if not self._is_too_young(c)))

    def change_set_of(self, name: str, change_set: str) -> tuple[Stack, ChangeSet]:
        stack = self.find(name)
        for found in stack.change_sets.values() if stack is not None else ():
            if change_set in (found.name, found.arn) and stack is not None:
                return stack, found
        raise no_such_change_set(change_set)

    def _is_too_young(self, change_set: ChangeSet) -> bool:
        return self.now() < change_set.asked + self.temper.times.list_lag

    # --- chance --------------------------------------------------------------------------------

    def draw(self, *what: object) -> int:
        return draw(self.temper.seed, self.place, *what)

    def varied(self, duration: timedelta, *what: object) -> timedelta:
        return duration * (50 + self.draw("time", *what) % 101) / 100

    def varied_times(self, token: str) -> CloudTimes:
        t = self.temper.times
        return CloudTimes(
            create=self.varied(t.create, token, 1),
            update=self.varied(t.update, token, 2),
            cleanup=self.varied(t.cleanup, token, 3),
            fail=self.varied(t.fail, token, 4),
        )

    def arn(self, kind: str, name: str, number: int) -> str:
        place, digits = self.place, f"{self.draw(kind, name, number):016x}{number:016x}"
        unique = f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
        return f"arn:aws:cloudformation:{place.region}:{place.account}:{kind}/{name}/{unique}"


def no_such_stack(name: str) -> RequestRefused:
    return RequestRefused(f"ValidationError: Stack with id {name} does not exist")


def no_such_change_set(change_set: str) -> ChangeSetGone:
    return ChangeSetGone(f"ChangeSetNotFound: ChangeSet [{change_set}] does not exist")
