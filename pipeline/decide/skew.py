"""Floor 2, version skew: how many releases each target lags. Pure.

What counts is what has been proved: a release that ran to its end and was not taken back. Releases stand in the
order in which they were built, so that a mended 1.3.1 built after 1.4.0 is newer than it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.model.ids import TargetId
from pipeline.model.plan import TargetSkew

__all__ = ["Known", "behind", "skew_of"]


@dataclass(frozen=True, slots=True)
class Known:
    """A release of the service. baked: it succeeded, and stands."""

    release: str
    baked: bool


def behind(running: str, known: Sequence[Known]) -> int:
    """How many baked releases are newer. known: in the order in which they were built. 0 for what is not known."""
    names = [release.release for release in known]
    if running not in names:
        return 0
    return sum(release.baked for release in known[names.index(running) + 1 :])


def skew_of(running: Mapping[TargetId, str], known: Sequence[Known]) -> tuple[TargetSkew, ...]:
    """Only the targets that lag, the one furthest behind first. running: the release of each target, or empty."""
    counted = {release: behind(release, known) for release in set(running.values())}
    lagging = [
        TargetSkew(id=target, running=release, behind=counted[release])
        for target, release in running.items()
        if counted[release]
    ]
    return tuple(sorted(lagging, key=lambda skew: (-skew.behind, str(skew.id))))
