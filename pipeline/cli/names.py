"""Floor 5, names on the command line: texts a person typed, turned into what the model knows, or told otherwise."""

from __future__ import annotations

from datetime import datetime

from pipeline.errors import UsageError
from pipeline.model.ids import ReleaseName, TargetId
from pipeline.model.plan import Plan
from pipeline.model.run_state import ENDED, fold_run
from pipeline.ports import Journal

__all__ = ["a_reason", "a_release", "a_target", "newest_release", "the_plan_under_way"]


def a_release(text: str) -> ReleaseName:
    try:
        return ReleaseName.parse(text)
    except ValueError as fault:
        raise UsageError(str(fault), state="nothing was done", remedy="write SERVICE@VERSION") from None


def a_reason(text: str) -> str:
    if not text.strip():
        raise UsageError(
            "the reason is empty",
            state="nothing was done",
            remedy="say why in a few words: it stands in the journal",
        )
    return text.strip()


def a_target(text: str) -> TargetId:
    try:
        return TargetId.parse(text)
    except ValueError as fault:
        raise UsageError(str(fault), state="nothing was done", remedy="write CLIENT/REGION") from None


def the_plan_under_way(plan: Plan | None, release: ReleaseName) -> Plan:
    """The plan that a release is being, or was, promoted under. UsageError where there is none."""
    if plan is None:
        raise UsageError(
            f"{release} was never promoted",
            state="nothing was changed",
            remedy=f"run `release promote {release}`",
        )
    return plan


def newest_release(journal: Journal, service: str = "") -> ReleaseName | None:
    """The release that is under way or waits for somebody; else the one of which the journal spoke last.

    A build or a test of the next release must not hide the one that is halted. None in an empty journal.
    """

    def weight(stream: str) -> tuple[bool, datetime]:
        entries = journal.read(stream)
        run = fold_run(entries)
        return run.plan is not None and run.run not in ENDED, entries[-1].at

    newest = max(journal.streams(f"release/{service}@" if service else "release/"), key=weight, default=None)
    return ReleaseName.parse(newest.removeprefix("release/")) if newest else None
