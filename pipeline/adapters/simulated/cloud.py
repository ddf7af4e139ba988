"""Room: adapters/simulated. CloudFormation, alarms and health of many accounts, under virtual time and a seed.

As nasty as AWS: everything is asynchronous, answers lag, get lost and contradict what was seen a moment ago. What
took effect stands in `history`, every mutating call in `mutations`, which no code under test can change. It never
opens a socket or reads a clock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from pipeline.adapters.simulated import change_sets, changing
from pipeline.adapters.simulated.alarms import AlarmSeries
from pipeline.adapters.simulated.changing import Ill
from pipeline.adapters.simulated.faults import WIRE, Fault, Faults, error_of
from pipeline.adapters.simulated.formation import Formation, Temper
from pipeline.adapters.simulated.sides import (
    SimulatedAlarms,
    SimulatedHealth,
    SimulatedSmoke,
    SimulatedStacks,
)
from pipeline.adapters.simulated.stack import Content, ScriptedRelease, Stack
from pipeline.adapters.simulated.witness import Call, Happening
from pipeline.errors import ReleaseError, RequestRefused
from pipeline.model.ids import AccountId, Digest
from pipeline.model.plan import Deployable
from pipeline.model.stack import Mark, StackStatus
from pipeline.ports import ChangeSetRequest, Clock, Place

__all__ = [
    "Break",
    "SimulatedAlarms",
    "SimulatedCloud",
    "SimulatedHealth",
    "SimulatedSmoke",
    "SimulatedStacks",
    "Temper",
]

T = TypeVar("T")

_HOWS = frozenset(
    {"deploy", "rollback", "continue", "health", "alarm", "no data", "code", "smoke", "no smoke"}
)
_NOTHING: frozenset[str] = frozenset()
_MILD = Temper()
_REFUSED = "Resource handler returned message: refused (HandlerErrorCode: InvalidRequest)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """What goes wrong with a template. account None: everywhere.

    deploy: the operation fails. rollback, together with deploy: undoing it fails as well, and the stack is stuck in
    UPDATE_ROLLBACK_FAILED; ContinueUpdateRollback then works. continue, together with both: it fails again, unless
    the resources are skipped or the template is mended. health: answers 500. alarm: ALARM. no data:
    INSUFFICIENT_DATA. code: another code runs than the one deployed. smoke: its own check says no. no smoke: it ends
    with an error.
    resources, reason: what fails, and what AWS says of it; where only the reason is given, the first resource.
    after, until: health, alarms and smoke are bad from so long after the stack was complete, and up to then.
    """

    template: Digest
    how: str
    account: AccountId | None = None
    after: timedelta = timedelta(0)
    until: timedelta = timedelta.max
    resources: tuple[str, ...] = ()
    reason: str = ""


class SimulatedCloud:
    """Every account and Region of one company. `stacks`, `alarms`, `health` and `smoke` are its ports.

    fence: asked at every mutating call for the fence of whoever calls, for `mutations`. watch: told of every
    mutating call when it is over, with the lock held. page: how many changes DescribeChangeSet gives at once.
    """

    def __init__(self, clock: Clock, temper: Temper = _MILD) -> None:
        self.clock = clock
        self.temper = temper
        self.stacks = SimulatedStacks(self)
        self.alarms = SimulatedAlarms(self)
        self.health = SimulatedHealth(self)
        self.smoke = SimulatedSmoke(self)
        self.fence: Callable[[], int | None] = lambda: None
        self.watch: Callable[[Call], None] = lambda _: None
        self.page = 100
        self._faults = Faults(clock.now, seed=temper.seed, weather=temper.weather)
        self._lock = threading.RLock()
        self._breaks: list[Break] = []
        self._series: list[AlarmSeries] = []
        self._releases: dict[Digest, ScriptedRelease] = {}
        self._formations: dict[Place, Formation] = {}
        self._mutations: list[Call] = []
        self._told: tuple[Happening, ...] = ()
        self._due: list[tuple[datetime, Callable[[], None]]] = []
        self._behind: dict[str, tuple[Place, Stack]] = {}

    # --- the script: releases --------------------------------------------------------------------

    def release(self, scripted: ScriptedRelease) -> None:
        """From now on this template can be deployed; every other one is refused as unreadable."""
        self._releases[scripted.template] = scripted

    def knows(
        self,
        deployable: Deployable,
        resources: Sequence[tuple[str, str]] = (("Form", "AWS::Lambda::Function"),),
        outputs: Sequence[tuple[str, str]] = (),
        retained: Sequence[str] = (),
        named: Sequence[tuple[str, str]] = (),
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
                retained=tuple(retained),
                named=tuple(named),
            )
        )

    def breaks(self, broken: Break) -> None:
        assert broken.how in _HOWS, f"{broken.how} is none of {sorted(_HOWS)}"
        self._breaks.append(broken)

    def mends(self, template: Digest) -> None:
        """Whatever was broken with this template is well from now on."""
        self._breaks = [broken for broken in self._breaks if broken.template != template]

    def alarm(self, series: AlarmSeries) -> None:
        self._series.append(series)

    # --- the script: trouble ---------------------------------------------------------------------

    def fault(self, fault: Fault) -> None:
        with self._lock:
            self._faults.order(fault)

    def weather(self, percent: int) -> None:
        """From now on so many calls of a hundred are throttled or lose their answer."""
        with self._lock:
            self._faults.weather = percent

    def calm(self) -> None:
        """No fault that was ordered strikes any more, and the weather is fine."""
        with self._lock:
            self._faults.clear()

    def later(self, after: timedelta, what: Callable[[], None]) -> None:
        """Done at the first call of anybody from then on: what others do in the middle of a run."""
        with self._lock:
            self._due.append((self.clock.now() + after, what))
            self._due.sort(key=lambda due: due[0])

    # --- the script: other hands -----------------------------------------------------------------

    def by_hand(
        self,
        place: Place,
        stack: str,
        deployable: Deployable,
        status: StackStatus | None = None,
        on_failure: str = "",
    ) -> None:
        """Somebody deploys without Tidegate. status: instead of an operation that takes its time, what an earlier
        one has left behind, to be found at once. on_failure: see `changing.deploy_by_hand`."""
        with self._lock:
            formation = self._formation(place)
            content = Content(
                release=self._releases[deployable.template], parameters=tuple(sorted(deployable.parameters))
            )
            ill = self._ill(place.account, content)
            if status is None:
                changing.deploy_by_hand(formation, stack, content, ill, on_failure=on_failure)
            else:
                changing.leave_behind(formation, stack, content, status, ill)

    def deleted_by_hand(self, place: Place, stack: str, *, fails: bool = False) -> None:
        """Somebody deletes the stack. fails: it ends in DELETE_FAILED."""
        with self._lock:
            ill = Ill(hows=frozenset({"rollback"})) if fails else Ill()
            changing.delete_by_hand(self._formation(place), stack, ill)

    def foreign_change_set(self, place: Place, stack: str, deployable: Deployable, name: str) -> None:
        """Somebody else prepares a change set of this name on the stack, or for a stack that is not there."""
        with self._lock:
            formation = self._formation(place)
            found = formation.find(stack)
            request = ChangeSetRequest(
                stack=stack,
                name=name,
                token=name,
                creating=found is None or found.current(self.clock.now()) is None,
                template=deployable.template,
                parameters=deployable.parameters,
                tags=(),
            )
            change_sets.create_change_set(formation, request, self._releases[deployable.template])

    def vanish(self, place: Place, stack: str, change_set: str = "") -> None:
        """Somebody deletes this change set, or every one that is not being executed."""
        with self._lock:
            found = self._formation(place).find(stack)
            if found is not None:
                found.change_sets = {
                    name: each
                    for name, each in found.change_sets.items()
                    if each.executed_by is not None or change_set not in ("", name)
                }

    # --- the truth -----------------------------------------------------------------------------

    @property
    def history(self) -> tuple[Happening, ...]:
        """Every operation that took effect on a stack, in order."""
        with self._lock:
            every = [h for formation in self._formations.values() for h in formation.history]
            if len(every) != len(self._told):
                every.sort(key=lambda h: (h.at, h.place.account, h.place.region, h.stack))
                self._told = tuple(every)
            return self._told

    @property
    def mutations(self) -> tuple[Call, ...]:
        """Every mutating call in the order in which they came, those without effect too."""
        with self._lock:
            return tuple(self._mutations)

    def mutations_after(self, number: int) -> tuple[Call, ...]:
        """Those that came after the `number`-th."""
        with self._lock:
            return tuple(self._mutations[number:])

    def runs(self, place: Place, stack: str) -> str:
        """The release that truly runs there now; empty where none does."""
        with self._lock:
            content = self._formation(place).content(stack)
        return "" if content is None else content.release.release

    def formation(self, place: Place) -> Formation:
        """Everything that truly stands in one account and Region: look, do not touch."""
        with self._lock:
            return self._formation(place)

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
        """One reading call of AWS with whatever fault was ordered for it."""
        with self._lock:
            if self._due:
                self._do_what_is_due()
            kind = self._faults.strike(name, place)
            if kind is None:
                return effect(self._formation(place))
            raise error_of(kind, name, place)

    def mutate(
        self,
        name: str,
        place: Place,
        effect: Callable[[Formation], T],
        *,
        stack: str,
        change_set: str = "",
        token: str = "",
    ) -> T:
        """One mutating call, with whatever fault was ordered for it, put on record."""
        with self._lock:
            if self._due:
                self._do_what_is_due()
            formation = self._formation(place)
            touched, happened = formation.touched, len(formation.history)
            result = "ok"
            try:
                return self._struck(name, place, formation, effect)
            except ReleaseError as error:
                result = type(error).__name__
                raise
            finally:
                noted = Call(
                    number=len(self._mutations) + 1,
                    at=self.clock.now(),
                    call=name,
                    place=place,
                    stack=stack,
                    change_set=change_set,
                    token=token,
                    fence=self.fence(),
                    result=result,
                    applied=formation.touched != touched,
                    happening=formation.history[-1] if len(formation.history) > happened else None,
                )
                self._mutations.append(noted)
                self.watch(noted)

    def _struck(self, name: str, place: Place, formation: Formation, effect: Callable[[Formation], T]) -> T:
        kind = self._faults.strike(name, place)
        if kind is None:
            return effect(formation)
        lost = error_of(kind, name, place)
        if WIRE[kind].applied:
            try:
                effect(formation)
            except ReleaseError:
                # Refused by AWS, and that answer is lost as well.
                raise lost from None
        raise lost

    def _do_what_is_due(self) -> None:
        now = self.clock.now()
        while self._due and self._due[0][0] <= now:
            self._due.pop(0)[1]()

    def scripted(self, template: Digest) -> ScriptedRelease:
        found = self._releases.get(template)
        if found is None:
            raise RequestRefused("ValidationError: TemplateURL must reference a valid S3 object")
        return found

    def ill_in(self, place: Place) -> Callable[[Content], Ill]:
        return lambda content: self._ill(place.account, content)

    def broken_now(self, place: Place, stack: Stack) -> frozenset[str]:
        """How what runs in this stack is broken at this moment."""
        if not self._breaks:
            return _NOTHING
        now = self.clock.now()
        content, since = stack.content_at(now), stack.running_since(now)
        if content is None or since is None:
            return _NOTHING
        age = now - since
        return frozenset(b.how for b in self._breaks_of(place.account, content) if b.after <= age < b.until)

    def alarm_states(self, place: Place, stack: Stack) -> dict[str, str]:
        """Every alarm of this stack by name."""
        broken = self.broken_now(place, stack)
        own = "ALARM" if "alarm" in broken else "INSUFFICIENT_DATA" if "no data" in broken else "OK"
        states = {f"{stack.name}-errors": own}
        if self._series:
            now = self.clock.now()
            content, since = stack.content_at(now), stack.running_since(now)
            runs = None if content is None else content.release.template
            for series in self._series:
                state = series.state_at(now, runs, since)
                if state is not None and series.concerns(place.account, stack.name):
                    states[series.name] = state
        return dict(sorted(states.items()))

    def stack_behind(self, url: str) -> tuple[Place, Stack] | None:
        """Whose output the address begins with."""
        with self._lock:
            known = self._behind.get(url)
            if known is not None and self._has(*known, url):
                return known
            for place, formation in self._formations.items():
                for stack in formation.standing():
                    if self._has(place, stack, url):
                        self._behind[url] = place, stack
                        return place, stack
        return None

    def _has(self, place: Place, stack: Stack, url: str) -> bool:
        content = stack.content_at(self.clock.now())
        outputs = () if content is None else self._formations[place].outputs(content)
        return any(value.startswith("http") and url.startswith(value) for _, value in outputs)

    def _formation(self, place: Place) -> Formation:
        found = self._formations.get(place)
        if found is None:
            found = self._formations[place] = Formation(place, self.clock.now, self.temper)
        return found

    def _breaks_of(self, account: AccountId, content: Content) -> list[Break]:
        return [
            b for b in self._breaks if b.template == content.release.template and b.account in (None, account)
        ]

    def _ill(self, account: AccountId, content: Content) -> Ill:
        found = self._breaks_of(account, content)
        first = tuple(name for name, _ in content.release.resources[:1])
        blamed = {
            name: b.reason or _REFUSED for b in found for name in b.resources or (first if b.reason else ())
        }
        return Ill(hows=frozenset(b.how for b in found), blamed=tuple(sorted(blamed.items())))
