"""Floor 1, explanation: why a run went as it did: the looks of the judge, and what else stopped it or let it pass."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.model.event import Envelope
from pipeline.model.ids import ReleaseName
from pipeline.model.judgement import Judged
from pipeline.model.plan import Plan
from pipeline.model.release_event import WaveJudged

__all__ = ["Explanation", "Look", "Remark"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One verdict. judged: the kept document; None where it could not be had, and unread says why.

    differences: what comes out otherwise when it is judged again, one sentence each; None where that was not asked.
    """

    entry: Envelope
    said: WaveJudged
    judged: Judged | None = None
    unread: str = ""
    differences: tuple[str, ...] | None = None

    @property
    def same(self) -> bool | None:
        """None where nobody judged again."""
        return None if self.differences is None else not self.differences


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """An entry of the journal beside the judge. wave: its place in the plan; None before the first wave."""

    entry: Envelope
    wave: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Of the newest run. Looks and remarks stand in the order in which they came about."""

    release: ReleaseName
    plan: Plan
    looks: tuple[Look, ...] = ()
    remarks: tuple[Remark, ...] = ()
