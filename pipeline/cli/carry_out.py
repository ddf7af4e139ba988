"""Floor 5, carrying out: what promote and rollback share: signals, the ending as text or JSON, the exit code."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import typer

from pipeline.cli.console import result, result_json, tell
from pipeline.compose import House, ask_to_stop
from pipeline.model.ending import Ending, EndingKind
from pipeline.model.ids import TargetId
from pipeline.model.plan import Plan
from pipeline.model.target_state import Phase, TargetState
from pipeline.views.status import status_json
from stages.promote import error_of, read_run, read_targets

__all__ = ["Signals", "conclude", "stopping"]


_PUT_BACK = frozenset({EndingKind.ROLLED_BACK, EndingKind.SUCCEEDED, EndingKind.HALTED, EndingKind.PAUSED})
"""How a run may end once an ordered rollback has come out well: a single target's leaves the run as it was."""


class Signals:
    """Which signal came, if any: the exit code is 128 and its number."""

    def __init__(self) -> None:
        self.came: int = 0

    def __call__(self, number: int, _frame: object) -> None:
        if self.came:
            raise KeyboardInterrupt
        self.came = number
        tell("stopping at a clean checkpoint; a second signal stops at once")
        ask_to_stop()


@contextmanager
def stopping() -> Iterator[Signals]:
    """The first SIGINT or SIGTERM lets the calls under way finish and be written down."""
    signals = Signals()
    before = {number: signal.signal(number, signals) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield signals
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def conclude(
    house: House,
    plan: Plan,
    ending: Ending,
    signals: Signals,
    *,
    as_json: bool = False,
    quiet: bool = False,
    ordered: bool = False,
) -> None:
    """Tell the ending and leave with its exit code. ordered: a rollback that somebody asked for is no failure."""
    journal = house.store.journal
    run, targets = read_run(journal, plan.release), read_targets(journal, plan)
    if as_json:
        result_json(status_json(plan.release, plan, run, targets, house.clock.now()))
    if ending.kind is EndingKind.INTERRUPTED:
        tell(ending.reason)
        raise typer.Exit(128 + signals.came)
    if ordered and ending.kind in _PUT_BACK:
        _say(as_json or quiet, _rolled_back(plan, targets))
        return
    error = error_of(plan, ending, run, targets)
    if error is not None:
        raise error
    if ending.kind is EndingKind.BAKING and ending.until is not None:
        wave = plan.waves[run.current_wave].name if run.current_wave is not None else "what was hurried"
        moment = f"{ending.until:%Y-%m-%d %H:%M:%S} UTC"
        _say(
            as_json or quiet,
            f"{wave} is baking until {moment}\n\nnext, from then on: release promote {plan.release}",
        )
    elif ending.kind is EndingKind.WAITING and ending.until is not None:
        moment = f"{ending.until:%Y-%m-%d %H:%M:%S} UTC"
        _say(
            as_json or quiet,
            f"{ending.reason}, the first until {moment}\n\nnext, from then on: release promote {plan.release}",
        )
    elif ending.kind is EndingKind.WAVE_PASSED:
        _say(
            as_json or quiet,
            f"{plan.release} is as far as was asked for\n\nnext: release promote {plan.release}",
        )
    else:
        _say(
            as_json or quiet,
            f"{_reached(plan, targets)}\n\nnext: release fleet --live",
        )


def _reached(plan: Plan, targets: Mapping[TargetId, TargetState]) -> str:
    without = sum(1 for state in targets.values() if state.phase is not Phase.HEALTHY)
    if not without:
        return f"{plan.release} has reached every target of its plan"
    return (
        f"{plan.release} has reached {len(targets) - without} of {len(targets)} targets; see `release status`"
    )


def _rolled_back(plan: Plan, targets: Mapping[TargetId, TargetState]) -> str:
    restored = sum(1 for state in targets.values() if state.phase is Phase.ROLLED_BACK)
    count = "1 target is" if restored == 1 else f"{restored} targets are"
    done = f"{count} off it" if restored else "no target had to be put back"
    return f"{plan.release} was rolled back: {done}\n\nnext: release status {plan.release}"


def _say(silent: bool, text: str) -> None:
    if not silent:
        result(text)
