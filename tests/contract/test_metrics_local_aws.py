"""The contract of metrics on local AWS: GetMetricData over the wire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pipeline.adapters.aws.metrics import CloudWatchMetrics
from pipeline.adapters.aws.session import AMBIENT, Aws
from pipeline.adapters.local.front import process
from pipeline.ports import MetricWindow, Place
from tests import local_aws
from tests.contract.metrics_contract import MetricsContract, Served
from tests.local_aws import Front

pytestmark = pytest.mark.local_aws
front = local_aws.front


class TestCloudWatchMetrics(MetricsContract):
    @pytest.fixture
    def served(self, front: Front, monkeypatch: pytest.MonkeyPatch) -> Served:
        for name, value in process.environment(front.home).items():
            monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
        aws = Aws()
        account, _ = aws.caller(AMBIENT)
        until = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        window = MetricWindow(since=until - timedelta(hours=1), until=until)
        place, silent = Place(account, "us-east-1"), Place(account, "eu-west-1")
        for minute in range(2, 60, 5):
            at = window.since + timedelta(minutes=minute)
            data = [
                {
                    "MetricName": name,
                    "Dimensions": [{"Name": "Stack", "Value": "svc-intake"}],
                    "Timestamp": at,
                    "Value": value,
                }
                for name, value in (("Errors", 1), ("Requests", 40), ("Duration", 120 + minute))
            ]
            aws.call(
                AMBIENT, "cloudwatch", place.region, "put_metric_data", Namespace="Contract", MetricData=data
            )
        metrics = CloudWatchMetrics(aws, lambda _: AMBIENT)
        return Served(metrics=metrics, place=place, silent=silent, window=window)
