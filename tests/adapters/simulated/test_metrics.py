"""The simulated metrics: the same numbers whoever asks, history like today, and trouble where it was ordered."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pipeline.adapters.simulated.clock import SimulatedClock
from pipeline.adapters.simulated.cloud import SimulatedCloud
from pipeline.adapters.simulated.faults import Fault, FaultKind
from pipeline.adapters.simulated.metrics import SimulatedMetrics, Traffic, Trouble
from pipeline.errors import Throttled
from pipeline.model.ids import AccountId
from pipeline.model.judgement import Sample
from pipeline.model.judging import MetricKind, MetricSpec
from pipeline.ports import MetricWindow, Place

HERE, THERE = (Place(AccountId(f"{n:012d}"), "us-east-1") for n in (1, 2))
RATE = MetricSpec(name="errors", kind=MetricKind.RATE, namespace="N", errors="E", requests="R")
LATENCY = MetricSpec(name="latency", kind=MetricKind.LATENCY, namespace="N", level="L", quantile="p99")


def a_world(seed: int = 1) -> tuple[SimulatedCloud, SimulatedMetrics, MetricWindow]:
    clock = SimulatedClock()
    cloud = SimulatedCloud(clock)
    now = clock.now()
    metrics = SimulatedMetrics(cloud, Traffic(), seed=seed)
    return cloud, metrics, MetricWindow(since=now - timedelta(hours=1), until=now)


def sample(
    metrics: SimulatedMetrics, window: MetricWindow, spec: MetricSpec = RATE, place: Place = HERE
) -> Sample:
    reading = metrics.read(place, [spec], [window])[0][0]
    assert reading.sample is not None
    return reading.sample


def test_the_same_window_always_holds_the_same_numbers() -> None:
    _, metrics, window = a_world()
    _, same, _ = a_world()
    _, other, _ = a_world(seed=2)

    assert sample(metrics, window) == sample(metrics, window) == sample(same, window)
    assert sample(metrics, window) != sample(other, window)
    assert sample(metrics, window) != sample(metrics, window, place=THERE)


def test_parts_of_a_window_add_up_to_the_whole() -> None:
    _, metrics, window = a_world()
    middle = window.since + timedelta(minutes=25)
    parts = [MetricWindow(since=window.since, until=middle), MetricWindow(since=middle, until=window.until)]

    whole, (first, rest) = sample(metrics, window), (sample(metrics, part) for part in parts)

    assert (first.requests + rest.requests, first.errors + rest.errors) == (whole.requests, whole.errors)


def test_a_week_ago_was_much_like_today() -> None:
    _, metrics, window = a_world()
    week = MetricWindow(since=window.since - timedelta(weeks=1), until=window.until - timedelta(weeks=1))

    now, before = sample(metrics, window), sample(metrics, week)

    assert now.requests == pytest.approx(before.requests, rel=0.3)
    assert sample(metrics, window, LATENCY).level == pytest.approx(
        sample(metrics, week, LATENCY).level, rel=0.8
    )


def test_trouble_strikes_the_metric_the_account_and_the_time_it_was_ordered_for() -> None:
    _, metrics, window = a_world()
    before = sample(metrics, window)
    metrics.order(Trouble(factor=10, metric="errors", account=HERE.account, since=window.since))

    assert sample(metrics, window).requests == before.requests
    assert sample(metrics, window).errors > 5 * before.errors
    week = MetricWindow(since=window.since - timedelta(weeks=1), until=window.until - timedelta(weeks=1))
    assert sample(metrics, week).errors < 3 * before.errors + 10
    _, untroubled, _ = a_world()
    assert sample(metrics, window, place=THERE) == sample(untroubled, window, place=THERE)


def test_a_silent_account_has_no_number_and_never_a_zero() -> None:
    _, metrics, window = a_world()
    metrics.order(Trouble(silent=True, account=HERE.account))

    reading = metrics.read(HERE, [RATE], [window])[0][0]

    assert (reading.sample, reading.unread) == (None, "no data points of E")


def test_an_idle_account_serves_nothing() -> None:
    _, metrics, window = a_world()
    metrics.serves(HERE.account, 0)

    assert sample(metrics, window) == Sample(requests=0)


def test_faults_of_the_cloud_strike_here_as_well() -> None:
    cloud, metrics, window = a_world()
    cloud.fault(Fault(kind=FaultKind.THROTTLED, call="metrics"))

    with pytest.raises(Throttled):
        metrics.read(HERE, [RATE], [window])
    assert sample(metrics, window).requests > 0
