"""Floor 1, judgement: what the canary judge was given and what it said, as one document to keep. No effects.

Everything that the verdict depends on stands in the evidence, the seed and the policy included, so that anybody can
judge again later. Numbers that are no counts are decimal texts of six digits: a float has no canonical form.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType

from pipeline.model.canonical import canonical
from pipeline.model.codec import from_json, to_json
from pipeline.model.ids import AccountId
from pipeline.model.judging import JudgePolicy, MetricKind
from pipeline.model.target_event import Verdict

__all__ = [
    "DOCUMENT_FORMAT",
    "JUDGE_VERSION",
    "AccountEvidence",
    "AccountJudgement",
    "CohortEvidence",
    "Judged",
    "Judgement",
    "MetricEvidence",
    "MetricJudgement",
    "Number",
    "Role",
    "Sample",
    "judged_from_json",
    "judged_to_json",
    "number",
]

DOCUMENT_FORMAT = 1
JUDGE_VERSION = 1
"""Grows whenever the same evidence could be judged otherwise than before."""

Number = NewType("Number", str)
"""Decimal text of six significant digits; `inf` where there is no limit."""


def number(value: float) -> Number:
    """ValueError for what is no number at all."""
    if math.isnan(value):
        raise ValueError("not a number")
    return Number(f"{value + 0.0:.6g}")


# --- what the judge is given -----------------------------------------------------------------------


class Role(StrEnum):
    CANARY = "canary"
    CONTROL = "control"
    """a client of a later wave, still on the old version"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One metric of one account over one window. errors: of a rate. level: of a latency, in millionths of the
    metric's own unit."""

    requests: int
    errors: int = 0
    level: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricEvidence:
    """now: None where it could not be read; unread says why. history: the same hours of earlier weeks, as far as
    there are any, the last week first."""

    metric: str
    now: Sample | None
    history: tuple[Sample, ...] = ()
    unread: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountEvidence:
    """One account, all its Regions together: the unit that statistics count. stratum: clients that are alike."""

    account: AccountId
    client: str
    role: Role
    stratum: str = ""
    metrics: tuple[MetricEvidence, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortEvidence:
    """All that a look at one wave depends on.

    wave: the number that people count. look: from 1; policy.looks is the one at the end of the bake, one more where
    the bake was extended. randomised: the canary was drawn by lot inside the strata. since, until: the window.
    min_requests: what every canary account must have served in it.
    """

    release: str
    wave: int
    look: int
    seed: int
    randomised: bool
    since: datetime
    until: datetime
    policy: JudgePolicy
    min_requests: int = 0
    accounts: tuple[AccountEvidence, ...] = ()


# --- what the judge says ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountJudgement:
    """One account in one metric. now, before: errors in a request, or the level in the metric's unit.

    ratio: now against its own history. beyond: that against what the controls did meanwhile. limit: how large
    `beyond` may be by the account's own predictive interval. p: the chance of so large a `beyond`, one-sided.
    suspect: beyond its limit and beyond what is allowed. note: what there is to say of it besides numbers.
    """

    account: AccountId
    client: str
    role: Role
    requests: int = 0
    now: Number | None = None
    before: Number | None = None
    ratio: Number | None = None
    beyond: Number | None = None
    limit: Number | None = None
    p: Number | None = None
    suspect: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricJudgement:
    """One metric over the cohort. ratio: the canaries' change over the controls'; lower and upper: its confidence
    bounds, one-sided, at the policy's pass_permille. p: of the permutation test, one-sided; adjusted: after Holm.
    alpha: what `adjusted` is compared with at this look. labelings: in how many ways the canary could have been
    drawn; drawn: how many of them were tried; exact: all of them.
    controls_ratio, controls_p: how the controls moved against their own history.
    """

    metric: str
    kind: MetricKind
    critical: bool
    verdict: Verdict
    reason: str
    allowed: Number
    alpha: Number
    canaries: int
    controls: int
    ratio: Number | None = None
    lower: Number | None = None
    upper: Number | None = None
    p: Number | None = None
    adjusted: Number | None = None
    labelings: int = 0
    drawn: int = 0
    exact: bool = False
    expected_events: Number | None = None
    controls_ratio: Number | None = None
    controls_p: Number | None = None
    accounts: tuple[AccountJudgement, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """verdict and, for a person, why. final: PASS may be said at this look.

    can_fail False: so few accounts that no numbers whatever would be significant; alarms and health checks are all
    that protects this cohort. short: there is too little evidence, and more time may bring it.
    stratified: labels were exchanged inside strata; False where the strata were too small for that.
    """

    verdict: Verdict
    reason: str
    look: int
    final: bool
    can_fail: bool
    short: bool
    randomised: bool
    stratified: bool
    notes: tuple[str, ...] = ()
    metrics: tuple[MetricJudgement, ...] = ()
    version: int = JUDGE_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What is kept: the evidence beside the judgement."""

    evidence: CohortEvidence
    judgement: Judgement
    format_version: int = DOCUMENT_FORMAT


def judged_to_json(judged: Judged) -> bytes:
    """Canonical JSON with every field told, so that the document explains itself."""
    return canonical(to_json(judged))


def judged_from_json(content: bytes) -> Judged:
    """ValueError where the bytes are no such document."""
    return from_json(Judged, content)
