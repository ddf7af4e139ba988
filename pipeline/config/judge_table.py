"""Floor 3, config: `[judge]` and `[[judge.metric]]` of release.toml as pydantic models, and their way into the model.

Fractions are written as people write them, 0.02 or 1.5, and become whole parts of a thousand or of a hundred here: a
plan's digest knows no floats.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator

from pipeline.config import values as v
from pipeline.config.faults import shown
from pipeline.model.judging import JudgePolicy, MetricKind, MetricSpec

__all__ = ["JudgeTable", "judge_faults", "judge_policy"]

MOST_METRICS = 12
"""The SRE workbook, chapter 16: no more than a dozen metrics, or a canary tells more about chance than about itself."""
_QUANTILE = re.compile(r"p([1-9][0-9]?)(\.[0-9]{1,2})?")
_DIMENSION = re.compile(r"(?:[^{}]|\{stack\}|\{output:[A-Za-z0-9]+\})+")
_MOST_DIMENSIONS = 30
"""CloudWatch: a metric has at most 30 dimensions."""


def _fraction(least: float, most: float, parts: int, example: str) -> Callable[[object], float]:
    """A check for numbers in a range that are whole in units of 1/`parts`."""

    def check(raw: object) -> float:
        if isinstance(raw, int | float) and not isinstance(raw, bool) and least <= raw <= most:
            scaled = raw * parts
            if abs(scaled - round(scaled)) < 1e-6:
                return float(raw)
        steps = f"in steps of {1 / parts:.6f}".rstrip("0")
        raise v.fault(
            f"found {shown(raw)}; write a number from {least:g} to {most:g} {steps}, such as {example}"
        )

    return check


def _quantile(raw: object) -> str:
    if isinstance(raw, str) and _QUANTILE.fullmatch(raw):
        return raw
    raise v.fault(f'found {shown(raw)}; write a quantile as CloudWatch does, such as "p99" or "p99.9"')


def _aws_word(raw: object) -> str:
    """A namespace or a metric name: 1 to 255 printable ASCII characters, no colon first (PutMetricData)."""
    if isinstance(raw, str) and 0 < len(raw) <= 255 and raw.isascii() and raw.isprintable() and raw[0] != ":":
        return raw
    raise v.fault(f'found {shown(raw)}; write a name of CloudWatch, such as "AWS/Lambda" or "Errors"')


def _dimension(raw: object) -> str:
    if isinstance(raw, str) and len(raw) <= 1024 and raw.isascii() and raw.isprintable() and raw:
        if _DIMENSION.fullmatch(raw):
            return raw
        raise v.fault(
            f"found {shown(raw)}; braces hold {{stack}} or {{output:NAME}}, the name of a stack's output"
        )
    raise v.fault(f'found {shown(raw)}; write a value such as "{{output:FormFunction}}"')


_STRING = Field(json_schema_extra={"type": "string"})
AwsWord = Annotated[str, PlainValidator(_aws_word), _STRING]
Dimension = Annotated[str, PlainValidator(_dimension), _STRING]
Quantile = Annotated[str, PlainValidator(_quantile), _STRING]
Alpha = Annotated[
    float,
    PlainValidator(_fraction(0.001, 0.2, 1000, "0.02")),
    Field(json_schema_extra={"type": "number", "minimum": 0.001, "maximum": 0.2}),
]
Allowed = Annotated[
    float,
    PlainValidator(_fraction(1.05, 100, 100, "2.0")),
    Field(json_schema_extra={"type": "number", "minimum": 1.05, "maximum": 100}),
]
Negligible = Annotated[
    float,
    PlainValidator(_fraction(0, 0.1, 1_000_000, "0.001")),
    Field(json_schema_extra={"type": "number", "minimum": 0, "maximum": 0.1}),
]
Spread = Annotated[
    float,
    PlainValidator(_fraction(0, 3, 100, "0.2")),
    Field(json_schema_extra={"type": "number", "minimum": 0, "maximum": 3}),
]
Looks = Annotated[
    int,
    PlainValidator(v.whole(1, 10)),
    Field(json_schema_extra={"type": "integer", "minimum": 1, "maximum": 10}),
]
Weeks = Annotated[
    int,
    PlainValidator(v.whole(1, 8)),
    Field(json_schema_extra={"type": "integer", "minimum": 1, "maximum": 8}),
]
"""CloudWatch keeps five-minute data for 63 days."""
Controls = Annotated[
    int,
    PlainValidator(v.whole(1, 1000)),
    Field(json_schema_extra={"type": "integer", "minimum": 1, "maximum": 1000}),
]
Events = Annotated[
    int, PlainValidator(v.whole(1)), Field(json_schema_extra={"type": "integer", "minimum": 1})
]


class _Table(BaseModel):
    """Strict, as every table of the files is: nothing is converted, and a key we do not know is a fault."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, populate_by_name=False)


class MetricTable(_Table):
    name: v.Name
    kind: Literal["rate", "latency"]
    namespace: AwsWord
    errors: AwsWord | None = None
    requests: AwsWord | None = None
    latency: AwsWord | None = None
    quantile: Quantile | None = None
    dimensions: dict[AwsWord, Dimension] = {}
    allowed: Allowed = 2.0
    critical: bool = True
    sparse: bool = False
    negligible: Negligible = 0.0


class JudgeTable(_Table):
    metric: list[MetricTable] = []
    alpha: Alpha = 0.02
    pass_risk: Alpha = 0.05
    looks: Looks = 3
    min_events: Events = 5
    weeks: Weeks = 4
    controls: Controls = 60
    drift: Spread = 0.2
    fleet_drift: Spread = 0.1
    spread: Spread = 0.8
    lag: v.Duration = timedelta(minutes=5)


def judge_faults(parsed: Mapping[str, object]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """(path, text) of what no single value shows. parsed: the whole of release.toml, as TOML gave it."""
    judge = parsed.get("judge")
    metrics = judge.get("metric") if isinstance(judge, Mapping) else None
    if not isinstance(metrics, list):
        return
    if len(metrics) > MOST_METRICS:
        yield ("judge", "metric"), f"has {len(metrics)} metrics; judge by {MOST_METRICS} at most"
    seen: set[str] = set()
    for number, metric in enumerate(metrics):
        if isinstance(metric, Mapping):
            yield from _metric_faults(("judge", "metric", number), metric, seen)


def _metric_faults(
    at: tuple[str | int, ...], metric: Mapping[str, object], seen: set[str]
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    name, kind = metric.get("name"), metric.get("kind")
    if isinstance(name, str):
        if name in seen:
            yield (*at, "name"), f"found {shown(name)} twice; give each metric a name of its own"
        seen.add(name)
    wanted, foreign = {
        "rate": (("errors",), ("latency", "quantile")),
        "latency": (("latency", "quantile"), ("errors", "requests", "sparse", "negligible")),
    }.get(kind if isinstance(kind, str) else "", ((), ()))
    examples = {"errors": '"Errors"', "latency": '"Duration"', "quantile": '"p99"'}
    for key in wanted:
        if key not in metric:
            yield (*at, key), f"is missing, and a {kind} needs it; write {key} = {examples[key]}"
    for key in foreign:
        if key in metric:
            yield (*at, key), f"has no meaning for a {kind}; take it out"
    dimensions = metric.get("dimensions")
    if isinstance(dimensions, Mapping) and len(dimensions) > _MOST_DIMENSIONS:
        yield (*at, "dimensions"), f"has {len(dimensions)}; a metric has at most {_MOST_DIMENSIONS}"


def judge_policy(table: JudgeTable) -> JudgePolicy:
    """Without metrics: a policy that judges nothing."""
    return JudgePolicy(
        metrics=tuple(_metric(metric) for metric in table.metric),
        alpha_permille=round(table.alpha * 1000),
        pass_permille=round(table.pass_risk * 1000),
        looks=table.looks,
        min_events=table.min_events,
        weeks=table.weeks,
        controls=table.controls,
        tau_percent=round(table.drift * 100),
        fleet_percent=round(table.fleet_drift * 100),
        level_percent=round(table.spread * 100),
        lag=table.lag,
    )


def _metric(table: MetricTable) -> MetricSpec:
    return MetricSpec(
        name=table.name,
        kind=MetricKind(table.kind),
        namespace=table.namespace,
        errors=table.errors or "",
        requests=table.requests or "",
        level=table.latency or "",
        quantile=table.quantile or "",
        dimensions=tuple(sorted(table.dimensions.items())),
        allowed_percent=round(table.allowed * 100),
        critical=table.critical,
        sparse=table.sparse,
        negligible_ppm=round(table.negligible * 1_000_000),
    )
