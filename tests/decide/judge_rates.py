"""How often the judge is wrong, by simulation: `python -m tests.decide.judge_rates [--runs N] [--seed N]`.

It draws whole fleets by the model that docs/judge.md tells, asks the judge of `pipeline.decide.judge` at every
registered look, and counts what it says. The judge sees counts only, never the model. A small version runs in the
suite; the table of the documentation is what this prints.
"""

from __future__ import annotations

import argparse
import math
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from pipeline.decide.judge import judge
from pipeline.model.ids import AccountId
from pipeline.model.judgement import AccountEvidence, CohortEvidence, MetricEvidence, Role, Sample
from pipeline.model.judging import JudgePolicy, MetricKind, MetricSpec
from pipeline.model.target_event import Verdict

__all__ = ["COLUMNS", "SIZES", "Scene", "World", "a_cohort", "rates", "table"]

ERRORS = MetricSpec(name="errors", kind=MetricKind.RATE, namespace="AWS/Lambda", errors="Errors")
LATENCY = MetricSpec(
    name="latency", kind=MetricKind.LATENCY, namespace="AWS/Lambda", level="Duration", quantile="p99"
)
START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
SIZES = ((1, 20), (1, 120), (2, 20), (3, 6), (3, 10), (3, 20), (3, 40), (5, 40))


@dataclass(frozen=True)
class World:
    """The fleet. requests: the median account's in an hour; traffic, level: how different accounts are, drift: how
    far an account wanders against its own history, all as standard deviations of the logarithm."""

    requests: float = 2000
    traffic: float = 1.2
    rate: float = 0.005
    level: float = 0.6
    drift: float = 0.15
    weeks: int = 4
    lowest: bool = False
    """the canaries are the accounts with the least traffic instead of a random draw"""


@dataclass(frozen=True)
class Scene:
    """release: what the new version makes of the canaries' errors; fleet: what an incident makes of everybody's;
    single: what the release makes of one canary account alone."""

    name: str
    release: float = 1.0
    fleet: float = 1.0
    single: float = 1.0
    world: World = World()


COLUMNS = (
    Scene("no change"),
    Scene("no change, lowest traffic", world=World(lowest=True)),
    Scene("no change, drift 0.4", world=World(drift=0.4)),
    Scene("fleet-wide 2x", fleet=2),
    Scene("fleet-wide 3x", fleet=3),
    Scene("release 2x", release=2),
    Scene("release 3x", release=3),
    Scene("release 5x", release=5),
    Scene("one account 10x", single=10),
)


def poisson(mean: float, rng: random.Random) -> int:
    if mean > 60:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    limit, count, product = math.exp(-mean), 0, rng.random()
    while product > limit:
        count, product = count + 1, product * rng.random()
    return count


def a_cohort(
    canaries: int,
    controls: int,
    scene: Scene,
    rng: random.Random,
    *,
    spec: MetricSpec = ERRORS,
    policy: JudgePolicy | None = None,
) -> tuple[CohortEvidence, ...]:
    """What the judge is shown at each registered look: the window grows with the bake, an hour in all."""
    world = scene.world
    policy = policy or JudgePolicy(metrics=(spec,))
    traffics = [world.requests * math.exp(rng.gauss(0, world.traffic)) for _ in range(canaries + controls)]
    if world.lowest:
        traffics.sort()
    shares = [look / policy.looks for look in range(1, policy.looks + 1)]
    rows = []
    for number, traffic in enumerate(traffics):
        role = Role.CANARY if number < canaries else Role.CONTROL
        worse = scene.fleet
        if role is Role.CANARY:
            worse *= scene.release * (scene.single if number == 0 else 1.0)
        rows.append((number, role, _samples(traffic, worse, shares, spec, world, rng)))
    seed = rng.getrandbits(48)
    return tuple(
        CohortEvidence(
            release="intake@1.1.0",
            wave=1,
            look=look,
            seed=seed,
            randomised=not world.lowest,
            since=START,
            until=START + timedelta(hours=1) * shares[look - 1],
            policy=policy,
            accounts=tuple(
                AccountEvidence(
                    account=AccountId(f"{number:012d}"),
                    client=f"c{number}",
                    role=role,
                    metrics=(
                        MetricEvidence(metric=spec.name, now=nows[look - 1], history=histories[look - 1]),
                    ),
                )
                for number, role, (nows, histories) in rows
            ),
        )
        for look in range(1, policy.looks + 1)
    )


def _samples(
    traffic: float,
    worse: float,
    shares: Sequence[float],
    spec: MetricSpec,
    world: World,
    rng: random.Random,
) -> tuple[list[Sample], list[tuple[Sample, ...]]]:
    base = math.exp(rng.gauss(0, world.level))
    now = _growing(traffic, base * worse * math.exp(rng.gauss(0, world.drift)), shares, spec, world, rng)
    weeks = [
        _growing(traffic, base * math.exp(rng.gauss(0, world.drift)), shares, spec, world, rng)
        for _ in range(world.weeks)
    ]
    return now, [tuple(week[look] for week in weeks) for look in range(len(shares))]


def _growing(
    traffic: float, factor: float, shares: Sequence[float], spec: MetricSpec, world: World, rng: random.Random
) -> list[Sample]:
    """Cumulated over the looks. A latency's quantile wanders as that of so many log-normal requests does."""
    found, requests, errors, before = list[Sample](), 0, 0, 0.0
    for share in shares:
        part, before = share - before, share
        arrived = poisson(traffic * part, rng)
        requests += arrived
        errors += min(arrived, poisson(arrived * min(1.0, world.rate * factor), rng))
        spread = math.sqrt(14 / max(1, requests)) * 0.7
        level = round(200_000_000 * factor * math.exp(rng.gauss(0, spread)))
        if spec.kind is MetricKind.LATENCY:
            found.append(Sample(requests=requests, level=level))
        else:
            found.append(Sample(requests=requests, errors=errors))
    return found


def outcome(looks: Sequence[CohortEvidence]) -> Verdict:
    """What the engine would end with: the first FAIL or FLEET_EVENT, else what the last look says."""
    verdict = Verdict.NO_DATA
    for evidence in looks:
        verdict = judge(evidence).verdict
        if verdict in (Verdict.FAIL, Verdict.FLEET_EVENT):
            return verdict
    return verdict


def rates(
    canaries: int,
    controls: int,
    scene: Scene,
    *,
    runs: int,
    seed: int = 1,
    spec: MetricSpec = ERRORS,
    policy: JudgePolicy | None = None,
) -> Counter[Verdict]:
    rng = random.Random(f"{seed}/{canaries}/{controls}/{scene.name}/{spec.name}")
    return Counter(
        outcome(a_cohort(canaries, controls, scene, rng, spec=spec, policy=policy)) for _ in range(runs)
    )


def _cell(found: Counter[Verdict], runs: int) -> str:
    shares = (found[v] / runs for v in (Verdict.FAIL, Verdict.FLEET_EVENT, Verdict.PASS))
    return " / ".join(f"{share:.3f}".lstrip("0") if share < 1 else "1.0" for share in shares)


def table(
    sizes: Sequence[tuple[int, int]], scenes: Sequence[Scene], *, runs: int, seed: int, spec: MetricSpec
) -> Iterator[str]:
    """Lines of Markdown, each as soon as it is known."""
    head = ["canaries, controls", *(scene.name for scene in scenes)]
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for canaries, controls in sizes:
        cells = [_cell(rates(canaries, controls, s, runs=runs, seed=seed, spec=spec), runs) for s in scenes]
        yield "| " + " | ".join([f"{canaries}, {controls}", *cells]) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--metric", choices=("errors", "latency"), default="errors")
    parser.add_argument("--sizes", default="")
    parser.add_argument("--scenes", default="")
    parser.add_argument("--allowed", type=int, default=200)
    parser.add_argument("--requests", type=float, default=2000)
    given = parser.parse_args()
    spec = replace(ERRORS if given.metric == "errors" else LATENCY, allowed_percent=given.allowed)
    pairs = [size.partition(",") for size in given.sizes.split()]
    sizes = [(int(canaries), int(controls)) for canaries, _, controls in pairs] or SIZES
    wanted = given.scenes.split(";") if given.scenes else [s.name for s in COLUMNS]
    scenes = [
        replace(s, world=replace(s.world, requests=given.requests)) for s in COLUMNS if s.name in wanted
    ]
    told = f"{given.metric}, {given.runs} runs a cell, seed {given.seed}"
    print(f"{told}: FAIL / FLEET_EVENT / PASS; the rest is not decided")
    for line in table(sizes, scenes, runs=given.runs, seed=given.seed, spec=spec):
        print(line, flush=True)


if __name__ == "__main__":
    main()
