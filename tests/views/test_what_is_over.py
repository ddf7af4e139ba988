"""What is over is not shown as if it still held: an approval that has expired, the pause of a run that gave way."""

from __future__ import annotations

from datetime import timedelta

from pipeline.model import event as e
from pipeline.model.run_state import fold_run
from pipeline.views.status import status_text
from tests.views.worlds import NOW, RELEASE, START, a_plan, entries, sha


def page(*events: e.ReleaseEvent) -> str:
    run = fold_run(entries("release/intake@1.2.0", e.PlanFixed(plan=sha(41), waves=4), *events))
    return status_text(RELEASE, a_plan(), run, {}, NOW)


def approved(expires: timedelta) -> str:
    return page(e.ApprovalGiven(subject="wave:2", plan=sha(41), by="sso:kim", expires=NOW + expires))


def test_an_approval_that_has_expired_is_not_told_as_one_that_holds() -> None:
    assert "  approved: wave:2 by sso:kim until" in approved(timedelta(seconds=1))
    assert "  approval expired: wave:2 by sso:kim, at" in approved(timedelta(0))
    assert "  approved:" not in approved(timedelta(0))


def test_a_run_that_gave_way_waits_for_nobody() -> None:
    paused = e.RunPaused(reason="lunch", by="sso:lee", deadline=START + timedelta(days=7))

    assert "waiting: lunch" in page(paused)
    assert "waiting:" not in page(paused, e.RunEnded(outcome=e.Outcome.SUPERSEDED))
