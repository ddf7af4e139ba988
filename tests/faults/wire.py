"""The wire between a runner and the world: every call through any port, numbered, in one order.

At each of them a hook may let the runner die, let a store refuse or lose its answer, or let somebody else go first.
It knows no rule; what a runner did last is kept, because the order of its calls is part of the promise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from pipeline.adapters.simulated.faults import Killed, Moment
from pipeline.errors import ReleaseError
from tests.faults.sight import fail

__all__ = ["CHANGING", "Hook", "Strike", "Wire", "boundaries"]

T = TypeVar("T")

CHANGING = frozenset(
    {
        "append",
        "take",
        "renew",
        "preempt",
        "give_back",
        "close",
        "open",
        "create_change_set",
        "delete_change_set",
        "execute_change_set",
        "continue_update_rollback",
        "protect",
    }
)
TOO_MANY = 60_000
"""Calls of one case: a run that is still at it then does not end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """moment: the runner dies. error: the call raises it; applied: after it took effect. stale: what the same call
    answered the last time is answered again."""

    moment: Moment | None = None
    error: ReleaseError | None = None
    applied: bool = False
    stale: bool = False


Hook = Callable[[int, str], Strike | None]


def _calm(_number: int, _label: str) -> Strike | None:
    return None


class Wire:
    """actor: whose calls they are at the moment. seen: the labels of all calls, from the first on."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.hook: Hook = _calm
        self.actor = ""
        self.dead: set[str] = set()
        self.deaths: list[str] = []
        self.last: dict[str, tuple[str, str]] = {}
        self.fences: dict[str, int] = {}
        """the fence under which an actor works"""
        self.lease_seen: dict[str, int] = {}
        self.answers: dict[tuple[str, tuple[Any, ...]], Any] = {}
        self.on_change: Callable[[str, str, tuple[Any, ...]], None] = lambda _actor, _label, _args: None

    def calm(self) -> None:
        self.hook = _calm

    def guard(self, name: str, port: T) -> T:
        """The same port, with a boundary at each of its calls."""
        return cast("T", _Guarded(name, port, self))

    def lease_was_read(self, actor: str) -> bool:
        read = self.last.get(actor, ("", ""))[1] == "leases.current"
        return read and self.lease_seen.get(actor) == self.fences.get(actor)

    def has_read_the_latch(self) -> set[str]:
        """Actors between reading the latch and the call that they read it for."""
        return {actor for actor, (older, newer) in self.last.items() if "latch.read" in (older, newer)}

    def carry(self, label: str, call: Callable[[], Any], args: tuple[Any, ...]) -> Any:
        actor = self.actor
        self._die_if_dead(actor, label)
        self.seen.append(label)
        if len(self.seen) > TOO_MANY:
            fail("I17", f"{TOO_MANY} calls and no end; the last was {label}")
        strike = self.hook(len(self.seen), label)
        self._die_if_dead(actor, label)
        if strike is not None and strike.moment is Moment.BEFORE:
            self._kill(actor, label)
        if strike is not None and strike.error is not None and not strike.applied:
            self._done(actor, label)
            raise strike.error
        if strike is not None and strike.stale and (label, args) in self.answers:
            self._done(actor, label)
            return self.answers[label, args]
        if label.rpartition(".")[2] in CHANGING:
            self.on_change(actor, label, args)
        try:
            answer = call()
        finally:
            self._done(actor, label)
        if strike is not None:
            self._after(strike, actor, label)
        if label in ("journal.head", "journal.read"):
            self.answers[label, args] = answer
        self._note_the_lease(actor, label, answer)
        return answer

    def _note_the_lease(self, actor: str, label: str, answer: Any) -> None:
        if label in ("leases.take", "leases.preempt"):
            self.fences[actor] = answer.fence
        elif label == "leases.current" and answer is not None:
            self.lease_seen[actor] = answer.fence

    def _after(self, strike: Strike, actor: str, label: str) -> None:
        if strike.moment is Moment.APPLIED:
            self._kill(actor, label)
        if strike.moment is Moment.AFTER:
            self.dead.add(actor)
        if strike.error is not None:
            raise strike.error

    def _done(self, actor: str, label: str) -> None:
        self.last[actor] = (self.last.get(actor, ("", ""))[1], label)

    def _kill(self, actor: str, label: str) -> None:
        self.dead.add(actor)
        self._die_if_dead(actor, label)

    def _die_if_dead(self, actor: str, label: str) -> None:
        if actor in self.dead:
            self.deaths.append(f"{actor} at {label}")
            raise Killed(label)


class _Guarded:
    def __init__(self, name: str, port: object, wire: Wire) -> None:
        self._name = name
        self._port = port
        self._wire = wire

    def __getattr__(self, method: str) -> object:
        member = getattr(self._port, method)
        if not callable(member):
            return member
        label, wire = f"{self._name}.{method}", self._wire

        def call(*args: object, **named: object) -> object:
            return wire.carry(label, lambda: member(*args, **named), args)

        return call


def boundaries(seen: list[str]) -> tuple[int, ...]:
    """The numbers of the calls worth dying at: all that change something, and of the looks between two of them the
    first of each kind. The hundreds of polls between are all alike."""
    found: list[int] = []
    looked: set[str] = set()
    for number, label in enumerate(seen, start=1):
        changes = label.rpartition(".")[2] in CHANGING
        if changes or label not in looked:
            found.append(number)
        looked = set() if changes else looked | {label}
    return tuple(found)
