"""Room: adapters/simulated. What goes wrong on request: answers that get lost, refusals, and a process that dies.

It decides only whether and how a call fails; what a call does is not known here.
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar, cast

from pipeline.errors import (
    AccessRefused,
    AccountUnusable,
    AnswerLost,
    CredentialsRefused,
    ReleaseError,
    RequestRefused,
    Throttled,
    WrongAccount,
)
from pipeline.model.ids import AccountId
from pipeline.ports import Place

__all__ = ["Fault", "FaultKind", "Faults", "KillSwitch", "Killed", "Moment", "guarded"]

T = TypeVar("T")


class FaultKind(StrEnum):
    THROTTLED = "throttled"
    LOST_APPLIED = "lost applied"
    """The call took effect and its answer never came."""
    LOST_NOT_APPLIED = "lost not applied"
    REFUSED = "refused"
    """AccessDenied"""
    INVALID = "invalid"
    """ValidationError"""
    SUSPENDED = "suspended"
    """The account is closed or suspended: its role cannot be assumed any more."""
    NO_CREDENTIALS = "no credentials"
    WRONG_ACCOUNT = "wrong account"
    """The role led into another account than the planned one."""


_ERRORS: dict[FaultKind, type[ReleaseError]] = {
    FaultKind.THROTTLED: Throttled,
    FaultKind.LOST_APPLIED: AnswerLost,
    FaultKind.LOST_NOT_APPLIED: AnswerLost,
    FaultKind.REFUSED: AccessRefused,
    FaultKind.INVALID: RequestRefused,
    FaultKind.SUSPENDED: AccountUnusable,
    FaultKind.NO_CREDENTIALS: CredentialsRefused,
    FaultKind.WRONG_ACCOUNT: WrongAccount,
}
_WEATHER = (FaultKind.THROTTLED, FaultKind.LOST_APPLIED, FaultKind.LOST_NOT_APPLIED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """The calls from the `nth` matching one on fail, `times` of them; times 0: for ever.

    call: a method of ports.Stacks, Alarms or Health; `*` for every one. account None: in every account.
    """

    kind: FaultKind
    call: str = "*"
    account: AccountId | None = None
    nth: int = 1
    times: int = 1


class Faults:
    """The faults ordered so far, and how often each call was made.

    weather: percentage of calls that are throttled or whose answer is lost, drawn from the seed, the account,
    the call and its number, so that the same run meets the same weather whatever its threads do.
    """

    def __init__(self, *, seed: int = 0, weather: int = 0) -> None:
        self.calls: Counter[tuple[AccountId, str]] = Counter()
        self._seed = seed
        self.weather = weather
        self._ordered: list[tuple[Fault, list[int]]] = []

    def order(self, fault: Fault) -> None:
        self._ordered.append((fault, [0]))

    def strike(self, call: str, place: Place) -> FaultKind | None:
        """The fault of this call, which is counted by asking."""
        self.calls[place.account, call] += 1
        struck: FaultKind | None = None
        for fault, met in self._ordered:
            if fault.call not in ("*", call) or fault.account not in (None, place.account):
                continue
            met[0] += 1
            past = fault.times and met[0] >= fault.nth + fault.times
            if met[0] >= fault.nth and not past and struck is None:
                struck = fault.kind
        return struck or self._weather_at(call, place)

    def _weather_at(self, call: str, place: Place) -> FaultKind | None:
        drawn = draw(self._seed, "weather", place, call, self.calls[place.account, call])
        return _WEATHER[drawn % len(_WEATHER)] if drawn // 7 % 100 < self.weather else None


def draw(*what: object) -> int:
    """A number that depends on nothing but what it is drawn for."""
    return int.from_bytes(hashlib.sha256(repr(what).encode()).digest()[:8], "big")


def error_of(kind: FaultKind, call: str, place: Place) -> ReleaseError:
    """The error that an adapter would raise for it."""
    return _ERRORS[kind](
        f"{call} in {place.account}/{place.region}: {kind.value}", remedy="run the same command again"
    )


# --- a process that dies ---------------------------------------------------------------------------


class Moment(StrEnum):
    BEFORE = "before the call"
    APPLIED = "applied, answer never seen"
    AFTER = "after the answer, before anything else"


class Killed(BaseException):
    """The process is dead. Not an Exception, because no `except Exception` survives kill -9 either."""


class KillSwitch:
    """Kills at the `boundary`-th call (from 1) through any port it guards; None: only counts.

    Once it has killed, every further call dies as well: other threads of a dead process do nothing more.
    """

    def __init__(self, boundary: int | None = None, moment: Moment = Moment.BEFORE) -> None:
        self.seen: list[str] = []
        self._boundary = boundary
        self._moment = moment
        self._dead = False
        self._lock = threading.Lock()

    @property
    def has_killed(self) -> bool:
        return self._dead

    def around(self, label: str, call: Callable[[], T]) -> T:
        with self._lock:
            self._die_if_dead(label)
            self.seen.append(label)
            here = self._boundary == len(self.seen)
            if here and self._moment is Moment.BEFORE:
                self._dead = True
            self._die_if_dead(label)
            # A call that kills is made under the lock, so that no other thread slips in behind it.
            answer = call() if here else None
            if here:
                self._dead = True
            if here and self._moment is Moment.APPLIED:
                self._die_if_dead(label)
        return cast("T", answer) if here else call()

    def _die_if_dead(self, label: str) -> None:
        if self._dead:
            raise Killed(label)


class _Guarded:
    def __init__(self, port: object, switch: KillSwitch) -> None:
        self._port = port
        self._switch = switch

    def __getattr__(self, name: str) -> object:
        member = getattr(self._port, name)
        if not callable(member):
            return member
        label = f"{type(self._port).__name__}.{name}"

        def call(*args: object, **named: object) -> object:
            return self._switch.around(label, lambda: member(*args, **named))

        return call


def guarded(port: T, switch: KillSwitch) -> T:
    """The same port, with a boundary at each of its calls."""
    return cast("T", _Guarded(port, switch))
