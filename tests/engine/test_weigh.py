"""What the judge is shown of a fleet, and what a run makes of its verdicts: the real loop over the simulated cloud."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.adapters.simulated.faults import Fault, FaultKind
from pipeline.adapters.simulated.metrics import Trouble
from pipeline.decide.judge import differences, judge
from pipeline.engine.weigh import weigh
from pipeline.errors import CredentialsRefused
from pipeline.model import event as e
from pipeline.model.ending import EndingKind
from pipeline.model.ids import AccountId
from pipeline.model.judgement import CohortEvidence, Judged, Judgement, Role, judged_from_json
from pipeline.model.judging import JudgePolicy, MetricKind, MetricSpec
from pipeline.model.plan import Plan
from pipeline.model.policy import CanaryPolicy
from stages.promote import read_targets
from tests.simulation import POLICY, Company, a_fleet

ERRORS = MetricSpec(
    name="errors",
    kind=MetricKind.RATE,
    namespace="AWS/Lambda",
    errors="Errors",
    requests="Invocations",
    dimensions=(("Stack", "{stack}"),),
)
LATENCY = MetricSpec(
    name="latency", kind=MetricKind.LATENCY, namespace="AWS/Lambda", level="Duration", quantile="p99"
)
JUDGED = replace(
    POLICY,
    canary=CanaryPolicy(clients=3, bake=timedelta(hours=2)),
    judge=JudgePolicy(metrics=(ERRORS, LATENCY)),
)


def a_company(tmp_path: Path) -> tuple[Company, Plan]:
    """23 clients on 1.0.0, and a plan for 1.1.0 whose canary is judged."""
    company = Company(tmp_path, fleet=a_fleet(23))
    company.build("1.0.0")
    company.promote(company.plan("1.0.0"))
    company.build("1.1.0")
    company.policy = JUDGED
    return company, company.plan("1.1.0")


def verdicts(company: Company) -> list[tuple[int, str]]:
    found = [event for event in company.events("1.1.0") if isinstance(event, e.WaveJudged)]
    return [(event.look, event.verdict.value) for event in found]


def baking(tmp_path: Path) -> tuple[Company, Plan]:
    """The canary has baked for an hour."""
    company, plan = a_company(tmp_path)
    begun = None
    while begun is None:
        ending = company.promote(plan, blocked=True)
        assert ending.until is not None
        company.clock.advance(max(timedelta(0), ending.until - company.clock.now()))
        begun = company.run(plan).waves[1].bake_from
    company.clock.advance(begun + timedelta(hours=1) - company.clock.now())
    return company, plan


def weighed(
    company: Company,
    plan: Plan,
    look: int = 2,
    *,
    readers: int = 1,
    policy: JudgePolicy | None = None,
) -> tuple[Judgement, CohortEvidence]:
    """policy: in place of the plan's own."""
    world, run, targets = company.world(), company.run(plan), read_targets(company.journal, plan)
    shown = plan if policy is None else replace(plan, judge=policy)
    judgement, document = weigh(world, shown, run, targets, 1, look, readers=readers)
    kept = judged_from_json(document)
    assert kept.judgement == judgement
    return judgement, kept.evidence


def canaries(evidence: CohortEvidence) -> list[AccountId]:
    return [a.account for a in evidence.accounts if a.role is Role.CANARY]


# --- a run -----------------------------------------------------------------------------------------


def test_a_good_release_is_looked_at_three_times_and_passes(tmp_path: Path) -> None:
    company, plan = a_company(tmp_path)

    ending = company.promote(plan)

    assert ending.kind is EndingKind.SUCCEEDED
    assert verdicts(company) == [(1, "INCONCLUSIVE"), (2, "INCONCLUSIVE"), (3, "PASS")]


def test_a_release_that_fails_more_often_is_rolled_back_before_anybody_else_gets_it(tmp_path: Path) -> None:
    company, plan = a_company(tmp_path)
    company.metrics.order(Trouble(factor=6, metric="errors", release="intake@1.1.0"))

    ending = company.promote(plan)

    assert ending.kind is not EndingKind.SUCCEEDED
    assert verdicts(company)[-1][1] == "FAIL"
    assert (
        len(company.deployments("1.1.0")) <= 1 + 4
    )  # the service, and three clients, of which c2 has two Regions
    assert set(company.runs().values()) == {"1.0.0"}


def test_an_incident_of_the_whole_fleet_waits_for_a_person_and_rolls_nothing_back(tmp_path: Path) -> None:
    company, plan = a_company(tmp_path)
    company.metrics.order(Trouble(factor=6, metric="errors", since=company.clock.now()))

    ending = company.promote(plan)

    assert ending.kind is EndingKind.PAUSED
    assert verdicts(company)[-1][1] == "FLEET_EVENT"
    assert "1.1.0" in company.runs().values()


def test_a_canary_without_numbers_is_given_more_time_and_then_a_person_decides(tmp_path: Path) -> None:
    company, plan = a_company(tmp_path)
    company.metrics.order(Trouble(silent=True, metric="latency", since=company.clock.now()))

    ending = company.promote(plan)

    assert ending.kind is EndingKind.PAUSED
    assert verdicts(company)[-2:] == [(3, "NO_DATA"), (4, "NO_DATA")]
    assert [type(x) for x in company.events("1.1.0")].count(e.BakeExtended) == 1


def test_every_verdict_can_be_judged_again_from_what_was_kept(tmp_path: Path) -> None:
    company, plan = a_company(tmp_path)
    company.promote(plan)

    for event in company.events("1.1.0"):
        if isinstance(event, e.WaveJudged):
            kept: Judged = judged_from_json(company.artifacts.get(event.evidence))
            assert (kept.judgement.verdict, kept.judgement.reason) == (event.verdict, event.reason)
            assert differences(kept.judgement, judge(kept.evidence)) == ()


# --- one look --------------------------------------------------------------------------------------


def test_the_evidence_is_the_canaries_and_those_who_wait_each_with_four_weeks_of_history(
    tmp_path: Path,
) -> None:
    company, plan = baking(tmp_path)

    judgement, evidence = weighed(company, plan)

    assert (len(canaries(evidence)), len(evidence.accounts)) == (3, 23)
    assert all(len(m.history) == 4 for a in evidence.accounts for m in a.metrics)
    assert all(m.now is not None and m.now.requests > 0 for a in evidence.accounts for m in a.metrics)
    assert evidence.until - evidence.since >= timedelta(minutes=45)
    assert evidence.until <= company.clock.now() - plan.judge.lag
    assert (evidence.wave, evidence.look, evidence.policy) == (1, 2, plan.judge)
    assert judgement.can_fail


def test_many_readers_and_one_give_the_same_evidence(tmp_path: Path) -> None:
    company, plan = baking(tmp_path)

    assert weighed(company, plan, readers=8) == weighed(company, plan, readers=1)


@pytest.mark.parametrize("kind", [FaultKind.REFUSED, FaultKind.SUSPENDED, FaultKind.INVALID])
def test_an_account_that_refuses_is_evidence_without_a_number(tmp_path: Path, kind: FaultKind) -> None:
    company, plan = baking(tmp_path)
    _, before = weighed(company, plan)
    broken = canaries(before)[0]
    company.cloud.fault(Fault(kind=kind, call="metrics", account=broken, times=0))

    judgement, evidence = weighed(company, plan, look=3)

    told = {a.account: [m.unread for m in a.metrics] for a in evidence.accounts}
    assert all(kind.value in why for why in told[broken])
    assert all(why == ["", ""] for account, why in told.items() if account != broken)
    assert (judgement.verdict, judgement.short) == (e.Verdict.INCONCLUSIVE, True)


def test_a_throttle_is_waited_out(tmp_path: Path) -> None:
    company, plan = baking(tmp_path)
    _, before = weighed(company, plan)
    company.cloud.fault(Fault(kind=FaultKind.THROTTLED, call="metrics", account=canaries(before)[0], times=2))

    _, evidence = weighed(company, plan)

    assert all(m.unread == "" for a in evidence.accounts for m in a.metrics)


def test_a_throttle_that_stays_is_evidence_without_a_number(tmp_path: Path) -> None:
    company, plan = baking(tmp_path)
    company.cloud.fault(Fault(kind=FaultKind.THROTTLED, call="metrics", times=0))

    judgement, _ = weighed(company, plan, look=3)

    assert judgement.verdict is e.Verdict.NO_DATA


def test_refused_credentials_end_the_look_and_are_no_evidence(tmp_path: Path) -> None:
    company, plan = baking(tmp_path)
    company.cloud.fault(Fault(kind=FaultKind.NO_CREDENTIALS, call="metrics", times=0))

    with pytest.raises(CredentialsRefused):
        weighed(company, plan)


def test_a_stack_without_the_output_that_a_metric_names_is_evidence_without_a_number(tmp_path: Path) -> None:
    company, plan = baking(tmp_path)
    here = replace(ERRORS, dimensions=(("Url", "{output:Url}"),))
    nowhere = replace(ERRORS, name="other", dimensions=(("Queue", "{output:Queue}"),))

    judgement, evidence = weighed(company, plan, policy=JudgePolicy(metrics=(here, nowhere)))

    unread = {tuple(m.unread.rpartition(": ")[2] for m in a.metrics) for a in evidence.accounts}
    assert unread == {("", "its stack has no output Queue")}
    assert [m.verdict for m in judgement.metrics] == [e.Verdict.INCONCLUSIVE, e.Verdict.NO_DATA]


def test_a_bake_that_has_just_begun_has_no_numbers_yet(tmp_path: Path) -> None:
    company, plan = baking(tmp_path)
    company.clock.advance(timedelta(minutes=-58))

    judgement, evidence = weighed(company, plan)

    assert judgement.verdict is e.Verdict.NO_DATA
    told = {m.unread.rpartition(": ")[2] for a in evidence.accounts for m in a.metrics}
    assert told == {"the bake has no whole five minutes yet that CloudWatch could tell of"}


def test_without_metrics_nobody_is_asked(tmp_path: Path) -> None:
    company, plan = baking(tmp_path)
    before = company.cloud.calls("metrics")

    judgement, evidence = weighed(company, plan, policy=JudgePolicy())

    assert (judgement.verdict, evidence.accounts) == (e.Verdict.NO_DATA, ())
    assert company.cloud.calls("metrics") == before
