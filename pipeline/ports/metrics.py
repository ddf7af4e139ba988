"""Floor 2, ports: numbers that accounts report about themselves. No code here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pipeline.model.judgement import Sample
from pipeline.model.judging import MetricSpec
from pipeline.ports.cloud import Place

__all__ = ["MetricReading", "MetricWindow", "Metrics"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricWindow:
    """From `since` until just before `until`, both aware and on whole periods of five minutes."""

    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricReading:
    """sample: None where nothing could be read, and `unread` says why. Nothing read is never zero."""

    sample: Sample | None
    unread: str = ""


class Metrics(Protocol):
    def read(
        self, place: Place, specs: Sequence[MetricSpec], windows: Sequence[MetricWindow]
    ) -> tuple[tuple[MetricReading, ...], ...]:
        """One row for each window in the order given, in it one reading for each spec in the order given.

        specs: their dimensions resolved: no `{stack}` or `{output:NAME}` is left in them.
        """
        ...
