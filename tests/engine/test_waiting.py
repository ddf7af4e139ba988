"""Releases that wait: for a client's window, for a freeze, for an approval, for a person's decision."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from pipeline.adapters.simulated.metrics import Trouble
from pipeline.model import event as e
from pipeline.model.ending import EndingKind
from pipeline.model.fleet import Fleet, Window
from pipeline.model.judging import JudgePolicy, MetricKind, MetricSpec
from pipeline.model.plan import Plan, plan_digest
from pipeline.model.run_state import Run, WaveStatus
from tests.simulation import POLICY, Company, a_fleet

HOUR = timedelta(hours=1)
NIGHT = Window(
    days=("mon", "tue", "wed", "thu", "fri", "sat", "sun"), start="22:00", end="23:00", timezone="UTC"
)
ERRORS = MetricSpec(name="errors", kind=MetricKind.RATE, namespace="AWS/Lambda", errors="Errors")


def with_window(fleet: Fleet, *names: str) -> Fleet:
    return replace(
        fleet,
        clients=tuple(replace(c, window=NIGHT) if c.name in names else c for c in fleet.clients),
    )


def started(company: Company, plan: Plan) -> dict[str, datetime]:
    """When each client's stack began to change, as the cloud saw it."""
    account = {target.account: str(target.id) for target in plan.targets}
    return {account[h.place.account]: h.at for h in company.cloud.history if h.place.account in account}


def said(company: Company, plan: Plan, kind: type[e.Event]) -> list[e.Event]:
    entries = company.journal.read(e.release_stream(plan.release))
    return [entry.event for entry in entries if isinstance(entry.event, kind)]


# --- windows ---------------------------------------------------------------------------------------


def test_clients_outside_their_windows_go_last_and_hold_up_nobody(tmp_path: Path) -> None:
    company = Company(tmp_path, fleet=with_window(a_fleet(6), "c4", "c5"))
    company.policy = replace(POLICY, canary=replace(POLICY.canary, clients=1))
    company.build("1.0.0")
    plan = company.plan("1.0.0")
    canaries = plan.waves[1].targets
    ending = company.promote(plan)
    assert ending.kind is EndingKind.SUCCEEDED
    assert set(company.runs().values()) == {"1.0.0"}
    late = {"c4/us-east-1", "c5/us-east-1"} - {str(t) for t in canaries}
    times = started(company, plan)
    assert {name: 22 <= at.hour < 23 for name, at in times.items() if name in late} == dict.fromkeys(
        late, True
    )
    others = [at for name, at in times.items() if name not in {"c4/us-east-1", "c5/us-east-1"}]
    assert max(others) < min(times[name] for name in late)


def test_a_command_that_would_only_wait_for_a_window_ends_and_says_until_when(tmp_path: Path) -> None:
    everybody = ("c1", "c2", "c3")
    company = Company(tmp_path, fleet=with_window(a_fleet(3), *everybody))
    company.build("1.0.0")
    plan = company.plan("1.0.0")
    ending = company.promote(plan, blocked=True)
    while ending.kind is EndingKind.BAKING:
        assert ending.until is not None
        company.clock.advance(ending.until - company.clock.now())
        ending = company.promote(plan, blocked=True)
    assert ending.kind is EndingKind.WAITING
    assert ending.until is not None
    assert (ending.until.hour, ending.until.minute) == (22, 0)
    assert company.run(plan).waves[1].status is WaveStatus.GATED
    company.clock.advance(ending.until - company.clock.now())
    assert company.promote(plan).kind is EndingKind.SUCCEEDED


def test_a_client_added_or_changed_during_a_run_never_changes_the_running_plan(tmp_path: Path) -> None:
    company = Company(tmp_path)
    company.build("1.0.0")
    plan = company.plan("1.0.0")
    company.promote(plan, wave=1)
    company.fleet = with_window(a_fleet(9), "c3", "c4")
    assert company.promote(plan).kind is EndingKind.SUCCEEDED
    assert sorted(company.deployments("1.0.0")) == sorted(str(target.id) for target in plan.targets)


# --- approvals -------------------------------------------------------------------------------------


def approve(company: Company, plan: Plan, subject: str, by: str) -> None:
    given = e.ApprovalGiven(
        subject=subject, plan=plan_digest(plan), by=by, expires=company.clock.now() + 24 * HOUR
    )
    stream = e.release_stream(plan.release)
    head = company.journal.head(stream)
    company.journal.append(stream, (given,), expected=head.seq, fence=head.fence, actor=by)


def test_a_wave_that_wants_an_approval_starts_only_with_that_of_somebody_else(tmp_path: Path) -> None:
    company = Company(tmp_path)
    company.actor = "aws-user:111111111111/ann"
    company.policy = replace(POLICY, approvals=(2,))
    company.build("1.0.0")
    plan = company.plan("1.0.0")
    assert company.promote(plan).kind is EndingKind.AWAITING_APPROVAL
    before = len(company.cloud.history)
    approve(company, plan, "wave:2", company.actor)
    assert company.promote(plan).kind is EndingKind.AWAITING_APPROVAL
    assert len(company.cloud.history) == before
    approve(company, plan, "wave:2", "aws-user:111111111111/bob")
    assert company.promote(plan).kind is EndingKind.SUCCEEDED


def test_a_command_that_was_to_go_as_far_as_one_wave_waits_for_nothing_behind_it(tmp_path: Path) -> None:
    company = Company(tmp_path, fleet=with_window(a_fleet(6), "c2", "c3", "c4", "c5", "c6"))
    company.policy = replace(POLICY, approvals=(2,))
    company.build("1.0.0")
    plan = company.plan("1.0.0")
    began = company.clock.now()
    assert company.promote(plan, wave=0).kind is EndingKind.WAVE_PASSED
    assert company.clock.now() - began < HOUR
    assert company.promote(plan, wave=1).kind is EndingKind.WAVE_PASSED
    assert company.run(plan).waves[2].status is WaveStatus.PENDING


# --- the judge -------------------------------------------------------------------------------------


def judged_company(tmp_path: Path, clients: int = 24) -> Company:
    """A company whose clients all run 1.0.0, and whose canary of 1.1.0 is judged by its errors."""
    company = Company(tmp_path, fleet=a_fleet(clients))
    company.build("1.0.0")
    assert company.promote(company.plan("1.0.0")).kind is EndingKind.SUCCEEDED
    company.policy = replace(
        POLICY,
        canary=replace(POLICY.canary, clients=3, bake=6 * HOUR, min_requests=100),
        judge=JudgePolicy(metrics=(ERRORS,)),
    )
    company.build("1.1.0")
    return company


def test_a_canary_with_good_numbers_passes_and_its_evidence_is_kept(tmp_path: Path) -> None:
    company = judged_company(tmp_path)
    plan = company.plan("1.1.0")
    assert company.promote(plan).kind is EndingKind.SUCCEEDED
    looks = [look for look in said(company, plan, e.WaveJudged) if isinstance(look, e.WaveJudged)]
    assert [look.look for look in looks] == [1, 2, 3]
    assert looks[-1].verdict is e.Verdict.PASS
    assert all(company.artifacts.get(look.evidence) for look in looks)


def test_a_canary_with_bad_numbers_is_rolled_back_although_every_alarm_is_silent(tmp_path: Path) -> None:
    company = judged_company(tmp_path)
    plan = company.plan("1.1.0")
    company.metrics.order(Trouble(metric="errors", factor=6.0, release="intake@1.1.0"))
    ending = company.promote(plan)
    assert ending.kind is EndingKind.ROLLED_BACK
    assert set(company.runs().values()) == {"1.0.0"}
    assert company.run(plan).waves[1].looks[-1].verdict is e.Verdict.FAIL


def test_when_the_whole_fleet_moves_the_run_freezes_and_blames_nobody(tmp_path: Path) -> None:
    company = judged_company(tmp_path)
    plan = company.plan("1.1.0")
    company.promote(plan, wave=0)
    company.metrics.order(Trouble(metric="errors", factor=6.0, since=company.clock.now()))
    ending = company.promote(plan)
    assert ending.kind is EndingKind.PAUSED
    run = company.run(plan)
    assert (run.run, run.waves[1].status) == (Run.PAUSED, WaveStatus.INCONCLUSIVE)
    assert run.waves[1].looks[-1].verdict is e.Verdict.FLEET_EVENT
    assert company.phases(plan)[str(plan.waves[1].targets[0])] == "HEALTHY"


def test_a_canary_without_requests_never_passes_by_waiting(tmp_path: Path) -> None:
    company = judged_company(tmp_path)
    for client in company.fleet.clients:
        assert client.account is not None
        company.metrics.serves(client.account, 0)
    plan = company.plan("1.1.0")
    began = company.clock.now()
    assert company.promote(plan).kind is EndingKind.PAUSED
    assert company.clock.now() - began > 12 * HOUR
    assert len(said(company, plan, e.BakeExtended)) == 1
    company.clock.advance(3 * 24 * HOUR)
    assert company.promote(plan).kind is EndingKind.PAUSED
    company.clock.advance(7 * 24 * HOUR)
    assert company.promote(plan).kind is EndingKind.HALTED


@pytest.mark.parametrize("clients", [6])
def test_a_cohort_that_statistics_cannot_fail_is_said_aloud_and_left_to_a_person(
    tmp_path: Path, clients: int
) -> None:
    company = judged_company(tmp_path, clients)
    plan = company.plan("1.1.0")
    assert company.promote(plan).kind is EndingKind.PAUSED
    assert "statistics cannot fail this cohort" in company.run(plan).paused_because


def test_whom_preflight_passed_over_is_skipped_with_its_reason_and_the_wave_goes_on(tmp_path: Path) -> None:
    company = Company(tmp_path)
    company.build("1.0.0")
    plan = company.plan("1.0.0")
    left = plan.waves[-1].targets[0]
    company.passed_over = (e.PassedOver(target=left, reason="account 5 is suspended"),)
    assert company.promote(plan).kind is EndingKind.SUCCEEDED
    assert company.phases(plan)[str(left)] == "SKIPPED"
    assert company.runs()[str(left)] == ""
