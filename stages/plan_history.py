"""Floor 3, stages: what the journal knows that a plan is made of: which releases have baked, how long targets took."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta

from pipeline.decide.skew import Known
from pipeline.model import event as e
from pipeline.model.run_state import Run, fold_run
from pipeline.ports import Journal

__all__ = ["durations", "known_releases"]

_READ = 50
"""Releases of a service whose journals are read; who runs an older one lags behind all that baked of these."""
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)(.*)")


def known_releases(journal: Journal, service: str) -> tuple[Known, ...]:
    """The service's releases in the order in which they were built; baked: succeeded, and stands."""
    names = [s.removeprefix("release/") for s in journal.streams(f"release/{service}@")]
    names.sort(key=_age)
    old, recent = names[:-_READ], names[-_READ:]
    read = [(name, journal.read(f"release/{name}")) for name in recent]
    built = sorted((entries[0].at, name, entries) for name, entries in read if entries)
    return (
        *(Known(name, baked=False) for name in old),
        *(Known(name, baked=fold_run(entries).run is Run.SUCCEEDED) for _, name, entries in built),
    )


def _age(release: str) -> tuple[tuple[int, ...], bool, str]:
    """By version, pre-releases before what they precede."""
    found = _VERSION.search(release.partition("@")[2])
    if found is None:
        return (), False, release
    return tuple(int(part) for part in found.groups()[:3]), not found.group(4), found.group(4)


def durations(entries: Sequence[e.Envelope]) -> tuple[timedelta, ...]:
    """From claim to health, of every deployment at one target that changed something and did not fail."""
    found: list[timedelta] = []
    claimed = None
    for entry in entries:
        match entry.event:
            case e.TargetClaimed():
                claimed = entry.at
            case e.TargetHealthy(changed=True) if claimed is not None:
                found.append(entry.at - claimed)
                claimed = None
            case e.TargetFailed() | e.TargetUnknown() | e.RollbackClaimed():
                claimed = None
            case _:
                pass
    return tuple(found)
