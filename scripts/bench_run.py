"""The measured side of scripts/bench: one wave of N existing stacks, updated at full pace by the real engine."""

from __future__ import annotations

import argparse
import base64
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from pipeline.adapters.aws.alarms import CloudWatchAlarms
from pipeline.adapters.aws.metrics import CloudWatchMetrics
from pipeline.adapters.aws.protection import StackProtection
from pipeline.adapters.aws.reach import Reach
from pipeline.adapters.aws.resources import StackResources
from pipeline.adapters.aws.session import Aws, Identity
from pipeline.adapters.aws.smoke import LambdaSmoke
from pipeline.adapters.aws.stacks import CloudFormationStacks
from pipeline.adapters.http_health import HttpHealth
from pipeline.adapters.local.artifacts import FolderArtifacts
from pipeline.adapters.local.clock import SystemClock
from pipeline.adapters.local.store import LocalStore, open_store
from pipeline.compose.house import POOL_SIZE
from pipeline.engine.heartbeat import Heartbeat
from pipeline.engine.loop import Until, run_loop
from pipeline.engine.workers import ThreadWorkers
from pipeline.engine.world import LEASE_TTL, Runner, World
from pipeline.model import event as e
from pipeline.model.canonical import canonical, sha256_hex
from pipeline.model.ending import Ending
from pipeline.model.ids import AccountId, ReleaseName, TargetId, digest
from pipeline.model.plan import Deployable, EffectKind, Plan, PlannedTarget, Wave, WaveKind, plan_digest
from pipeline.model.policy import HealthPolicy, OnFail, Pace
from pipeline.model.stack import Mark, ResourceChange, effect_of
from pipeline.ports import Place

RELEASE = ReleaseName("bench", "1.1.0")
REGION = "us-east-1"
TOOLS = "222222222222"
CODE = sha256_hex(b"the zip of the bench")
MARK = Mark(release=str(RELEASE), digest=digest(sha256_hex(b"bench")), commit="1" * 40)
SERVICES = ("cloudformation", "cloudwatch", "lambda", "sts")
CALLS_PER_TARGET = 10
OTHER_THREADS = 4
"""The main thread, the heartbeat, the sampler, and one to spare."""
SETUP_CALLS = 2
"""GetCallerIdentity and the hop into the Tools account, once per run."""


@dataclass(frozen=True)
class Options:
    targets: int
    latency: float
    change_set: float
    stack: float
    json: bool


@dataclass(frozen=True)
class Measured:
    ending: Ending
    wall: float
    cpu: float
    threads: int
    memory_kb: int
    clients: tuple[tuple[str, str], ...]
    stats: dict[str, Any]


def template() -> bytes:
    """About 9 kB, with the mark in its output as a built template has it."""
    topics = {
        f"Topic{n}": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": f"topic {n} " + "x" * 400}}
        for n in range(17)
    }
    return canonical(
        {
            "AWSTemplateFormatVersion": "2010-09-09",
            "Parameters": {"Client": {"Type": "String"}},
            "Resources": topics,
            "Outputs": {"TidegateRelease": {"Value": MARK.text()}},
        }
    )


def make_plan(targets: int, now: Any) -> Plan:
    wanted = [_target(n) for n in range(1, targets + 1)]
    wave = Wave(
        name="wave-2",
        kind=WaveKind.WAVE,
        targets=tuple(target.id for target in wanted),
        bake=timedelta(0),
        tolerance=0,
        max_in_flight=targets,
        max_skipped=0,
        pace=Pace.FULL,
        on_fail=OnFail.HOLD,
    )
    return Plan(
        release=RELEASE,
        digest=digest(MARK.digest),
        manifest=digest(sha256_hex(b"manifest")),
        created_at=now,
        expires_at=now + timedelta(hours=1),
        bucket_prefix=f"tidegate-artifacts-{TOOLS}",
        health_hosts=("127.0.0.1",),
        targets=tuple(wanted),
        waves=(wave,),
    )


def _target(number: int) -> PlannedTarget:
    from bench_endpoint import CHANGES

    account = AccountId(f"3{number:011}")
    changes = (
        ResourceChange(
            logical_id=name, resource_type=kind, action="Modify", replacement="False", scope=("Properties",)
        )
        for name, kind in CHANGES
    )
    return PlannedTarget(
        id=TargetId(f"client-{number}", REGION),
        account=account,
        stack="svc-bench",
        effect=EffectKind.UPDATE,
        effect_digest=effect_of(tuple(changes)),
        desired=Deployable(
            release=MARK.release,
            digest=digest(MARK.digest),
            commit=MARK.commit,
            template=digest(sha256_hex(template())),
            parameters=(("Client", f"c{account}"),),
            functions=(("Form", digest(CODE)),),
            health=HealthPolicy(url_output="HealthUrl"),
        ),
    )


# --- the run ---------------------------------------------------------------------------------------


def identity_of(place: Place) -> Identity:
    return Identity(
        role_arn=f"arn:aws:iam::{place.account}:role/TidegateDeploy",
        external_id=f"x-{place.account}",
        via=Identity(role_arn=f"arn:aws:iam::{TOOLS}:role/TidegatePromote"),
    )


def stack_arn(account: str, region: str) -> str:
    from bench_endpoint import arn_of

    return arn_of(account, region)


def make_world(store: LocalStore, folder: Path, clock: SystemClock, aws: Aws) -> World:
    resources = StackResources(Reach(aws, identity_of))
    prefix = f"tidegate-artifacts-{TOOLS}"
    artifacts = FolderArtifacts(folder / "artifacts")
    return World(
        clock=clock,
        journal=store.journal,
        leases=store.leases,
        latch=store.latch,
        stacks=CloudFormationStacks(aws, identity_of, bucket_prefix=prefix, resources=resources),
        alarms=CloudWatchAlarms(aws, identity_of, resources),
        health=HttpHealth(),
        smoke=LambdaSmoke(aws, identity_of, resources),
        metrics=CloudWatchMetrics(aws, identity_of),
        protection=StackProtection(aws, identity_of, artifacts, prefix),
        keep=lambda document: artifacts.put(document, (REGION,))[0],
    )


def protected_before(store: LocalStore, plan: Plan) -> None:
    """Every stack got its policy with its first release: what is measured is the everyday one behind it."""
    for target in plan.targets:
        stream = e.target_stream(RELEASE.service, target.id)
        event = e.TargetProtected(stack_id=stack_arn(target.account, REGION))
        store.journal.append(stream, (event,), expected=0, fence=0, actor="bench")


def promote(plan: Plan, folder: Path, aws: Aws) -> Ending:
    clock = SystemClock()
    store = open_store(folder / "state.db", clock)
    protected_before(store, plan)
    world = make_world(store, folder, clock, aws)
    lease = store.leases.take("service/bench", "bench", LEASE_TTL)
    fixed = e.PlanFixed(plan=plan_digest(plan), waves=len(plan.waves))
    store.journal.append(e.release_stream(RELEASE), (fixed,), expected=0, fence=lease.fence, actor="bench")
    runner = Runner(
        lease=lease.name, fence=lease.fence, actor="bench", verify=lambda: None, heard=lambda _: None
    )
    try:
        with Heartbeat(world.leases, world.clock, lease) as heartbeat:
            return run_loop(
                world,
                runner,
                plan,
                plan_digest(plan),
                ThreadWorkers(clock, POOL_SIZE),
                heartbeat,
                Until(blocked=False),
                lambda: False,
            )
    finally:
        store.close()


class Threads:
    """The highest number of threads of this process, looked at every 10 ms."""

    def __init__(self) -> None:
        self.most = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Threads:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._end.wait(0.01):
            self.most = max(self.most, threading.active_count())


@contextmanager
def endpoint(options: Options, folder: Path) -> Iterator[str]:
    """The bench's AWS in a process of its own, so that its CPU and memory are not counted here."""
    (folder / "template.json").write_bytes(template())
    code = base64.b64encode(bytes.fromhex(CODE)).decode()
    command = [sys.executable, str(Path(__file__).with_name("bench_endpoint.py"))]
    command += ["--latency", str(options.latency), "--change-set", str(options.change_set)]
    command += ["--stack", str(options.stack), "--code", code, "--template", str(folder / "template.json")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.stdin.close()
        process.wait(timeout=10)
        process.stdout.close()


def _configure(url: str) -> None:
    """Only this process's environment: whatever AWS configuration the caller has must not leak in."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "AKIABENCH",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": url,
    }


def measure(options: Options) -> Measured:
    with tempfile.TemporaryDirectory(prefix="tidegate-bench-") as name:
        folder = Path(name)
        with endpoint(options, folder) as url:
            _configure(url)
            plan = make_plan(options.targets, SystemClock().now())
            aws = Aws(max_connections=POOL_SIZE)
            with Threads() as threads:
                wall, cpu = time.monotonic(), time.process_time()
                ending = promote(plan, folder, aws)
                wall, cpu = time.monotonic() - wall, time.process_time() - cpu
            with urllib.request.urlopen(f"{url}/_stats") as answer:
                stats = json.load(answer)
    return Measured(ending, wall, cpu, threads.most, peak_memory_kb(), aws.clients, stats)


def peak_memory_kb() -> int:
    """VmHWM: the most memory this program image ever held (proc(5)); getrusage where there is no /proc."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0])
    import resource

    scale = 1024 if sys.platform == "darwin" else 1
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // scale


# --- what is said of it ----------------------------------------------------------------------------


def report(options: Options, found: Measured) -> dict[str, Any]:
    n, stats = options.targets, found.stats
    calls, polls = sum(stats["calls"].values()), sum(stats["polls"].values())
    # One after another for each target: calls, the last poll of each wait, and the two waits themselves.
    chain = CALLS_PER_TARGET + SETUP_CALLS + 2
    alone = options.change_set + options.stack + chain * options.latency
    crowd = (calls + polls) * options.latency / POOL_SIZE
    limit = max(alone, crowd)
    return {
        "format_version": 1,
        "targets": n,
        "ending": str(found.ending.kind),
        "calls_per_target": round((calls - SETUP_CALLS) / n, 2),
        "polls_per_target": round(polls / n, 2),
        "calls": stats["calls"],
        "polls": stats["polls"],
        "clients": ["/".join(client) for client in found.clients],
        "connections": stats["connections"],
        "connections_open_at_once": stats["connections_open_at_once"],
        "pool": POOL_SIZE,
        "threads": found.threads,
        "cpu_ms_per_target": round(found.cpu * 1000 / n, 1),
        "peak_memory_kb": found.memory_kb,
        "wall_seconds": round(found.wall, 2),
        "limit_seconds": round(limit, 2),
        "wall_to_limit": round(found.wall / limit, 2),
        "executions": stats["executions"],
        "strays": stats["strays"],
        "bars": bars(options, found),
    }


def bars(options: Options, found: Measured) -> dict[str, bool]:
    n, stats = options.targets, found.stats
    calls = sum(stats["calls"].values())
    aws = {kind: most for kind, most in stats["connections"].items() if kind != "health"}
    return {
        "every target was updated exactly once": stats["accounts_executed_once"] == n == stats["executions"],
        "no call reached another account": not stats["strays"],
        f"at most {CALLS_PER_TARGET} calls per target plus polls": calls - SETUP_CALLS
        <= CALLS_PER_TARGET * n,
        "one client per service and Region": found.clients == tuple((s, REGION) for s in SERVICES),
        f"at most {POOL_SIZE} connections per client": all(most <= POOL_SIZE for most in aws.values()),
        f"at most {POOL_SIZE} + {OTHER_THREADS} threads": found.threads <= POOL_SIZE + OTHER_THREADS,
        "memory below 100 MB + 30 kB per target": found.memory_kb * 1024 < 100_000_000 + 30_000 * n,
    }


def show(document: dict[str, Any]) -> None:
    rows = (
        ("targets", "targets"),
        ("ending", "ending"),
        ("AWS calls per target", "calls_per_target"),
        ("polls per target", "polls_per_target"),
        ("calls", "calls"),
        ("polls", "polls"),
        ("clients", "clients"),
        ("TCP connections opened", "connections"),
        ("connections open at once", "connections_open_at_once"),
        ("threads, most", "threads"),
        ("CPU ms per target", "cpu_ms_per_target"),
        ("peak memory, kB", "peak_memory_kb"),
        ("wall, s", "wall_seconds"),
        ("physical limit, s", "limit_seconds"),
        ("wall / limit", "wall_to_limit"),
    )
    for title, key in rows:
        value = document[key]
        if isinstance(value, dict):
            value = ", ".join(f"{name}: {count}" for name, count in value.items())
        print(f"{title:26} {', '.join(value) if isinstance(value, list) else value}")
    print()
    for bar, held in document["bars"].items():
        print(f"{'ok  ' if held else 'FAIL'}  {bar}")
    for stray in document["strays"]:
        print(f"      {stray}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--targets", type=int, default=100)
    parser.add_argument("--latency", type=float, default=0.08, help="seconds added to every answer")
    parser.add_argument("--change-set-seconds", type=float, default=2.0)
    parser.add_argument("--stack-seconds", type=float, default=10.0)
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    given = parser.parse_args()
    options = Options(
        targets=given.targets,
        latency=given.latency,
        change_set=given.change_set_seconds,
        stack=given.stack_seconds,
        json=given.json,
    )
    document = report(options, measure(options))
    if options.json:
        print(json.dumps(document, indent=2))
    else:
        show(document)
    return 0 if all(document["bars"].values()) else 1
