"""The bugs that are planted: what the source says, what it says instead, and which family has to notice.

Each is a mistake that somebody has made, or could make on a Friday. Snippets are exact, so that a change of the
source makes its bug be looked at again.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BUGS", "Bug", "Edit"]


@dataclass(frozen=True, slots=True)
class Edit:
    path: str
    original: str
    mutated: str


@dataclass(frozen=True, slots=True)
class Bug:
    """cases: how many of the family's cases it may take."""

    name: str
    family: str
    cases: int
    edits: tuple[Edit, ...]


STEPS = "pipeline/decide/run_steps.py"
PACE = "pipeline/decide/pace.py"
LOOP = "pipeline/engine/loop.py"
CHANGE_SET = "pipeline/engine/change_set.py"
OUTCOME = "pipeline/engine/outcome.py"
TARGET = "pipeline/model/target_state.py"
BACK = "pipeline/decide/rollback.py"

BUGS = (
    Bug(
        "a bake that is a second too short",
        "A",
        40,
        (
            Edit(
                STEPS,
                "until=now + (wave.bake if healthy",
                "until=now - timedelta(seconds=1) + (wave.bake if healthy",
            ),
        ),
    ),
    Bug(
        "a bake that ends before its time",
        "A",
        40,
        (
            Edit(
                STEPS,
                "    if now >= until:\n        return Record(e.WaveJudging",
                "    if now >= until - timedelta(seconds=2):\n        return Record(e.WaveJudging",
            ),
        ),
    ),
    Bug(
        "only the first page of a change set is read",
        "L",
        250,
        (
            Edit(
                "pipeline/adapters/aws/change_sets.py",
                '            rows += page.get("Changes") or ()\n',
                '            rows += page.get("Changes") or ()\n            break\n',
            ),
        ),
    ),
    Bug(
        "INSUFFICIENT_DATA taken for OK",
        "J",
        120,
        (
            Edit(
                "pipeline/engine/watch.py",
                "    if unread:\n        return e.Verdict.NO_DATA",
                "    if unread and not readings:\n        return e.Verdict.NO_DATA",
            ),
        ),
    ),
    Bug(
        "a lease without a fence",
        "E",
        200,
        (
            Edit(
                OUTCOME, "    if current is None or current.fence != runner.fence:", "    if current is None:"
            ),
        ),
    ),
    Bug(
        "back to whatever was deployed last, not to what was good",
        "A",
        400,
        (
            Edit(
                TARGET,
                "phase=Phase.HEALTHY, observed=state.release, reason=reason, fault=None)",
                "phase=Phase.HEALTHY, observed=state.release, goods=_good(state).goods, fault=None)",
            ),
        ),
    ),
    Bug(
        "a tolerance off by one",
        "A",
        200,
        (
            Edit(
                STEPS,
                "    if len(failed) > wave.tolerance:\n        return _told(",
                "    if len(failed) > wave.tolerance + 1:\n        return _told(",
            ),
        ),
    ),
    Bug(
        "a halt that is read once per wave",
        "A",
        200,
        (
            Edit(OUTCOME, "        halt = world.latch.read(job.release)\n", "        halt = None\n"),
            Edit(
                LOOP,
                "        if run.run in ENDED or run.run in (Run.HALTED, Run.ROLLING_BACK):\n",
                "        deploying = any(wave.claimed and wave.bake_until is None for wave in run.waves)\n"
                "        if deploying or run.run in ENDED or run.run in (Run.HALTED, Run.ROLLING_BACK):\n",
            ),
        ),
    ),
    Bug(
        "a lost answer is retried blindly",
        "A",
        300,
        (
            Edit(
                "pipeline/engine/looking.py",
                "        if executed is None:\n",
                "        executed = False\n        if executed is None:\n",
            ),
        ),
    ),
    Bug(
        "the fence is read before the change set exists, and not again",
        "A",
        30,
        (
            Edit(
                CHANGE_SET,
                "    stopped = halted(world, runner, job)\n"
                "    if stopped is not None:\n"
                "        drop_change_set(world, runner, job)\n"
                "        return stopped\n",
                "",
            ),
        ),
    ),
    Bug(
        "SKIPPED counted as healthy",
        "K",
        60,
        (
            Edit(
                PACE,
                "healthy_so_far=sum(1 for t in targets.values() if t.phase is Phase.HEALTHY)",
                "healthy_so_far=sum(1 for t in targets.values() if t.phase in (Phase.HEALTHY, Phase.SKIPPED))",
            ),
        ),
    ),
    Bug(
        "the ending of the operation before taken for ours",
        "B",
        200,
        (
            Edit(
                "pipeline/engine/following.py",
                "    return snapshot.mark == steps.mark_of(wanted) and same\n",
                "    return same or snapshot.mark == steps.mark_of(wanted)\n",
            ),
        ),
    ),
    Bug(
        "a canary that goes all at once",
        "A",
        100,
        (
            Edit(
                PACE,
                "    if wave.kind in (WaveKind.SERVICE, WaveKind.CANARY):\n"
                "        return max(0, 1 - failed - in_flight)",
                "    if wave.kind is WaveKind.CANARY:\n        return max(0, 9 - in_flight)",
            ),
        ),
    ),
    Bug(
        "the latch is read after the call",
        "A",
        300,
        (
            Edit(
                CHANGE_SET,
                "    stopped = halted(world, runner, job)\n"
                "    if stopped is not None:\n"
                "        drop_change_set(world, runner, job)\n"
                "        return stopped\n"
                "    try:\n"
                "        world.stacks.execute_change_set(job.place, action.stack_id, action.change_set, action.id)\n"
                "    except ExecutionTokenUsed:\n"
                "        return Said((e.ExecutionStarted(),))\n",
                "    try:\n"
                "        world.stacks.execute_change_set(job.place, action.stack_id, action.change_set, action.id)\n"
                "    except ExecutionTokenUsed:\n"
                "        return Said((e.ExecutionStarted(),))\n"
                "    stopped = halted(world, runner, job)\n"
                "    if stopped is not None:\n"
                "        drop_change_set(world, runner, job)\n"
                "        return stopped\n",
            ),
        ),
    ),
    Bug(
        "the oldest exposure goes back first",
        "A",
        400,
        (
            Edit(
                BACK,
                "    for number in sorted(order.waves, reverse=True):",
                "    for number in sorted(order.waves):",
            ),
        ),
    ),
    Bug(
        "the service goes back below its clients",
        "M",
        60,
        (
            Edit(BACK, "    return not _no_client_left(plan, targets)\n", "    return False\n"),
            Edit(
                BACK,
                "    for number in sorted(order.waves, reverse=True):",
                "    for number in sorted(order.waves):",
            ),
        ),
    ),
    Bug(
        "a wave is started unverified",
        "A",
        40,
        (
            Edit(
                LOOP,
                "        if wave not in self.verified:\n",
                "        if wave not in self.verified and wave > 99:\n",
            ),
        ),
    ),
    Bug(
        "the intent is written after the call",
        "A",
        40,
        (
            Edit(
                "pipeline/engine/tick.py",
                "            if intent is not None:\n"
                "                state = ledger.say(target.id, (intent,))\n"
                "            outcome = perform(world, runner, job_of(plan, target, state), action)\n",
                "            if intent is not None and not isinstance(intent, e.ExecutionIntended):\n"
                "                state = ledger.say(target.id, (intent,))\n"
                "            outcome = perform(world, runner, job_of(plan, target, state), action)\n"
                "            if isinstance(intent, e.ExecutionIntended):\n"
                "                state = ledger.say(target.id, (intent,))\n",
            ),
        ),
    ),
    Bug(
        "a conditional replacement is taken for none",
        "L",
        480,
        (
            Edit(
                "pipeline/decide/guard.py",
                '        case "True" | "Conditional":\n'
                '            yield from _replacement(change)\n        case "False":\n',
                '        case "True":\n'
                '            yield from _replacement(change)\n        case "False" | "Conditional":\n',
            ),
        ),
    ),
    Bug(
        "two Regions of one client at once",
        "A",
        400,
        (Edit(PACE, "        if target.owner not in busy and opens_at", "        if opens_at"),),
    ),
)
