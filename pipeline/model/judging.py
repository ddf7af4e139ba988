"""Floor 1, judging: what the canary judge is told to weigh, and how strictly. No effects.

What was weighed and what came of it stands in `judgement.py`. Whole numbers only, as in everything that goes into a
plan's digest: parts of a thousand or of a hundred where a fraction is meant.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

__all__ = ["JudgePolicy", "MetricKind", "MetricSpec"]


class MetricKind(StrEnum):
    RATE = "rate"
    """how many of the requests were errors"""
    LATENCY = "latency"
    """a quantile of how long requests took; any positive quantity that is better small"""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSpec:
    """One thing to judge by, read from CloudWatch in each account. More of it is worse.

    name: what people call it. namespace: CloudWatch's.
    Of a rate, errors: the metric whose Sum counts errors; requests: the metric whose Sum counts requests, and where
    it is empty the SampleCount of `errors`, which services such as API Gateway and Lambda emit with every request.
    Of a latency, level: the metric; quantile: its statistic, `p50` to `p99.9`; its SampleCount counts requests.
    dimensions: (name, value); a value may be, or hold, `{stack}` and `{output:NAME}` of the account's own stack.

    allowed_percent: how much a release may make of it; 200 is twice as much. A change below that never fails a
    release, and a release passes only when a change as large as that can be ruled out.
    critical: judged at the full alpha by itself; the others share theirs (Holm).
    sparse: no data point of `errors` beside read requests means none, for programs that report errors only when
    there are some. Otherwise it means that nothing was read.
    negligible_ppm: a rate of so many errors in a million requests is too small to matter, however much more than
    before it is; 0 where every error matters.
    """

    name: str
    kind: MetricKind
    namespace: str
    errors: str = ""
    requests: str = ""
    level: str = ""
    quantile: str = ""
    dimensions: tuple[tuple[str, str], ...] = ()
    allowed_percent: int = 200
    critical: bool = True
    sparse: bool = False
    negligible_ppm: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgePolicy:
    """How a canary is judged. No metrics: by alarms and health checks alone, without statistics.

    alpha_permille: how often, in a thousand good releases, each critical metric may fail one for what is chance;
    over all looks together. pass_permille: how often, in a thousand releases that make exactly `allowed_percent` of a
    metric, that metric may pass one. looks: registered in advance; the last is at the end of the bake, and one more
    follows where the bake is extended.
    min_events: errors that the canary would be expected to have seen if nothing had changed; fewer prove nothing.
    weeks: how many weeks back the same hours are read. controls: how many accounts on the old version at most.
    tau_percent: by how much an account drifts against its own history for no reason, as a standard deviation of the
    logarithm. fleet_percent: the same of the whole fleet together. level_percent: how different accounts are from
    one another; used only where an account has no history of its own.
    lag: numbers younger than this are not read, because CloudWatch does not have all of them yet.
    """

    metrics: tuple[MetricSpec, ...] = ()
    alpha_permille: int = 20
    pass_permille: int = 50
    looks: int = 3
    min_events: int = 5
    weeks: int = 4
    controls: int = 60
    tau_percent: int = 20
    fleet_percent: int = 10
    level_percent: int = 80
    lag: timedelta = timedelta(minutes=5)
