"""Floor 3, the stage in which a person says wait, or decides what the judge could not tell.

Each is a word in the release's own journal, said beside a runner that may be at work: see `stages.beside`. A pause
starts nothing and undoes nothing; what is in flight runs to its end, and a bake goes on collecting.
"""

from __future__ import annotations

from pipeline.errors import IntegrityBroken, ReleasePaused, UsageError
from pipeline.model import event as e
from pipeline.model.ids import Digest, ReleaseName
from pipeline.model.plan import Plan
from pipeline.model.run_state import ENDED, Run, RunState, WaveStatus
from pipeline.ports import Clock, Journal, Latch
from stages.beside import say_beside

__all__ = ["decide_wave", "pause", "resume_pause", "undecided_wave"]


def pause(plan: Plan, reason: str, actor: str, journal: Journal, latch: Latch, clock: Clock) -> RunState:
    """Stop starting anything until somebody resumes; after the plan's waiting deadline it becomes a halt.

    To pause what is paused by a person changes nothing. UsageError where nothing is under way.
    """

    def say(run: RunState) -> tuple[e.ReleaseEvent, ...]:
        if run.run is Run.PAUSED:
            return ()
        _refuse_unless_under_way(plan.release, run, latch)
        deadline = clock.now() + plan.waiting_deadline
        return (e.RunPaused(reason=reason, by=actor, deadline=deadline),)

    return say_beside(journal, plan.release, say, actor)


def _refuse_unless_under_way(release: ReleaseName, run: RunState, latch: Latch) -> None:
    halt = latch.read(str(release))
    if run.run in (Run.PLANNED, Run.RUNNING) and halt is None:
        return
    if run.run is Run.ROLLING_BACK:
        problem = f"{release} is being rolled back, and a rollback is not paused half-way"
    elif run.run is Run.HALTED or (halt is not None and run.run not in ENDED):
        problem = f"{release} is halted already: {run.halted_because or (halt.reason if halt else '')}"
    else:
        problem = f"{release} is not under way: it is {run.run}"
    raise UsageError(problem, state="nothing was changed", remedy=f"see `release status {release}`")


def undecided_wave(run: RunState) -> int | None:
    """The place of the wave that waits for a person because the judge could not tell; None where none does."""
    for number, wave in enumerate(run.waves):
        if wave.status is WaveStatus.INCONCLUSIVE:
            return number
    return None


def resume_pause(plan: Plan, reason: str, actor: str, journal: Journal) -> RunState:
    """End a pause. ReleasePaused where the judge could not tell: that is for `decide_wave`, with its evidence."""

    def say(run: RunState) -> tuple[e.ReleaseEvent, ...]:
        number = undecided_wave(run)
        if number is not None:
            raise _undecided(plan, number, run, journal)
        if run.run is not Run.PAUSED:
            raise UsageError(
                f"{plan.release} is not paused: it is {run.run}",
                state="nothing was changed",
                remedy=f"see `release status {plan.release}`",
            )
        return (e.RunResumed(reason=reason),)

    return say_beside(journal, plan.release, say, actor)


def decide_wave(plan: Plan, reason: str, shown: str, actor: str, journal: Journal) -> RunState:
    """A person lets an inconclusive wave pass: this wave, this once, on the evidence that was shown.

    shown: the digest of that evidence, or its first 12 or more digits. ReleasePaused where none is named,
    IntegrityBroken where it is not the evidence at hand by now, UsageError where no wave waits for a decision.
    """

    def say(run: RunState) -> tuple[e.ReleaseEvent, ...]:
        number = undecided_wave(run)
        if number is None:
            raise UsageError(
                f"no wave of {plan.release} waits for a decision: it is {run.run}",
                state="nothing was decided",
                remedy=f"see `release status {plan.release}`; without --evidence, resume ends a pause or a halt",
            )
        if run.run is not Run.PAUSED:
            if run.run in ENDED:
                raise UsageError(
                    f"{plan.release} is {run.run}: nothing of it waits for a decision any more",
                    state="nothing was decided",
                    remedy=f"a new plan (`release plan {plan.release} -o plan.json`) starts it anew",
                )
            raise UsageError(
                f"{plan.release} is {run.run}, and that comes first",
                state="nothing was decided",
                remedy=f"`release resume {plan.release} --reason …` without --evidence, then this command again",
            )
        evidence = _evidence(journal, plan.release, number)
        if evidence is not None:
            _check_shown(plan, number, run, evidence, shown, journal)
        return (e.WaveDecided(wave=number, reason=reason, evidence=evidence),)

    return say_beside(journal, plan.release, say, actor)


def _check_shown(
    plan: Plan, number: int, run: RunState, evidence: Digest, shown: str, journal: Journal
) -> None:
    wanted = evidence.removeprefix("sha256:")
    named = shown.removeprefix("sha256:").lower()
    if not named:
        raise _undecided(plan, number, run, journal)
    if len(named) < 12 or not wanted.startswith(named):
        raise IntegrityBroken(
            f"the evidence of {plan.waves[number].name} is {wanted[:12]}, and --evidence says {named[:64]}",
            state="nothing was decided",
            remedy=f"look at it: `release explain {plan.release}`; then name the evidence you have seen",
        )


def _undecided(plan: Plan, number: int, run: RunState, journal: Journal) -> ReleasePaused:
    evidence = _evidence(journal, plan.release, number)
    named = f" --evidence {evidence.removeprefix('sha256:')[:12]}" if evidence is not None else ""
    return ReleasePaused(
        f"{plan.waves[number].name} of {plan.release} is neither proven good nor bad: {run.waves[number].reason}",
        state="nothing was decided; a decision counts for this wave and this evidence only",
        remedy=f"see `release explain {plan.release}`; then `release resume {plan.release}{named} --reason …`"
        f" or `release rollback {plan.release} --wave {plan.waves[number].number} --reason …`",
    )


def _evidence(journal: Journal, release: ReleaseName, number: int) -> Digest | None:
    """What the person was shown: the evidence that stands with the newest inconclusive look at this wave."""
    found = [
        entry.event.evidence
        for entry in journal.read(e.release_stream(release))
        if isinstance(entry.event, e.WaveInconclusive) and entry.event.wave == number
    ]
    return found[-1] if found else None
