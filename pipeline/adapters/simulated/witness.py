"""Room: adapters/simulated. What really happened, for whoever judges afterwards: every mutating call and its effect.

Nothing under test can change it. It never decides anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pipeline.adapters.simulated.changes import Physical
from pipeline.model.stack import StackStatus
from pipeline.ports import Place

__all__ = ["Call", "Happening"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One operation that took effect on a stack: the truth that tests compare everything with.

    before, after: releases by name; empty where there was, or was to be, none. outcome: the status in which it
    ends, or will end, at `settled`. how: `change set`, `by hand`, `continue` (ContinueUpdateRollback) or `delete`.
    made, destroyed, orphaned, imported: real resources; `destroyed` counts also where the operation then failed
    half way and came back, for a replaced resource does not come back with its data. skipped: what
    ContinueUpdateRollback left as it was.
    """

    place: Place
    stack: str
    token: str
    before: str
    after: str
    outcome: StackStatus
    at: datetime
    settled: datetime
    how: str = "change set"
    change_set: str = ""
    made: tuple[Physical, ...] = ()
    destroyed: tuple[Physical, ...] = ()
    orphaned: tuple[Physical, ...] = ()
    imported: tuple[Physical, ...] = ()
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One mutating call, as the cloud met it.

    number: counts all mutating calls of all accounts from 1. place: the account and Region really reached. token:
    its ClientToken or ClientRequestToken, empty where the operation has none. fence: of the caller's lease, where
    the cloud was told how to ask for it (`SimulatedCloud.fence`). result: `ok`, or the name of the error that the
    caller got. applied: it changed something, whatever the caller was told. happening: the operation that it
    started.
    """

    number: int
    at: datetime
    call: str
    place: Place
    stack: str
    change_set: str = ""
    token: str = ""
    fence: int | None = None
    result: str = "ok"
    applied: bool = True
    happening: Happening | None = None
