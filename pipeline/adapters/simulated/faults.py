"""Room: adapters/simulated. What goes wrong on request: answers that get lost, refusals, and a process that dies.

It decides only whether and how a call fails; what a call does is not known here.
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeVar, cast

from pipeline.errors import (
    AccessRefused,
    AccountUnusable,
    AnswerLost,
    CredentialsRefused,
    QuotaReached,
    RegionOff,
    ReleaseError,
    RequestRefused,
    Throttled,
    WrongAccount,
)
from pipeline.model.ids import AccountId
from pipeline.ports import Place

__all__ = [
    "MUTATING",
    "WIRE",
    "Fault",
    "FaultKind",
    "Faults",
    "KillSwitch",
    "Killed",
    "Moment",
    "Wire",
    "draw",
    "error_of",
    "guarded",
]

T = TypeVar("T")


class FaultKind(StrEnum):
    """What may become of one call; `WIRE` says under which name AWS or the network reports it."""

    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"
    """503 before anything was done, which nobody can know."""
    BROKEN = "broken"
    """500, nothing was done."""
    BROKEN_APPLIED = "broken applied"
    """500, and yet it was done."""
    NOT_SENT = "not sent"
    """No connection: nothing reached AWS."""
    LOST_APPLIED = "lost applied"
    """The call took effect and its answer never came: a read timeout."""
    LOST_NOT_APPLIED = "lost not applied"
    RESET_APPLIED = "reset applied"
    """The connection was reset after the request had arrived."""
    RESET = "reset"
    GARBLED_APPLIED = "garbled applied"
    """An answer came that nobody can read."""
    GARBLED = "garbled"
    REFUSED = "refused"
    """AccessDenied: the role lacks this permission."""
    INVALID = "invalid"
    """ValidationError"""
    QUOTA = "quota"
    """LimitExceededException"""
    EXPIRED = "expired"
    """The credentials have expired, and nobody renews them."""
    NO_CREDENTIALS = "no credentials"
    SUSPENDED = "suspended"
    """The account is closed or suspended: its role cannot be assumed any more."""
    PENDING_CLOSURE = "pending closure"
    """CloseAccount was called; for its 90 days nobody gets in."""
    MOVED = "moved"
    """The account has left the organization: the role's trust policy asks for aws:PrincipalOrgID."""
    ROLE_GONE = "role gone"
    EXTERNAL_ID = "external id"
    """Somebody has changed the external id in the role's trust policy."""
    SCP = "scp"
    """A service control policy denies this action explicitly."""
    YOUNG = "young"
    """A new account whose services are not switched on yet."""
    REGION_OFF = "region off"
    WRONG_ACCOUNT = "wrong account"
    """The role led into another account than the planned one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """code: AWS's error code, or botocore's exception class where no answer came. status: of HTTP; 0: none came.

    call: `call` where it is the answer to the call itself, `assume` where AssumeRole fails before it. error: what
    the adapter raises for a mutating call; a test holds this against adapters/aws/faults.py. applied: the call was
    carried out.
    """

    code: str
    status: int
    error: type[ReleaseError]
    message: str = ""
    call: str = "call"
    applied: bool = False


_NO_ENTRY = "User: arn:aws:sts::111111111111:assumed-role/x/y is not authorized to perform: sts:AssumeRole"

WIRE: dict[FaultKind, Wire] = {
    FaultKind.THROTTLED: Wire(code="Throttling", status=400, error=Throttled, message="Rate exceeded"),
    FaultKind.UNAVAILABLE: Wire(code="ServiceUnavailable", status=503, error=AnswerLost),
    FaultKind.BROKEN: Wire(code="InternalFailure", status=500, error=AnswerLost),
    FaultKind.BROKEN_APPLIED: Wire(code="InternalFailure", status=500, error=AnswerLost, applied=True),
    FaultKind.NOT_SENT: Wire(code="ConnectTimeoutError", status=0, error=Throttled),
    FaultKind.LOST_APPLIED: Wire(code="ReadTimeoutError", status=0, error=AnswerLost, applied=True),
    FaultKind.LOST_NOT_APPLIED: Wire(code="ReadTimeoutError", status=0, error=AnswerLost),
    FaultKind.RESET_APPLIED: Wire(code="ConnectionClosedError", status=0, error=AnswerLost, applied=True),
    FaultKind.RESET: Wire(code="ConnectionClosedError", status=0, error=AnswerLost),
    FaultKind.GARBLED_APPLIED: Wire(code="ResponseParserError", status=200, error=AnswerLost, applied=True),
    FaultKind.GARBLED: Wire(code="ResponseParserError", status=200, error=AnswerLost),
    FaultKind.REFUSED: Wire(
        code="AccessDenied",
        status=403,
        error=AccessRefused,
        message="User: x is not authorized to perform: cloudformation:ExecuteChangeSet on resource: y because no "
        "identity-based policy allows the cloudformation:ExecuteChangeSet action",
    ),
    FaultKind.INVALID: Wire(code="ValidationError", status=400, error=RequestRefused, message="bad template"),
    FaultKind.QUOTA: Wire(
        code="LimitExceededException",
        status=400,
        error=QuotaReached,
        message="Limit for stack has been exceeded",
    ),
    FaultKind.EXPIRED: Wire(code="ExpiredToken", status=403, error=CredentialsRefused),
    FaultKind.NO_CREDENTIALS: Wire(code="NoCredentialsError", status=0, error=CredentialsRefused),
    FaultKind.SUSPENDED: Wire(
        code="AccessDenied", status=403, error=AccountUnusable, message=_NO_ENTRY, call="assume"
    ),
    FaultKind.PENDING_CLOSURE: Wire(
        code="AccessDenied", status=403, error=AccountUnusable, message=_NO_ENTRY, call="assume"
    ),
    FaultKind.MOVED: Wire(
        code="AccessDenied", status=403, error=AccountUnusable, message=_NO_ENTRY, call="assume"
    ),
    FaultKind.ROLE_GONE: Wire(
        code="AccessDenied", status=403, error=AccountUnusable, message=_NO_ENTRY, call="assume"
    ),
    FaultKind.EXTERNAL_ID: Wire(
        code="AccessDenied", status=403, error=AccountUnusable, message=_NO_ENTRY, call="assume"
    ),
    FaultKind.SCP: Wire(
        code="AccessDenied",
        status=403,
        error=AccountUnusable,
        message="User: x is not authorized to perform: cloudformation:ExecuteChangeSet on resource: y with an "
        "explicit deny in a service control policy",
    ),
    FaultKind.YOUNG: Wire(
        code="OptInRequired",
        status=403,
        error=AccountUnusable,
        message="You are not subscribed to this service.",
    ),
    FaultKind.REGION_OFF: Wire(code="RegionDisabledException", status=403, error=RegionOff, call="assume"),
    FaultKind.WRONG_ACCOUNT: Wire(code="", status=200, error=WrongAccount, call="assume"),
}
"""Sources: as in pipeline/adapters/aws/faults.py. AWS does not say for which of five reasons AssumeRole is denied."""

MUTATING = frozenset(
    {
        "create_change_set",
        "execute_change_set",
        "delete_change_set",
        "continue_update_rollback",
        "set_stack_policy",
        "update_termination_protection",
    }
)
"""Calls that must not be repeated blindly. A read whose answer is lost has lost nothing: the adapter says Throttled."""

_WEATHER = (FaultKind.THROTTLED, FaultKind.LOST_APPLIED, FaultKind.LOST_NOT_APPLIED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """The calls from the `nth` matching one on fail, `times` of them; times 0: for ever.

    call: a method of ports.Stacks, `alarms`, `health` or `smoke`; `*` for every one. account, region None: in every
    one. since, until: only calls made from then on, and before then.
    """

    kind: FaultKind
    call: str = "*"
    account: AccountId | None = None
    nth: int = 1
    times: int = 1
    region: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def meets(self, call: str, place: Place, now: datetime) -> bool:
        return (
            self.call in ("*", call)
            and self.account in (None, place.account)
            and self.region in (None, place.region)
            and (self.since is None or now >= self.since)
            and (self.until is None or now < self.until)
        )


class Faults:
    """The faults ordered so far, and how often each call was made.

    weather: percentage of calls that are throttled or whose answer is lost, drawn from the seed, the account,
    the call and its number, so that the same run meets the same weather whatever its threads do.
    """

    def __init__(self, now: Callable[[], datetime], *, seed: int = 0, weather: int = 0) -> None:
        self.calls: Counter[tuple[AccountId, str]] = Counter()
        self.weather = weather
        self._now = now
        self._seed = seed
        self._ordered: list[tuple[Fault, list[int]]] = []

    def order(self, fault: Fault) -> None:
        self._ordered.append((fault, [0]))

    def clear(self) -> None:
        """Whatever was ordered is over."""
        self._ordered.clear()
        self.weather = 0

    def strike(self, call: str, place: Place) -> FaultKind | None:
        """The fault of this call, which is counted by asking."""
        self.calls[place.account, call] += 1
        if not self._ordered:
            return self._weather_at(call, place) if self.weather else None
        struck: FaultKind | None = None
        now = self._now()
        for fault, met in self._ordered:
            if not fault.meets(call, place, now):
                continue
            met[0] += 1
            past = fault.times and met[0] >= fault.nth + fault.times
            if met[0] >= fault.nth and not past and struck is None:
                struck = fault.kind
        return struck or (self._weather_at(call, place) if self.weather else None)

    def _weather_at(self, call: str, place: Place) -> FaultKind | None:
        drawn = draw(self._seed, "weather", place, call, self.calls[place.account, call])
        return _WEATHER[drawn % len(_WEATHER)] if drawn // 7 % 100 < self.weather else None


def draw(*what: object) -> int:
    """A number that depends on nothing but what it is drawn for."""
    return int.from_bytes(hashlib.sha256(repr(what).encode()).digest()[:8], "big")


def error_of(kind: FaultKind, call: str, place: Place) -> ReleaseError:
    """The error that an adapter would raise for it."""
    error = WIRE[kind].error
    if error is AnswerLost and call not in MUTATING:
        error = Throttled
    return error(
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
