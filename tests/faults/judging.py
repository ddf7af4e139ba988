"""Family S: the judge, given numbers of which the truth is known. It may say that it cannot tell; it may not say PASS
of what is bad, nor FAIL of what has not changed at all. (How often chance deceives it stands in docs/judge.md.)
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from pipeline.decide.judge import judge
from pipeline.model.ids import AccountId
from pipeline.model.judgement import AccountEvidence, CohortEvidence, MetricEvidence, Role, Sample
from pipeline.model.judging import JudgePolicy, MetricKind, MetricSpec
from pipeline.model.target_event import Verdict
from tests.faults.cases import Case, Family, seeds, sharing
from tests.faults.stage import Stage

__all__ = ["JUDGE"]

ERRORS = MetricSpec(name="errors", kind=MetricKind.RATE, namespace="AWS/Lambda", errors="Errors")
SINCE = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
TRUTHS = (
    "nothing has changed",
    "ten times the errors",
    "one account in ruins",
    "one account cannot be read",
    "everybody moved",
    "told in another order",
)
TABLES = 84


def _cases_s(large: bool) -> list[Case]:
    tables = TABLES * 20 if large else TABLES
    return [
        Case(seeds("S") + 10_000 * truth + number) for truth in range(len(TRUTHS)) for number in range(tables)
    ]


def _act_s(_stage: Stage, case: Case) -> None:
    truth, chance = TRUTHS[case.number // 10_000], Random(case.number)
    evidence = _evidence(truth, chance)
    found = judge(evidence)
    again = judge(evidence)
    assert found == again, "the same numbers were judged in two ways"
    match truth:
        case "nothing has changed":
            assert found.verdict is not Verdict.FAIL, found.reason
        case "told in another order":
            mixed = tuple(chance.sample(evidence.accounts, len(evidence.accounts)))
            assert judge(replace(evidence, accounts=mixed)).verdict is found.verdict, "the order matters"
        case _:
            assert found.verdict is not Verdict.PASS, f"{truth}: {found.reason}"


def _evidence(truth: str, chance: Random) -> CohortEvidence:
    canaries, controls = chance.randint(1, 6), chance.randint(3, 40)
    per_million = chance.choice((200, 2_000, 20_000))
    accounts = []
    for number in range(canaries + controls):
        is_canary = number < canaries
        requests = chance.randrange(5_000, 60_000)
        factor = _factor(truth, number, is_canary=is_canary)
        unread = truth == "one account cannot be read" and number == 0
        accounts.append(_account(number, is_canary, requests, per_million, factor, unread=unread))
    policy = JudgePolicy(metrics=(ERRORS,))
    return CohortEvidence(
        release="intake@1.1.0",
        wave=1,
        look=policy.looks,
        seed=chance.randrange(1 << 30),
        randomised=True,
        since=SINCE,
        until=SINCE + timedelta(hours=1),
        policy=policy,
        accounts=tuple(accounts),
    )


def _factor(truth: str, number: int, *, is_canary: bool) -> int:
    if truth == "ten times the errors":
        return 10 if is_canary else 1
    if truth == "one account in ruins":
        return 60 if number == 0 else 1
    return 8 if truth == "everybody moved" else 1


def _account(
    number: int, is_canary: bool, requests: int, per_million: int, factor: int, *, unread: bool
) -> AccountEvidence:
    """Without any noise: what is expected is what is seen."""
    errors = max(1, requests * per_million // 1_000_000)
    now = None if unread else Sample(requests=requests, errors=min(requests, errors * factor))
    history = tuple(Sample(requests=requests, errors=errors) for _ in range(4))
    metric = MetricEvidence(
        metric="errors", now=now, history=history, unread="AccessDenied" if unread else ""
    )
    return AccountEvidence(
        account=AccountId(f"{number:012d}"),
        client=f"c{number}",
        role=Role.CANARY if is_canary else Role.CONTROL,
        metrics=(metric,),
    )


def _prepare_s(_case: Case, tmp: Path) -> Stage:
    return Stage(tmp)


_PLAY_S, _BATCH_S = sharing(_prepare_s, _act_s)
JUDGE = Family(
    letter="S",
    title="numbers of which the truth is known, put before the judge",
    invariants=("I18",),
    cases=_cases_s,
    play=_PLAY_S,
    batch=_BATCH_S,
    scene=lambda case: case.number // 10_000,
)
