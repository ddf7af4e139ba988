"""Floor 3, adapters: the Metrics port over CloudWatch's GetMetricData. What was not read is never reported as zero.

Facts of AWS this rests on (CloudWatch API reference, GetMetricData and MetricDataResult):
- at most 500 queries in one call and 100,800 data points in one answer; more comes by NextToken;
- StatusCode is Complete, PartialData (go on with NextToken), InternalError (ask again) or Forbidden;
- data points of five minutes are kept for 63 days, of one minute for 15: hence windows on whole five minutes;
- a metric that nobody reports has no data points; CloudWatch answers Complete and an empty list;
- a percentile of a long time is no mean of percentiles of short ones: the whole window is one period, up to a day.
Each query costs money (about 0.01 USD for a thousand), so only what met an InternalError is asked twice.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pipeline.adapters.aws.reach import IdentityOf, Reach
from pipeline.adapters.aws.session import Aws
from pipeline.model.judgement import Sample
from pipeline.model.judging import MetricKind, MetricSpec
from pipeline.ports import MetricReading, MetricWindow, Place

__all__ = ["CloudWatchMetrics"]

_QUERIES_PER_CALL = 500
_PERIOD = 300
"""seconds"""
_LONGEST_PERIOD = 86_400
"""seconds; CloudWatch's own metrics are read with a period of a day at most"""
_MICRO = 1_000_000


@dataclass(slots=True)
class _Series:
    """One query's answer so far, by time of the data point. Pages may repeat none and leave out none."""

    values: dict[datetime, float] = field(default_factory=dict)
    status: str = ""
    told: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Query:
    id: str
    spec: MetricSpec
    metric: str
    statistic: str
    period: int

    def request(self) -> dict[str, Any]:
        return {
            "Id": self.id,
            "MetricStat": {
                "Metric": {
                    "Namespace": self.spec.namespace,
                    "MetricName": self.metric,
                    "Dimensions": [{"Name": name, "Value": value} for name, value in self.spec.dimensions],
                },
                "Period": self.period,
                "Stat": self.statistic,
            },
            "ReturnData": True,
        }


class CloudWatchMetrics:
    """GetMetricData answers with no ARN: that it landed is proven by AssumeRole's answer alone."""

    def __init__(self, aws: Aws, identity_of: IdentityOf) -> None:
        self._reach = Reach(aws, identity_of)

    def read(
        self, place: Place, specs: Sequence[MetricSpec], windows: Sequence[MetricWindow]
    ) -> tuple[tuple[MetricReading, ...], ...]:
        """See pipeline.ports.Metrics. RequestRefused where AWS knows no such statistic."""
        return tuple(self._window(place, specs, window) for window in windows)

    def _window(
        self, place: Place, specs: Sequence[MetricSpec], window: MetricWindow
    ) -> tuple[MetricReading, ...]:
        queries = [query for n, spec in enumerate(specs) for query in _queries(n, spec, window)]
        found = {query.id: _Series() for query in queries}
        for start in range(0, len(queries), _QUERIES_PER_CALL):
            self._ask(place, queries[start : start + _QUERIES_PER_CALL], window, found)
        again = [query for query in queries if found[query.id].status == "InternalError"]
        for start in range(0, len(again), _QUERIES_PER_CALL):
            self._ask(place, again[start : start + _QUERIES_PER_CALL], window, found)
        return tuple(_reading(n, spec, found) for n, spec in enumerate(specs))

    def _ask(
        self,
        place: Place,
        queries: Sequence[_Query],
        window: MetricWindow,
        found: Mapping[str, _Series],
    ) -> None:
        pages = self._reach.pages(
            place,
            "cloudwatch",
            "get_metric_data",
            MetricDataQueries=[query.request() for query in queries],
            StartTime=window.since,
            EndTime=window.until,
            ScanBy="TimestampAscending",
        )
        for page in pages:
            for result in page.get("MetricDataResults", ()):
                series = found[str(result["Id"])]
                times, values = result.get("Timestamps", ()), result.get("Values", ())
                series.values.update(zip(times, map(float, values), strict=True))
                # The newest page speaks for the whole series: Complete behind PartialData means all of it came.
                series.status = str(result.get("StatusCode", ""))
                told = [str(message.get("Value", "")) for message in result.get("Messages", ())]
                series.told = "; ".join(told) or series.told


def _queries(n: int, spec: MetricSpec, window: MetricWindow) -> Iterator[_Query]:
    if spec.kind is MetricKind.RATE:
        counted, how = (spec.requests, "Sum") if spec.requests else (spec.errors, "SampleCount")
        yield _Query(id=f"m{n}errors", spec=spec, metric=spec.errors, statistic="Sum", period=_PERIOD)
        yield _Query(id=f"m{n}requests", spec=spec, metric=counted, statistic=how, period=_PERIOD)
        return
    length = (window.until - window.since) // timedelta(seconds=1)
    period = max(_PERIOD, min(_LONGEST_PERIOD, length))
    yield _Query(id=f"m{n}level", spec=spec, metric=spec.level, statistic=spec.quantile, period=period)
    yield _Query(id=f"m{n}requests", spec=spec, metric=spec.level, statistic="SampleCount", period=period)


def _reading(n: int, spec: MetricSpec, found: Mapping[str, _Series]) -> MetricReading:
    requests = found[f"m{n}requests"]
    other = found[f"m{n}{'errors' if spec.kind is MetricKind.RATE else 'level'}"]
    for series in (requests, other):
        if series.status != "Complete":
            told = f": {series.told}" if series.told else ""
            return _unread(f"CloudWatch answered {series.status or 'nothing'} for {spec.name}{told}")
    if not requests.values:
        return _unread(f"CloudWatch has no data points of {_counted(spec)}")
    count = round(math.fsum(requests.values.values()))
    if spec.kind is MetricKind.RATE:
        if not other.values and not spec.sparse:
            return _unread(f"CloudWatch has no data points of {spec.errors}")
        return MetricReading(sample=Sample(requests=count, errors=round(math.fsum(other.values.values()))))
    if not count:
        return MetricReading(sample=Sample(requests=0))
    if not other.values.keys() >= {at for at, many in requests.values.items() if many}:
        return _unread(f"CloudWatch has no {spec.quantile} of {spec.level}")
    return MetricReading(sample=Sample(requests=count, level=_level(other.values, requests.values)))


def _counted(spec: MetricSpec) -> str:
    return (spec.requests or spec.errors) if spec.kind is MetricKind.RATE else spec.level


def _level(levels: Mapping[datetime, float], counts: Mapping[datetime, float]) -> int:
    """In millionths. Of more than one period, the mean of logarithms by requests."""
    logs = [(many, math.log(max(levels[at] * _MICRO, 1.0))) for at, many in counts.items() if many]
    return round(math.exp(math.fsum(many * log for many, log in logs) / math.fsum(many for many, _ in logs)))


def _unread(why: str) -> MetricReading:
    return MetricReading(sample=None, unread=why)
