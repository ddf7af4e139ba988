"""Room: adapters/simulated. The Metrics port: every account's traffic, drawn from a seed, with trouble on request.

What is drawn depends on the seed, the place, the metric and the five minutes in question alone, so that the same
window always holds the same numbers, whoever asks how often. It follows the week: the same hours of another week see
about the same traffic. It stands on the simulated cloud: its faults strike the call `metrics`, and what a release
makes of a metric shows wherever, and from when, that release truly runs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import NormalDist

from pipeline.adapters.simulated.cloud import SimulatedCloud
from pipeline.adapters.simulated.faults import draw
from pipeline.model.ids import AccountId
from pipeline.model.judgement import Sample
from pipeline.model.judging import MetricKind, MetricSpec
from pipeline.ports import MetricReading, MetricWindow, Place

__all__ = ["SimulatedMetrics", "Traffic", "Trouble"]

_STEP = timedelta(minutes=5)
_NORMAL = NormalDist()
_EVER, _NEVER = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_CENT = 1 << 53


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """requests: the median account's in an hour. traffic, level, drift: standard deviations of the logarithm between
    accounts, and of an account from week to week. rate: errors in a request. latency: in the metric's own unit."""

    requests: float = 2000
    traffic: float = 0.8
    rate: float = 0.01
    latency: float = 120.0
    level: float = 0.4
    drift: float = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """From `since` until just before `until`, a metric is `factor` times what it would be.

    metric: by its name in the spec; empty for every one. account None: everywhere. release: only where and while
    that release runs; empty whatever runs. silent: there are no data points at all.
    """

    factor: float = 1.0
    metric: str = ""
    account: AccountId | None = None
    release: str = ""
    since: datetime = _EVER
    until: datetime = _NEVER
    silent: bool = False


class SimulatedMetrics:
    """ports.Metrics."""

    def __init__(self, cloud: SimulatedCloud, traffic: Traffic = Traffic(), *, seed: int = 0) -> None:
        self._cloud = cloud
        self._traffic = traffic
        self._seed = seed
        self._troubles: list[Trouble] = []
        self._quiet: dict[AccountId, float] = {}

    def order(self, trouble: Trouble) -> None:
        self._troubles.append(trouble)

    def serves(self, account: AccountId, requests: float) -> None:
        """So many requests an hour, in place of what was drawn for this account."""
        self._quiet[account] = requests

    def read(
        self, place: Place, specs: Sequence[MetricSpec], windows: Sequence[MetricWindow]
    ) -> tuple[tuple[MetricReading, ...], ...]:
        """See pipeline.ports.Metrics."""
        changes = self._changes(place)
        return self._cloud.call(
            "metrics",
            place,
            lambda _: tuple(tuple(self._reading(place, s, w, changes) for s in specs) for w in windows),
        )

    def _reading(
        self,
        place: Place,
        spec: MetricSpec,
        window: MetricWindow,
        changes: Sequence[tuple[datetime, str]],
    ) -> MetricReading:
        requests = errors = 0
        logs = 0.0
        at = window.since
        while at < window.until:
            troubles = self._troubles_at(place, spec, at, changes)
            if any(trouble.silent for trouble in troubles):
                return MetricReading(sample=None, unread=f"no data points of {spec.errors or spec.level}")
            factor = math.prod(trouble.factor for trouble in troubles)
            arrived = self._arrived(place, at)
            requests += arrived
            if spec.kind is MetricKind.RATE:
                mean = arrived * min(1.0, self._traffic.rate * self._base(place, spec, at) * factor)
                errors += min(arrived, self._count(mean, place, spec.name, at))
            else:
                logs += arrived * math.log(self._traffic.latency * self._base(place, spec, at) * factor)
            at += _STEP
        if spec.kind is MetricKind.RATE or not requests:
            return MetricReading(sample=Sample(requests=requests, errors=errors))
        spread = self._normal(place, spec.name, window.since, "quantile") / math.sqrt(requests)
        level = round(math.exp(logs / requests + spread) * 1_000_000)
        return MetricReading(sample=Sample(requests=requests, level=level))

    # --- what is drawn -------------------------------------------------------------------------

    def _arrived(self, place: Place, at: datetime) -> int:
        drawn = self._traffic.requests * math.exp(self._traffic.traffic * self._normal(place, "size"))
        hourly = self._quiet.get(place.account, drawn)
        busy = 1 + 0.5 * math.sin(at.astimezone(UTC).hour / 24 * 2 * math.pi)
        return self._count(hourly / 12 * busy, place, "requests", at)

    def _base(self, place: Place, spec: MetricSpec, at: datetime) -> float:
        own = self._traffic.level * self._normal(place, spec.name)
        week = self._traffic.drift * self._normal(place, spec.name, at.isocalendar()[:2])
        return math.exp(own + week)

    def _count(self, mean: float, place: Place, what: str, at: datetime) -> int:
        """About Poisson: whole, never negative, and right on the average."""
        if mean > 20:
            return max(0, round(mean + math.sqrt(mean) * self._normal(place, what, at)))
        left, count, share = self._uniform(place, what, at), 0, math.exp(-mean)
        while left > share and count < 200:
            left, count = left - share, count + 1
            share *= mean / count
        return count

    def _normal(self, *what: object) -> float:
        return _NORMAL.inv_cdf(self._uniform(*what))

    def _uniform(self, *what: object) -> float:
        return (draw(self._seed, "metrics", *what) % _CENT + 0.5) / _CENT

    # --- trouble -------------------------------------------------------------------------------

    def _changes(self, place: Place) -> tuple[tuple[datetime, str], ...]:
        return tuple((h.settled, h.after) for h in self._cloud.history if h.place == place)

    def _troubles_at(
        self, place: Place, spec: MetricSpec, at: datetime, changes: Sequence[tuple[datetime, str]]
    ) -> list[Trouble]:
        runs = next((release for since, release in reversed(changes) if since <= at), "")
        return [
            t
            for t in self._troubles
            if t.metric in ("", spec.name)
            and t.account in (None, place.account)
            and t.release in ("", runs)
            and t.since <= at < t.until
        ]
