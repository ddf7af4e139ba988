"""Floor 3, engine: the ports one run needs, in one frozen bundle. No behaviour here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from pipeline.model.event import Envelope, HeadsSigned, SignedHead
from pipeline.model.ids import Digest
from pipeline.ports import (
    Alarms,
    Artifacts,
    Clock,
    Health,
    Journal,
    Latch,
    Leases,
    Metrics,
    Protection,
    Smoke,
    Stacks,
)

__all__ = ["LEASE_TTL", "Runner", "World"]

LEASE_TTL = timedelta(seconds=30)
"""Long enough for a stalled runner to come back, short enough for a successor not to wait for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """keep: stores what a verdict was based on, and returns the digest that names it.

    artifacts: the templates, for taking back in what has no literal name; None: a person has to do that.
    """

    clock: Clock
    journal: Journal
    leases: Leases
    latch: Latch
    stacks: Stacks
    alarms: Alarms
    health: Health
    smoke: Smoke
    metrics: Metrics
    protection: Protection
    keep: Callable[[bytes], Digest]
    artifacts: Artifacts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """Who is acting: the lease this runner holds and the person or job behind it.

    verify: re-reads the release's manifest and artifacts, raising IntegrityBroken; called before each wave.
    heard: called with every entry that has been appended, for progress; must not raise.
    warned: called with a line when AWS cannot be asked for a while; must not raise.
    sign: signs the heads of the plan's streams at the end of each wave; None where there is no key to sign with.
    """

    lease: str
    fence: int
    actor: str
    verify: Callable[[], None]
    heard: Callable[[Envelope], None]
    warned: Callable[[str], None] = lambda _line: None
    sign: Callable[[tuple[SignedHead, ...]], HeadsSigned] | None = None
