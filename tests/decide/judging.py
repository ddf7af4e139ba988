"""Cohorts for the judge's tests: accounts by role, traffic and errors, in a few words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from pipeline.model.ids import AccountId
from pipeline.model.judgement import AccountEvidence, CohortEvidence, MetricEvidence, Role, Sample
from pipeline.model.judging import JudgePolicy, MetricKind, MetricSpec

__all__ = ["ERRORS", "LATENCY", "POLICY", "START", "account", "canary", "cohort", "control", "of", "slow"]

START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
ERRORS = MetricSpec(name="errors", kind=MetricKind.RATE, namespace="AWS/Lambda", errors="Errors")
LATENCY = MetricSpec(
    name="latency", kind=MetricKind.LATENCY, namespace="AWS/Lambda", level="Duration", quantile="p99"
)
POLICY = JudgePolicy(metrics=(ERRORS,))


def of(name: str, now: Sample | None, *history: Sample, unread: str = "") -> MetricEvidence:
    return MetricEvidence(metric=name, now=now, history=history, unread=unread)


def account(number: int, role: Role, *metrics: MetricEvidence, stratum: str = "") -> AccountEvidence:
    return AccountEvidence(
        account=AccountId(f"{number:012d}"), client=f"c{number}", role=role, stratum=stratum, metrics=metrics
    )


def _errors(errors: int, before: int, requests: int, weeks: int = 4) -> MetricEvidence:
    history = (Sample(requests=requests, errors=before),) * weeks
    return of("errors", Sample(requests=requests, errors=errors), *history)


def canary(
    number: int, errors: int, *, before: int = 20, requests: int = 4000, stratum: str = ""
) -> AccountEvidence:
    """before: errors in the same hours of each of four weeks."""
    return account(number, Role.CANARY, _errors(errors, before, requests), stratum=stratum)


def control(
    number: int, errors: int, *, before: int = 20, requests: int = 4000, stratum: str = ""
) -> AccountEvidence:
    return account(number, Role.CONTROL, _errors(errors, before, requests), stratum=stratum)


def slow(number: int, role: Role, level: int, before: int = 200_000, requests: int = 4000) -> AccountEvidence:
    history = (Sample(requests=requests, level=before),) * 4
    return account(number, role, of("latency", Sample(requests=requests, level=level), *history))


def cohort(
    accounts: Sequence[AccountEvidence],
    *,
    look: int = 3,
    policy: JudgePolicy = POLICY,
    randomised: bool = True,
    min_requests: int = 0,
    seed: int = 7,
) -> CohortEvidence:
    return CohortEvidence(
        release="intake@1.1.0",
        wave=1,
        look=look,
        seed=seed,
        randomised=randomised,
        since=START,
        until=START + timedelta(hours=1),
        policy=policy,
        min_requests=min_requests,
        accounts=tuple(accounts),
    )
