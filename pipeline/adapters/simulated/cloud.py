"""Room: adapters/simulated. CloudFormation, alarms and health of many accounts, under virtual time and a seed.

As nasty as AWS: everything is asynchronous, answers lag, get lost and contradict what was seen a moment ago. What
took effect stands in `history`, which no code under test can change. It never opens a socket or reads a clock.
"""

from __future__ import annotations

import fnmatch
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar
from urllib.parse import urlsplit

from pipeline.adapters.simulated.faults import Fault, FaultKind, Faults, error_of
from pipeline.adapters.simulated.formation import Formation, Happening
from pipeline.adapters.simulated.stack import CloudTimes, Content, ScriptedRelease, Stack, outputs_of
from pipeline.errors import RequestRefused
from pipeline.model.canonical import sha256_hex
from pipeline.model.ids import AccountId, Digest, digest
from pipeline.model.plan import Deployable
from pipeline.model.stack import ChangeSetView, Mark, StackSnapshot, StackStatus
from pipeline.ports import ChangeSetRequest, Clock, HealthReading, Place

__all__ = [
    "Break",
    "SimulatedAlarms",
    "SimulatedCloud",
    "SimulatedHealth",
    "SimulatedStacks",
    "Temper",
]

T = TypeVar("T")

_HOWS = frozenset({"deploy", "rollback", "health", "alarm", "no data", "code"})
_OTHER_CODE = digest(sha256_hex(b"some other code"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """What goes wrong with a template. account None: everywhere.

    deploy: the operation fails. rollback, together with deploy: undoing it fails as well. health: answers 500.
    alarm: ALARM. no data: INSUFFICIENT_DATA. code: another code runs than the one deployed.
    after, until: health and alarms are bad from so long after the stack was complete, and up to then.
    """

    template: Digest
    how: str
    account: AccountId | None = None
    after: timedelta = timedelta(0)
    until: timedelta = timedelta.max


@dataclass(frozen=True, slots=True, kw_only=True)
class Temper:
    """How the cloud behaves. weather: see Faults. honours_client_token: False where CreateChangeSet answers a
    retry with AlreadyExistsException whatever its ClientToken (aws-cli#5342)."""

    seed: int = 0
    times: CloudTimes = field(default_factory=CloudTimes)
    weather: int = 0
    honours_client_token: bool = True


class SimulatedCloud:
    """Every account and Region of one company. `stacks`, `alarms` and `health` are its ports."""

    def __init__(self, clock: Clock, temper: Temper = Temper()) -> None:
        self.clock = clock
        self.temper = temper
        self.stacks = SimulatedStacks(self)
        self.alarms = SimulatedAlarms(self)
        self.health = SimulatedHealth(self)
        self._faults = Faults(seed=temper.seed, weather=temper.weather)
        self._lock = threading.RLock()
        self._breaks: list[Break] = []
        self._releases: dict[Digest, ScriptedRelease] = {}
        self._formations: dict[Place, Formation] = {}

    # --- the script ----------------------------------------------------------------------------

    def release(self, scripted: ScriptedRelease) -> None:
        """From now on this template can be deployed; every other one is refused as unreadable."""
        self._releases[scripted.template] = scripted

    def knows(
        self,
        deployable: Deployable,
        resources: Sequence[tuple[str, str]] = (("Form", "AWS::Lambda::Function"),),
        outputs: Sequence[tuple[str, str]] = (),
    ) -> None:
        """`release` for a Deployable: its mark and its functions as they have to be."""
        mark = Mark(release=deployable.release, digest=deployable.digest, commit=deployable.commit)
        self.release(
            ScriptedRelease(
                template=deployable.template,
                mark=mark.text(),
                resources=tuple(resources),
                outputs=tuple(outputs),
                functions=deployable.functions,
            )
        )

    def breaks(self, broken: Break) -> None:
        assert broken.how in _HOWS, f"{broken.how} is none of {sorted(_HOWS)}"
        self._breaks.append(broken)

    def mends(self, template: Digest) -> None:
        """Whatever was broken with this template is well from now on."""
        self._breaks = [broken for broken in self._breaks if broken.template != template]

    def fault(self, fault: Fault) -> None:
        with self._lock:
            self._faults.order(fault)

    def weather(self, percent: int) -> None:
        """From now on so many calls of a hundred are throttled or lose their answer."""
        with self._lock:
            self._faults.weather = percent

    def by_hand(
        self,
        place: Place,
        stack: str,
        deployable: Deployable,
        status: StackStatus | None = None,
    ) -> None:
        """Somebody deploys without Tidegate. status: instead of an operation that takes its time, what an earlier
        one has left behind, to be found at once."""
        with self._lock:
            formation = self._formation(place)
            content = Content(
                release=self._releases[deployable.template], parameters=tuple(sorted(deployable.parameters))
            )
            if status is None:
                formation.by_hand(stack, content, self._broken(place.account, content))
            else:
                formation.left_behind(stack, content, status)

    # --- the truth -----------------------------------------------------------------------------

    @property
    def history(self) -> tuple[Happening, ...]:
        """Everything that took effect, in order."""
        with self._lock:
            every = [h for formation in self._formations.values() for h in formation.history]
        return tuple(sorted(every, key=lambda h: (h.at, h.place.account, h.place.region, h.stack)))

    def runs(self, place: Place, stack: str) -> str:
        """The release that truly runs there now; empty where none does."""
        with self._lock:
            content = self._formation(place).content(stack)
        return "" if content is None else content.release.release

    def calls(self, call: str = "", account: AccountId | None = None) -> int:
        """How many calls were made: of one method of a port, in one account, or of all."""
        with self._lock:
            return sum(
                count
                for (where, name), count in self._faults.calls.items()
                if call in ("", name) and account in (None, where)
            )

    # --- for the ports -------------------------------------------------------------------------

    def call(self, name: str, place: Place, effect: Callable[[Formation], T]) -> T:
        """One call of AWS with whatever fault was ordered for it."""
        with self._lock:
            kind = self._faults.strike(name, place)
            if kind is None:
                return effect(self._formation(place))
            if kind is FaultKind.LOST_APPLIED:
                effect(self._formation(place))
            raise error_of(kind, name, place)

    def scripted(self, template: Digest) -> ScriptedRelease:
        found = self._releases.get(template)
        if found is None:
            raise RequestRefused("ValidationError: TemplateURL must reference a valid S3 object")
        return found

    def broken_deploy(self, place: Place) -> Callable[[Content], frozenset[str]]:
        return lambda content: self._broken(place.account, content)

    def broken_now(self, place: Place, stack: Stack) -> frozenset[str]:
        """How what runs in this stack is broken at this moment."""
        now = self.clock.now()
        content, since = stack.content_at(now), stack.running_since(now)
        if content is None or since is None:
            return frozenset()
        age = now - since
        return frozenset(b.how for b in self._breaks_of(place.account, content) if b.after <= age < b.until)

    def stack_behind(self, url: str) -> tuple[Place, Stack] | None:
        """Whose output the address begins with."""
        with self._lock:
            for place, formation in self._formations.items():
                for stack in formation.standing():
                    content = stack.content_at(self.clock.now())
                    outputs = () if content is None else outputs_of(content, place.account, place.region)
                    if any(value.startswith("http") and url.startswith(value) for _, value in outputs):
                        return place, stack
        return None

    def _formation(self, place: Place) -> Formation:
        if place not in self._formations:
            self._formations[place] = Formation(place, self.clock.now, self.temper.times, self.temper.seed)
        return self._formations[place]

    def _breaks_of(self, account: AccountId, content: Content) -> list[Break]:
        return [
            b for b in self._breaks if b.template == content.release.template and b.account in (None, account)
        ]

    def _broken(self, account: AccountId, content: Content) -> frozenset[str]:
        return frozenset(b.how for b in self._breaks_of(account, content))


class SimulatedStacks:
    """ports.Stacks."""

    def __init__(self, cloud: SimulatedCloud) -> None:
        self._cloud = cloud

    def describe(self, place: Place, stack: str) -> StackSnapshot | None:
        return self._cloud.call("describe", place, lambda f: f.describe(stack))

    def create_change_set(self, place: Place, request: ChangeSetRequest) -> tuple[str, str]:
        cloud = self._cloud

        def effect(formation: Formation) -> tuple[str, str]:
            release = cloud.scripted(request.template)
            return formation.create_change_set(
                request, release, honours_token=cloud.temper.honours_client_token
            )

        return cloud.call("create_change_set", place, effect)

    def describe_change_set(self, place: Place, stack: str, change_set: str) -> ChangeSetView:
        return self._cloud.call(
            "describe_change_set", place, lambda f: f.describe_change_set(stack, change_set)
        )

    def list_change_sets(self, place: Place, stack: str) -> tuple[str, ...]:
        return self._cloud.call("list_change_sets", place, lambda f: f.list_change_sets(stack))

    def delete_change_set(self, place: Place, stack: str, change_set: str) -> None:
        self._cloud.call("delete_change_set", place, lambda f: f.delete_change_set(stack, change_set))

    def execute_change_set(self, place: Place, stack: str, change_set: str, token: str) -> None:
        breaks = self._cloud.broken_deploy(place)
        self._cloud.call("execute_change_set", place, lambda f: f.execute(stack, change_set, token, breaks))

    def operation(self, place: Place, stack: str, token: str) -> StackSnapshot | None:
        return self._cloud.call("operation", place, lambda f: f.operation(stack, token))

    def template(self, place: Place, stack: str) -> Digest:
        return self._cloud.call("template", place, lambda f: f.template(stack))

    def function_digests(self, place: Place, stack: str, logical_ids: Sequence[str]) -> Mapping[str, Digest]:
        def effect(formation: Formation) -> Mapping[str, Digest]:
            found, content = formation.find(stack), formation.content(stack)
            if found is None or content is None:
                return {}
            broken = "code" in self._cloud.broken_now(place, found)
            return {
                name: _OTHER_CODE if broken else code
                for name, code in content.release.functions
                if name in logical_ids
            }

        return self._cloud.call("function_digests", place, effect)


class SimulatedAlarms:
    """ports.Alarms."""

    def __init__(self, cloud: SimulatedCloud) -> None:
        self._cloud = cloud

    def read(self, place: Place, stack: str) -> HealthReading:
        def effect(formation: Formation) -> HealthReading:
            found = formation.find(stack)
            broken = frozenset[str]() if found is None else self._cloud.broken_now(place, found)
            if "alarm" in broken:
                return HealthReading(healthy=False, readable=True, reason=f"{stack}-errors is in ALARM")
            if "no data" in broken:
                return HealthReading(
                    healthy=False, readable=False, reason=f"{stack}-errors has INSUFFICIENT_DATA"
                )
            return HealthReading(healthy=True, readable=True, reason="")

        return self._cloud.call("alarms", place, effect)


class SimulatedHealth:
    """ports.Health. An address belongs to the stack that has it as the beginning of an output."""

    def __init__(self, cloud: SimulatedCloud) -> None:
        self._cloud = cloud

    def call(self, url: str, expect: int, allowed_hosts: tuple[str, ...]) -> HealthReading:
        host = urlsplit(url).hostname or ""
        if not any(fnmatch.fnmatchcase(host, pattern) for pattern in allowed_hosts):
            return HealthReading(healthy=False, readable=False, reason=f"{host} is not an allowed host")
        found = self._cloud.stack_behind(url)
        if found is None:
            return HealthReading(healthy=False, readable=False, reason=f"{host} does not answer")
        place, stack = found

        def effect(_: Formation) -> HealthReading:
            status = 500 if "health" in self._cloud.broken_now(place, stack) else 200
            same = status == expect
            return HealthReading(
                healthy=same, readable=True, reason="" if same else f"{url} answers {status}, not {expect}"
            )

        return self._cloud.call("health", place, effect)
