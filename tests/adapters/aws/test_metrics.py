"""CloudWatchMetrics: what is asked of GetMetricData, and that nothing read is never zero."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipeline.adapters.aws.metrics import CloudWatchMetrics
from pipeline.adapters.aws.session import Identity
from pipeline.errors import AccessRefused, WrongAccount
from pipeline.model.ids import AccountId
from pipeline.model.judgement import Sample
from pipeline.model.judging import MetricKind, MetricSpec
from pipeline.ports import MetricReading, MetricWindow, Place
from tests.adapters.aws.scripted import ScriptedAws

PLACE = Place(AccountId("012345670123"), "eu-west-1")
SINCE = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
HOUR = MetricWindow(since=SINCE, until=SINCE + timedelta(hours=1))
RATE = MetricSpec(
    name="errors",
    kind=MetricKind.RATE,
    namespace="AWS/Lambda",
    errors="Errors",
    requests="Invocations",
    dimensions=(("FunctionName", "svc-intake-Form-1"),),
)
LATENCY = MetricSpec(
    name="latency", kind=MetricKind.LATENCY, namespace="AWS/Lambda", level="Duration", quantile="p99"
)


def identity_of(place: Place) -> Identity:
    return Identity(role_arn=f"arn:aws:iam::{place.account}:role/TidegateDeploy")


def series(name: str, *values: float, status: str = "Complete", minutes: int = 5, told: str = "") -> Any:
    times = [SINCE + timedelta(minutes=minutes * n) for n in range(len(values))]
    result: dict[str, Any] = {
        "Id": name, "Label": name, "Timestamps": times, "Values": list(values), "StatusCode": status,
    }  # fmt: skip
    return result | ({"Messages": [{"Code": "X", "Value": told}]} if told else {})


def page(*results: Any) -> dict[str, Any]:
    return {"MetricDataResults": list(results)}


def read(spec: MetricSpec, *answers: Any) -> tuple[MetricReading, ScriptedAws]:
    aws = ScriptedAws(get_metric_data=list(answers))
    rows = CloudWatchMetrics(aws, identity_of).read(PLACE, [spec], [HOUR])
    return rows[0][0], aws


def test_a_rate_is_the_sum_of_errors_and_the_sum_of_requests() -> None:
    reading, aws = read(RATE, page(series("m0errors", 1, 0, 2), series("m0requests", 100, 50, 70)))

    assert reading == MetricReading(sample=Sample(requests=220, errors=3))
    asked = aws.asked[0]
    assert (asked.service, asked.region, asked.operation) == ("cloudwatch", "eu-west-1", "get_metric_data")
    metric = {
        "Namespace": "AWS/Lambda",
        "MetricName": "Errors",
        "Dimensions": [{"Name": "FunctionName", "Value": "svc-intake-Form-1"}],
    }
    assert asked.params["MetricDataQueries"][0] == {
        "Id": "m0errors",
        "MetricStat": {"Metric": metric, "Period": 300, "Stat": "Sum"},
        "ReturnData": True,
    }
    assert (asked.params["StartTime"], asked.params["EndTime"]) == (HOUR.since, HOUR.until)


def test_without_a_metric_of_requests_the_samples_of_the_errors_are_counted() -> None:
    spec = MetricSpec(name="5xx", kind=MetricKind.RATE, namespace="AWS/ApiGateway", errors="5XXError")

    reading, aws = read(spec, page(series("m0errors", 1), series("m0requests", 40)))

    assert reading.sample == Sample(requests=40, errors=1)
    stats = [q["MetricStat"]["Stat"] for q in aws.asked[0].params["MetricDataQueries"]]
    assert stats == ["Sum", "SampleCount"]


def test_pages_are_followed_to_the_last() -> None:
    first = page(series("m0errors", 1, status="PartialData"), series("m0requests", 9, status="PartialData"))
    rest = page(
        {
            **series("m0errors", 0, 0),
            "Timestamps": [SINCE + timedelta(minutes=5), SINCE + timedelta(minutes=10)],
        },
        {
            **series("m0requests", 8, 7),
            "Timestamps": [SINCE + timedelta(minutes=5), SINCE + timedelta(minutes=10)],
        },
    )

    reading, _ = read(RATE, [first, rest])

    assert reading.sample == Sample(requests=24, errors=1)


@pytest.mark.parametrize("status", ["PartialData", "Forbidden", ""])
def test_an_answer_that_is_not_complete_is_unread(status: str) -> None:
    answer = page(series("m0errors", 1, status=status or "Complete"), series("m0requests", 9))
    if not status:
        del answer["MetricDataResults"][0]["StatusCode"]

    reading, _ = read(RATE, answer)

    assert reading.sample is None
    assert reading.unread == f"CloudWatch answered {status or 'nothing'} for errors"


def test_a_series_that_is_not_in_the_answer_is_unread() -> None:
    reading, _ = read(RATE, page(series("m0requests", 9)))

    assert reading == MetricReading(sample=None, unread="CloudWatch answered nothing for errors")


def test_an_internal_error_is_asked_again_once_and_alone() -> None:
    broken = page(series("m0errors", status="InternalError", told="try later"), series("m0requests", 9))

    reading, aws = read(RATE, broken, page(series("m0errors", 2)))

    assert reading.sample == Sample(requests=9, errors=2)
    assert [q["Id"] for q in aws.asked[1].params["MetricDataQueries"]] == ["m0errors"]


def test_an_internal_error_that_stays_is_unread_and_says_what_aws_said() -> None:
    broken = page(series("m0errors", status="InternalError", told="try later"), series("m0requests", 9))

    reading, _ = read(RATE, broken, page(series("m0errors", status="InternalError", told="try later")))

    assert reading.unread == "CloudWatch answered InternalError for errors: try later"


def test_no_data_points_are_not_zero() -> None:
    nothing, _ = read(RATE, page(series("m0errors"), series("m0requests")))
    no_errors, _ = read(RATE, page(series("m0errors"), series("m0requests", 9)))

    assert nothing == MetricReading(sample=None, unread="CloudWatch has no data points of Invocations")
    assert no_errors == MetricReading(sample=None, unread="CloudWatch has no data points of Errors")


def test_a_sparse_metric_without_data_points_is_zero_where_requests_were_read() -> None:
    sparse = MetricSpec(
        name="errors", kind=MetricKind.RATE, namespace="Own", errors="Bad", requests="All", sparse=True
    )

    served, _ = read(sparse, page(series("m0errors"), series("m0requests", 9)))
    silent, _ = read(sparse, page(series("m0errors"), series("m0requests")))

    assert served.sample == Sample(requests=9, errors=0)
    assert silent.sample is None


def test_a_latency_is_one_quantile_of_the_whole_window() -> None:
    reading, aws = read(LATENCY, page(series("m0level", 812.5), series("m0requests", 4000)))

    assert reading.sample == Sample(requests=4000, level=812_500_000)
    assert [q["MetricStat"]["Period"] for q in aws.asked[0].params["MetricDataQueries"]] == [3600, 3600]
    assert aws.asked[0].params["MetricDataQueries"][0]["MetricStat"]["Stat"] == "p99"


def test_a_window_longer_than_a_day_is_read_by_days_and_weighed_by_requests() -> None:
    days = MetricWindow(since=SINCE, until=SINCE + timedelta(days=2))
    answer = page(series("m0level", 100, 400, minutes=1440), series("m0requests", 10, 10, minutes=1440))
    aws = ScriptedAws(get_metric_data=[answer])

    rows = CloudWatchMetrics(aws, identity_of).read(PLACE, [LATENCY], [days])

    assert rows[0][0].sample == Sample(requests=20, level=200_000_000)
    assert aws.asked[0].params["MetricDataQueries"][0]["MetricStat"]["Period"] == 86_400


def test_a_quantile_that_cloudwatch_does_not_give_is_unread() -> None:
    reading, _ = read(LATENCY, page(series("m0level"), series("m0requests", 9)))

    assert reading.unread == "CloudWatch has no p99 of Duration"


def test_each_window_is_a_row_and_each_spec_a_reading() -> None:
    answer = page(
        series("m0errors", 1), series("m0requests", 9), series("m1level", 5), series("m1requests", 9)
    )
    aws = ScriptedAws(get_metric_data=[answer, answer])
    week = MetricWindow(since=SINCE - timedelta(weeks=1), until=HOUR.until - timedelta(weeks=1))

    rows = CloudWatchMetrics(aws, identity_of).read(PLACE, [RATE, LATENCY], [HOUR, week])

    assert [len(row) for row in rows] == [2, 2]
    assert [asked.params["StartTime"] for asked in aws.asked] == [HOUR.since, week.since]


def test_no_more_than_500_queries_go_into_one_call() -> None:
    specs = [MetricSpec(name=f"e{n}", kind=MetricKind.RATE, namespace="N", errors="E") for n in range(251)]
    first = page(*(series(f"m{n}{what}", 1) for n in range(250) for what in ("errors", "requests")))
    rest = page(series("m250errors", 1), series("m250requests", 1))
    aws = ScriptedAws(get_metric_data=[first, rest])

    rows = CloudWatchMetrics(aws, identity_of).read(PLACE, specs, [HOUR])

    assert [len(asked.params["MetricDataQueries"]) for asked in aws.asked] == [500, 2]
    assert all(reading.sample == Sample(requests=1, errors=1) for reading in rows[0])


def test_a_refusal_is_raised_and_a_role_of_another_account_is_never_used() -> None:
    def astray(place: Place) -> Identity:
        return Identity(role_arn="arn:aws:iam::999999999999:role/TidegateDeploy")

    with pytest.raises(AccessRefused):
        read(RATE, AccessRefused("GetMetricData"))
    with pytest.raises(WrongAccount):
        CloudWatchMetrics(ScriptedAws(), astray).read(PLACE, [RATE], [HOUR])
