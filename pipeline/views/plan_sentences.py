"""Floor 2, views: what a plan says of its canary, of who is held back, of who lags, and of what to know first. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from pipeline.model.fleet import Freeze, Window
from pipeline.model.ids import TargetId
from pipeline.model.plan import CanaryDraw, Plan, PlannedTarget, TargetEta
from pipeline.views.text import WIDTH, count, cut, listed, plain

__all__ = [
    "canary_lines",
    "draw_sentence",
    "expectations",
    "expected_end",
    "held_lines",
    "lag_lines",
    "minute",
    "note_lines",
    "when_open",
]

_MOST = 8
"""lines of one kind"""


def minute(at: datetime) -> str:
    """Estimates are not told to the second."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}Z"


# --- when -----------------------------------------------------------------------------------------


def expectations(plan: Plan) -> dict[int, tuple[datetime, datetime]]:
    """(first start, last finish) of each wave, by its place in the plan; waves in which nobody is expected are left
    out."""
    found: dict[int, tuple[datetime, datetime]] = {}
    for eta in plan.etas:
        start, finish = found.get(eta.wave, (eta.start, eta.finish))
        found[eta.wave] = min(start, eta.start), max(finish, eta.finish)
    return found


def expected_end(plan: Plan) -> datetime | None:
    """When the last wave has baked; None where nobody is expected."""
    ends = [finish + plan.waves[place].bake for place, (_, finish) in expectations(plan).items()]
    return max(ends, default=None)


def held_lines(plan: Plan) -> list[str]:
    """Freezes, and who is expected later than its own wave."""
    lines = [f"  {_frozen(freeze)}" for freeze in _freezes(plan)]
    late = _late(plan)
    lines += [
        f"  {target.id} is expected at {minute(eta.start)} with {plan.waves[eta.wave].name} ({when_open(target)})"
        for target, eta in late[:_MOST]
    ]
    if len(late) > _MOST:
        lines.append(f"  … and {len(late) - _MOST} more: release plan {plan.release} --json")
    many = count(len(late), "target") + (" goes" if len(late) == 1 else " go")
    head = f"held back: {many} later than the others of the wave" if late else "freezes:"
    return [head, *(cut(line, WIDTH) for line in lines)] if lines else []


def _late(plan: Plan) -> list[tuple[PlannedTarget, TargetEta]]:
    waves = {target: place for place, wave in enumerate(plan.waves) for target in wave.targets}
    etas = {eta.id: eta for eta in plan.etas}
    return [
        (target, etas[target.id])
        for target in plan.targets
        if target.id in etas and etas[target.id].wave != waves[target.id]
    ]


def _freezes(plan: Plan) -> list[Freeze]:
    found = dict.fromkeys(freeze for target in plan.targets for freeze in target.freezes)
    return sorted(found, key=lambda freeze: (freeze.start, freeze.end, freeze.scope))


def _frozen(freeze: Freeze) -> str:
    return (
        f"{freeze.scope} is frozen from {minute(freeze.start)} until {minute(freeze.end)}:"
        f" {plain(freeze.reason)}"
    )


def when_open(target: PlannedTarget) -> str:
    """Why a target may be late, in a few words; empty where it never is."""
    parts = [_window(target.window)] if target.window else []
    parts += [f"frozen: {plain(freeze.reason)}" for freeze in target.freezes]
    return "; ".join(parts)


def _window(window: Window) -> str:
    return f"{' '.join(window.days)} {window.start} to {window.end} {window.timezone}"


# --- who ------------------------------------------------------------------------------------------


def draw_sentence(draw: CanaryDraw) -> str:
    """How the canary was found, in one sentence."""
    pool = sum(len(stratum.clients) for stratum in draw.strata)
    clients = f"{len(draw.canaries)} of {count(pool, 'client')}"
    if draw.randomised:
        return f"canary: {clients} drawn by lot inside strata, at draw {draw.attempts}"
    if all(len(stratum.canaries) in (0, len(stratum.clients)) for stratum in draw.strata):
        return f"canary: {clients}; nothing was left to lot"
    return f"canary: {clients} chosen, because no draw by lot covered as much"


def canary_lines(plan: Plan) -> list[str]:
    """Who was drawn from whom, and what they do not stand for."""
    if plan.draw is None:
        return []
    lines = [draw_sentence(plan.draw)]
    taken = [stratum for stratum in plan.draw.strata if stratum.canaries]
    lines += [
        f"  {stratum.name}: {listed(stratum.canaries, 6)} of {len(stratum.clients)}"
        for stratum in taken[:_MOST]
    ]
    if len(taken) > _MOST:
        lines.append(f"  … and {len(taken) - _MOST} more strata")
    lines += [f"  not covered: {plain(sentence)}" for sentence in plan.draw.uncovered[:_MOST]]
    if len(plan.draw.uncovered) > _MOST:
        lines.append(f"  … and {len(plan.draw.uncovered) - _MOST} more")
    return [cut(line, WIDTH) for line in lines]


def lag_lines(plan: Plan) -> list[str]:
    """Only who lags by more than the policy allows is named."""
    over = [skew for skew in plan.skew if skew.behind > plan.max_skew]
    if not over:
        return []
    skipped: dict[TargetId, str] = {skip.id: skip.reason for skip in plan.skipped}
    lines = [
        f"  {skew.id} runs {skew.running}, {count(skew.behind, 'release')} behind"
        + (f"; left out: {plain(skipped[skew.id])}" if skew.id in skipped else "")
        for skew in over[:_MOST]
    ]
    if len(over) > _MOST:
        lines.append(f"  … and {len(over) - _MOST} more")
    head = f"lagging: {count(len(over), 'target')} by more than {count(plan.max_skew, 'release')}"
    return [head, *(cut(line, WIDTH) for line in lines)]


def note_lines(plan: Plan) -> list[str]:
    notes = [f"note: {plain(note)}" for note in plan.notes]
    if not plan.rollback_safe:
        notes.insert(
            0, f"note: {plan.release} says that going back is not safe: a failure holds, for a person"
        )
    return [cut(note, 2 * WIDTH) for note in notes]
