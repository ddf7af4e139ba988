"""What every source of metrics must do. A subclass gives `served`: a place that has served for the hour of WINDOW."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pytest

from pipeline.model.judging import MetricKind, MetricSpec
from pipeline.ports import Metrics, MetricWindow, Place

RATE = MetricSpec(
    name="errors",
    kind=MetricKind.RATE,
    namespace="Contract",
    errors="Errors",
    requests="Requests",
    dimensions=(("Stack", "svc-intake"),),
)
LATENCY = MetricSpec(
    name="latency",
    kind=MetricKind.LATENCY,
    namespace="Contract",
    level="Duration",
    quantile="p90",
    dimensions=(("Stack", "svc-intake"),),
)


@dataclass(frozen=True)
class Served:
    """silent: a place where nobody reports anything."""

    metrics: Metrics
    place: Place
    silent: Place
    window: MetricWindow


class MetricsContract:
    @pytest.fixture
    def served(self) -> Served:
        raise NotImplementedError

    def test_errors_are_counted_among_requests(self, served: Served) -> None:
        sample = served.metrics.read(served.place, [RATE], [served.window])[0][0].sample

        assert sample is not None
        assert sample.requests > sample.errors > 0

    def test_a_latency_has_a_level_and_the_number_of_requests_it_speaks_of(self, served: Served) -> None:
        sample = served.metrics.read(served.place, [LATENCY], [served.window])[0][0].sample

        assert sample is not None
        assert sample.requests > 0
        assert (
            1_000_000 < sample.level < 100_000_000_000
        )  # a millisecond to a day, in millionths of a millisecond

    def test_one_row_for_each_window_and_in_it_one_reading_for_each_spec(self, served: Served) -> None:
        middle = served.window.since + timedelta(minutes=30)
        halves = [
            MetricWindow(since=served.window.since, until=middle),
            MetricWindow(since=middle, until=served.window.until),
        ]

        rows = served.metrics.read(served.place, [LATENCY, RATE], [served.window, *halves])

        assert [len(row) for row in rows] == [2, 2, 2]
        whole, first, rest = (row[1].sample for row in rows)
        assert whole is not None
        assert first is not None
        assert rest is not None
        assert (first.requests + rest.requests, first.errors + rest.errors) == (whole.requests, whole.errors)

    def test_what_nobody_reports_is_unread_and_says_why(self, served: Served) -> None:
        for reading in served.metrics.read(served.silent, [RATE, LATENCY], [served.window])[0]:
            assert reading.sample is None
            assert reading.unread
