"""Two clients and a service of one parameter on a local AWS of its own: small enough to be released fifty times.

`held` puts something in flight for as long as a test likes: a wait condition, which `let_go` signals.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.adapters.local.front import process
from pipeline.model import event as e
from pipeline.model.ids import ReleaseName, TargetId
from pipeline.model.release import Evidence
from pipeline.model.run_state import RunState
from pipeline.model.stack import OUTPUT_OF_MARK
from pipeline.model.target_state import fold_target
from stages.promote import read_run
from tests.acceptance.company import ROOT, Answer, Company
from tests.local_aws import Front

__all__ = ["CLIENTS", "SERVICE", "Crew", "Spoken", "a_crew"]

SERVICE = "lamp"
CLIENTS = ("ada", "bee")
REGION = "us-east-1"
_STACK = f"svc-{SERVICE}"
_PATIENCE = 40.0
_OWN = ("AWS_", "PYTEST_", "TIDEGATE_", "RELEASE_")
_BEGUN = ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS")
_GOOD = ("CREATE_COMPLETE", "UPDATE_COMPLETE")
_PROGRAM = (sys.executable, "-c", "from pipeline.cli.main import run; run()")


class Spoken:
    """A command in a process of its own whose events, one line of JSON each, are read as they are written."""

    def __init__(self, popen: subprocess.Popen[bytes], out: Path, err: Path) -> None:
        self.popen = popen
        self._out, self._err = out, err

    @property
    def events(self) -> list[str]:
        """Types of the events that were streamed so far; the last line may still be half written."""
        lines = self._out.read_text(encoding="utf-8").split("\n")[:-1]
        return [json.loads(line)["event"]["type"] for line in lines if line.startswith("{")]

    def until(self, number: int, kind: str = "") -> None:
        """Wait for so many events (of one type), or for its end."""
        deadline = time.monotonic() + _PATIENCE
        while self.popen.poll() is None:
            if len([event for event in self.events if kind in ("", event)]) >= number:
                return
            assert time.monotonic() < deadline, self._err.read_text(encoding="utf-8")
            time.sleep(0.005)

    def until_said(self, lines: int) -> None:
        """Wait for so many lines of progress, or for its end."""
        deadline = time.monotonic() + _PATIENCE
        while self.popen.poll() is None:
            said = self._err.read_text(encoding="utf-8")
            if said.count("\n") >= lines:
                return
            assert time.monotonic() < deadline, said
            time.sleep(0.005)

    def send(self, number: int) -> None:
        """Nothing happens where it has ended."""
        self.popen.send_signal(number)

    def answer(self) -> Answer:
        code = self.popen.wait(timeout=_PATIENCE)
        return Answer(
            code=code,
            out=self._out.read_text(encoding="utf-8"),
            err=self._err.read_text(encoding="utf-8", errors="replace"),
        )


@dataclass(slots=True)
class Crew:
    """The company, the newest version of its one service, and what every account should have seen by now."""

    company: Company
    number: int = 0
    current: str = ""
    slow: frozenset[str] = frozenset()
    """Releases whose stacks wait for a signal, on the way back to them as well."""
    expected: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CLIENTS, 0))

    # --- releases ------------------------------------------------------------------------------

    def recover(self) -> None:
        """After a case that failed: bring whatever it left behind to an end, so that the next one begins well."""
        release = f"{SERVICE}@1.{self.number}.0"
        if self.run(release).run != "NONE":
            runner = self.start("promote", release, "--until", "done")
            while runner.popen.poll() is None:
                self.let_go()
                time.sleep(0.05)
        self.expected = self.begun()
        (self.current,) = set(self.observed().values())

    def proven(self, *, held: bool = False) -> str:
        """The next version, built, with the evidence that `release test` would have left. One that holds nothing
        comes behind another such, so that the way back holds nothing either."""
        if not held and self.current in self.slow:
            self.finish(self.proven_as(held=False))
        return self.proven_as(held=held)

    def proven_as(self, *, held: bool) -> str:
        self.number += 1
        version = f"1.{self.number}.0"
        folder = self.company.root / SERVICE
        (folder / "client.yaml").write_text(_template(version, held=held), encoding="utf-8")
        self.company.commit(f"{SERVICE}/{version}")
        self.company.release("build", SERVICE)
        name = ReleaseName(SERVICE, version)
        journal = self.company.store().journal
        digest = read_run(journal, name).digest
        assert digest is not None
        evidence = Evidence(
            release=str(name), digest=digest, accounts=("1",), passed=1, failed=0, skipped=0, seconds=1
        )
        stream = e.release_stream(name)
        tested = e.ReleaseTested(evidence=evidence)
        journal.append(stream, (tested,), expected=journal.head(stream).seq, fence=0, actor="test")
        self.slow |= {str(name)} if held else set()
        return str(name)

    def start(
        self,
        *words: str,
        shell: str = "",
        before: Callable[[], None] | None = None,
        stdin: int | None = subprocess.DEVNULL,
        **environment: str,
    ) -> Spoken:
        """`release WORDS` in a process of its own. shell: what a shell makes of `"$@"`, such as `"$@" | head -1`.
        before: called in the child, before the command begins."""
        self.company.started += 1
        out, err = (self.company.root.parent / f"{self.company.started}.{name}" for name in ("out", "err"))
        command = [*_PROGRAM, *words]
        with out.open("wb") as stdout, err.open("wb") as stderr:
            popen = subprocess.Popen(
                ["sh", "-c", shell, "sh", *command] if shell else command,
                cwd=self.company.root,
                env={**self.company.environment, **environment},
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                preexec_fn=before,
            )
        return Spoken(popen, out, err)

    def finish(self, release: str) -> None:
        """The same command again comes to a good end, and every account has been deployed to exactly once."""
        self.company.release("promote", release, "--until", "done")
        self.done(release)

    def done(self, release: str) -> None:
        """It is everywhere, and got there by one operation in each account."""
        self.expected = {client: count + 1 for client, count in self.expected.items()}
        assert self.seen() == {client: (count, count) for client, count in self.expected.items()}, release
        self.check(release, code=0)
        assert self.run(release).run == "SUCCEEDED"
        self.runs_everywhere(release)

    def runs_everywhere(self, release: str) -> None:
        assert set(self.observed().values()) == {release}
        self.current = release

    # --- what has to be true at any time ---------------------------------------------------------

    def check(self, release: str, code: int | None = None) -> None:
        """Nothing was executed twice; status and exit code say what the journal says."""
        for client, (begun, _) in self.seen().items():
            assert begun - self.expected[client] in (0, 1), f"{release} at {client}"
        status = self.company.release("status", release, "--json").json
        run = self.run(release)
        assert status["run"]["state"] == run.run
        assert {f"{t['client']}/{t['region']}": t["state"] for t in status["targets"]} == self.phases(run)
        if code is not None:
            assert run.run in _STATES_AFTER[code], f"exit {code}, but the run is {run.run}"

    def run(self, release: str) -> RunState:
        return read_run(self.company.store().journal, ReleaseName.parse(release))

    def phases(self, run: RunState) -> dict[str, str]:
        """By the fold of each target's own stream; PENDING where it last spoke of another plan."""
        journal = self.company.store().journal
        found = {}
        for client in CLIENTS:
            target = TargetId(client, REGION)
            state = fold_target(journal.read(e.target_stream(SERVICE, target)))
            found[str(target)] = state.phase if state.plan == run.plan else "PENDING"
        return found if run.plan is not None else {}

    def seen(self) -> dict[str, tuple[int, int]]:
        """How many operations each account has seen begin, and come to a good end; each under a token of its own."""
        found = {}
        for client in CLIENTS:
            own = [event for event in self._events(client) if event["LogicalResourceId"] == _STACK]
            begun = [x["ClientRequestToken"] for x in own if x["ResourceStatus"] in _BEGUN]
            good = [x["ClientRequestToken"] for x in own if x["ResourceStatus"] in _GOOD]
            assert len(set(begun)) == len(begun), f"{client}: a token was used twice"
            assert set(good) <= set(begun)
            found[client] = (len(begun), len(good))
        return found

    def begun(self) -> dict[str, int]:
        return {client: begun for client, (begun, _) in self.seen().items()}

    def observed(self) -> dict[str, str]:
        """The release that each account's own stack names."""
        found = {}
        for client in CLIENTS:
            (stack,) = self._cloudformation(client).describe_stacks(StackName=_STACK)["Stacks"]
            outputs = {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", ())}
            found[client] = outputs.get(OUTPUT_OF_MARK, "").split(" ")[0]
        return found

    def _cloudformation(self, client: str) -> Any:
        return self.company.inside(client, "cloudformation", REGION)

    def _events(self, client: str) -> list[Mapping[str, Any]]:
        cloudformation = self._cloudformation(client)
        known = [s["StackName"] for s in cloudformation.list_stacks()["StackSummaries"]]
        if _STACK not in known:
            return []
        pages = cloudformation.get_paginator("describe_stack_events").paginate(StackName=_STACK)
        return [event for page in pages for event in page["StackEvents"]]

    # --- what is in flight -----------------------------------------------------------------------

    def in_flight(self) -> list[str]:
        """Whose stack waits for its signal, once somebody's does."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            found = [client for client in CLIENTS if self._waiting(client)]
            if found:
                return found
            assert time.monotonic() < deadline, "no stack ever waited"
            time.sleep(0.02)

    def asleep(self, runner: Spoken) -> None:
        """SIGSTOP, but not within a write: SQLite's lock on the state file would be held for as long as it sleeps."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            runner.send(signal.SIGSTOP)
            # Until every thread of it stands still; what has ended is left to be waited for.
            os.waitid(os.P_PID, runner.popen.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            if self.company.state_is_free():
                return
            runner.send(signal.SIGCONT)
            time.sleep(0.01)
        raise AssertionError("never found the state file unlocked")

    def let_go(self) -> None:
        """Signal whoever waits now."""
        for client in CLIENTS:
            waiting = self._waiting(client)
            if waiting:
                self._cloudformation(client).signal_resource(
                    StackName=_STACK, LogicalResourceId=waiting, UniqueId="1", Status="SUCCESS"
                )

    def _waiting(self, client: str) -> str:
        """Logical id of the wait condition that the stack waits for; empty where it waits for none."""
        newest: dict[str, str] = {}
        for event in self._events(client):
            newest.setdefault(event["LogicalResourceId"], event["ResourceStatus"])
        waiting = (name for name, status in newest.items() if status in _BEGUN)
        return next((name for name in waiting if name.startswith("Wait")), "")


_STATES_AFTER: Mapping[int, frozenset[str]] = {
    0: frozenset({"SUCCEEDED", "RUNNING", "ROLLED_BACK"}),
    1: frozenset({"NONE", "PLANNED", "RUNNING", "SUCCEEDED"}),
    2: frozenset({"NONE", "PLANNED", "RUNNING", "SUCCEEDED", "HALTED"}),
    3: frozenset({"HALTED", "ROLLED_BACK"}),
    5: frozenset({"NONE", "PLANNED", "RUNNING", "SUCCEEDED", "ROLLING_BACK", "ROLLED_BACK", "HALTED"}),
    12: frozenset({"PAUSED"}),
    130: frozenset({"NONE", "PLANNED", "RUNNING", "SUCCEEDED"}),
    143: frozenset({"NONE", "PLANNED", "RUNNING", "SUCCEEDED"}),
}
"""What the folded run may be where a promotion has left with this exit code."""


def a_crew(front: Front, root: Path) -> Crew:
    """Bootstrapped, and with version 1.1.0 everywhere."""
    root.mkdir()
    shell = {name: value for name, value in os.environ.items() if not name.startswith(_OWN)}
    local = {name: value for name, value in process.environment(front.home).items() if value}
    company = Company(front=front, root=root, environment={**shell, **local, "PYTHONPATH": str(ROOT)})
    (root / "fleet.toml").write_text(_fleet(), encoding="utf-8")
    (root / ".gitignore").write_text(".tidegate/\n", encoding="utf-8")
    (root / SERVICE).mkdir()
    (root / SERVICE / "release.toml").write_text(_RELEASE, encoding="utf-8")
    (root / SERVICE / "client.yaml").write_text(_template("0.0.0", held=False), encoding="utf-8")
    company.git("init", "--quiet", "--initial-branch=main")
    company.release("bootstrap", "all")
    crew = Crew(company=company)
    crew.finish(crew.proven())
    return crew


_RELEASE = """\
[service]
name = "lamp"
[stack.client]
template = "client.yaml"
[waves]
canary = { clients = 1, bake = "0s" }
bake = "0s"
pace = "full"
"""


def _fleet() -> str:
    lines = ["[accounts]", 'email = "qa@example.com"', "[[service]]", f'name = "{SERVICE}"']
    lines += [f'regions = ["{REGION}"]']
    for client in CLIENTS:
        lines += ["[[client]]", f'name = "{client}"', f'regions = ["{REGION}"]', f'services = ["{SERVICE}"]']
    return "\n".join(lines) + "\n"


def _template(version: str, *, held: bool) -> str:
    greeting = {"Type": "String", "Value": {"Fn::Sub": version + " for ${Client}"}}
    resources: dict[str, Any] = {"Greeting": {"Type": "AWS::SSM::Parameter", "Properties": greeting}}
    if held:
        # Named after the version: a wait condition waits once in its life.
        resources["Wait" + version.replace(".", "x")] = {
            "Type": "AWS::CloudFormation::WaitCondition",
            "DependsOn": "Greeting",
            "CreationPolicy": {"ResourceSignal": {"Count": 1, "Timeout": "PT1M"}},
        }
    return json.dumps({"Parameters": {"Client": {"Type": "String"}}, "Resources": resources}, indent=1)
