"""The contract of metrics, against the simulated cloud."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pipeline.adapters.simulated.clock import START, SimulatedClock
from pipeline.adapters.simulated.cloud import SimulatedCloud
from pipeline.adapters.simulated.metrics import SimulatedMetrics, Trouble
from pipeline.model.ids import AccountId
from pipeline.ports import MetricWindow, Place
from tests.contract.metrics_contract import MetricsContract, Served


class TestSimulatedMetrics(MetricsContract):
    @pytest.fixture
    def served(self) -> Served:
        place, silent = (Place(AccountId(f"{n:012d}"), "us-east-1") for n in (1, 2))
        metrics = SimulatedMetrics(SimulatedCloud(SimulatedClock()))
        metrics.order(Trouble(silent=True, account=silent.account))
        window = MetricWindow(since=START - timedelta(hours=1), until=START)
        return Served(metrics=metrics, place=place, silent=silent, window=window)
