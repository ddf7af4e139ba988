"""What the invariants look at, and how one of them says that it is broken. It judges nothing itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn

from pipeline.adapters.simulated.witness import Happening
from pipeline.model import event as e
from tests.faults.record import Record, RunRecord, parse_stream

__all__ = ["INVARIANTS", "PLANTED", "Broken", "Effect", "Sight", "fail"]

PLANTED = "PLANTED-8d1f"
"""Stands in stack outputs and in what accounts answer; it must never stand anywhere else."""

INVARIANTS = {
    "I1": "never more in flight than has been won, and nothing starts once the tolerance is used up",
    "I2": "no target of a wave starts before every earlier wave has baked its whole time",
    "I3": "the canary goes first among the clients, alone, is never empty and never above its cap",
    "I4": "at the end every target runs one known version, and the journal says which",
    "I5": "what is deployed is what was planned, everywhere the same",
    "I6": "the process that makes a wave's first change has verified the release in that wave",
    "I7": "one operation at a time on a stack, one release at a time on a target",
    "I8": "a call that changes something is made under an intent of its own, right after the lease was read",
    "I9": "each step of a release takes effect at most once at a target, whatever dies",
    "I10": "once a halt is recorded nothing that goes forward is begun any more",
    "I11": "a halt is left by a person with a reason, never by itself",
    "I12": "only what this release has changed goes back, newest first, each to what it had before",
    "I13": "nothing that holds data is deleted or replaced without a waiver",
    "I14": "every stream grows by one, chained, in time, and under a fence that never falls",
    "I15": "what is secret stands in no event",
    "I17": "with the faults gone every run comes to an end",
    "I18": "what is sick or cannot be read is never called healthy",
    "I19": "an approval is of this plan, somebody else's, and not expired when its wave starts",
    "I20": "every change lands in the account and Region that the plan names",
    "I22": "what the command answers is what the journal says",
}


class Broken(AssertionError):
    """invariant: its id. Not a ReleaseError: no code under test may catch it."""

    def __init__(self, invariant: str, what: str) -> None:
        super().__init__(f"{invariant} ({INVARIANTS[invariant]}): {what}")
        self.invariant = invariant


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """A happening of the cloud's history, and what a look into the cloud at that moment adds to it.

    destroyed: resources with data that it deletes or replaces. before: the happening before it on that stack.
    """

    happening: Happening
    destroyed: tuple[str, ...]
    before: Happening | None


class Sight:
    """sick, runs: how the stack of a target is broken right now, and what it runs, by the cloud's own account."""

    def __init__(
        self, sick: Callable[[str], frozenset[str]], runs: Callable[[str], str], canary_cap: int
    ) -> None:
        self.record = Record()
        self.true_time: Callable[[], datetime | None] = lambda: None
        self.sick = sick
        self.runs = runs
        self.canary_cap = canary_cap
        self.checks = 0
        self.latest: datetime | None = None
        self.closed: set[str] = set()
        """releases whose latch is closed"""
        self.slipping: set[str] = set()
        """actors that had read the latch open when it was closed, and may make the one call they were about to"""
        self.verified: set[tuple[str, str, int]] = set()
        """(actor, release, waves started then)"""
        self.exact_moments = True
        """False where runners take turns: between a look and what is said of it time may pass"""

    def run_of(self, entry: e.Envelope) -> RunRecord | None:
        return self.record.runs.get(parse_stream(entry.stream)[1])


def fail(invariant: str, what: str) -> NoReturn:
    raise Broken(invariant, what)
