"""`[judge]` and `[[judge.metric]]`: what people write becomes the policy that goes into the plan."""

from __future__ import annotations

from datetime import timedelta

from pipeline.config.judge_table import JudgeTable, judge_faults, judge_policy
from pipeline.model.judging import JudgePolicy, MetricKind, MetricSpec


def test_what_is_not_written_is_the_models_default() -> None:
    assert judge_policy(JudgeTable()) == JudgePolicy()


def test_fractions_become_whole_parts_and_dimensions_are_sorted() -> None:
    table = JudgeTable.model_validate(
        {
            "alpha": 0.05,
            "pass_risk": 0.1,
            "looks": 4,
            "drift": 0.35,
            "lag": "10m",
            "metric": [
                {
                    "name": "errors",
                    "kind": "rate",
                    "namespace": "AWS/Lambda",
                    "errors": "Errors",
                    "requests": "Invocations",
                    "dimensions": {"Resource": "x", "FunctionName": "{output:Form}"},
                    "allowed": 1.5,
                    "critical": False,
                    "sparse": True,
                    "negligible": 0.0005,
                },
                {
                    "name": "slow",
                    "kind": "latency",
                    "namespace": "AWS/Lambda",
                    "latency": "Duration",
                    "quantile": "p99.9",
                },
            ],
        }
    )

    assert judge_policy(table) == JudgePolicy(
        metrics=(
            MetricSpec(
                name="errors",
                kind=MetricKind.RATE,
                namespace="AWS/Lambda",
                errors="Errors",
                requests="Invocations",
                dimensions=(("FunctionName", "{output:Form}"), ("Resource", "x")),
                allowed_percent=150,
                critical=False,
                sparse=True,
                negligible_ppm=500,
            ),
            MetricSpec(
                name="slow",
                kind=MetricKind.LATENCY,
                namespace="AWS/Lambda",
                level="Duration",
                quantile="p99.9",
            ),
        ),
        alpha_permille=50,
        pass_permille=100,
        looks=4,
        tau_percent=35,
        lag=timedelta(minutes=10),
    )


def test_more_than_a_dozen_metrics_are_too_many() -> None:
    metrics = [{"name": f"m{n}x", "kind": "rate", "errors": "E"} for n in range(13)]

    assert list(judge_faults({"judge": {"metric": metrics}})) == [
        (("judge", "metric"), "has 13 metrics; judge by 12 at most")
    ]


def test_a_file_without_a_judge_has_no_faults_of_one() -> None:
    assert list(judge_faults({})) == []
    assert list(judge_faults({"judge": "no"})) == []
    assert list(judge_faults({"judge": {"metric": [3, {"name": 4}]}})) == []
