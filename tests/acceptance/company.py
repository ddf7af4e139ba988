"""A small company on a local AWS of its own, and the command line as its people use it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import tomlkit
from botocore.exceptions import ClientError

from pipeline.adapters.local.clock import SystemClock
from pipeline.adapters.local.front import process
from pipeline.adapters.local.store import LocalStore, open_store
from pipeline.cli.main import main
from pipeline.model import event as e
from pipeline.model.ids import ReleaseName
from pipeline.model.release import Evidence
from stages.promote import read_run
from tests.acceptance.software import Software, code, template
from tests.local_aws import Front

__all__ = ["CLIENTS", "Answer", "Company", "Deployment", "Running", "Service"]

ROOT = Path(__file__).parents[2]
CLIENTS = {
    "ada": ("us-east-1",),
    "bee": ("us-east-1", "eu-west-1"),
    "cat": ("eu-west-1",),
    "dog": ("us-east-1",),
}
"""ada is in the ring "early" and so always the canary."""
NOTHING: Mapping[str, str] = MappingProxyType({})
_FINAL = ("CREATE_COMPLETE", "UPDATE_COMPLETE")
_SESSION_TOKEN = re.compile(r"FwoGZX[0-9a-f]{32}")
_PATIENCE = 40.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def __str__(self) -> str:
        return f"exit {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One operation that a stack's own events tell of, and how it ended."""

    token: str
    status: str


class Running:
    """A command in a process of its own, which can be stopped, woken and killed."""

    def __init__(self, popen: subprocess.Popen[bytes], out: Path, err: Path, company: Company) -> None:
        self._popen = popen
        self._out = out
        self._err = err
        self._company = company

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def said(self) -> str:
        return self._err.read_text(encoding="utf-8")

    @property
    def ended(self) -> bool:
        return self._popen.poll() is not None

    def until(self, text: str, times: int = 1, *, or_its_end: bool = False) -> None:
        """Wait for so many lines of progress."""
        deadline = time.monotonic() + _PATIENCE
        while self.said.count(text) < times:
            if self.ended and or_its_end:
                return
            assert not self.ended, f"ended before {text!r}: {self.answer()}"
            assert time.monotonic() < deadline, f"never said {text!r}:\n{self.said}"
            time.sleep(0.02)

    def send(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    def fall_asleep(self) -> None:
        """SIGSTOP, but not within a write: SQLite's lock on the state file would be held for as long as it sleeps."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            self.send(signal.SIGSTOP)
            if self._company.state_is_free():
                return
            self.send(signal.SIGCONT)
            time.sleep(0.01)
        raise AssertionError("never found the state file unlocked")

    def kill(self) -> None:
        """kill -9: nothing is cleaned up."""
        self.send(signal.SIGKILL)
        self.answer()

    def answer(self, code: int | None = None) -> Answer:
        """Wait for its end."""
        number = self._popen.wait(timeout=_PATIENCE)
        found = Answer(code=number, out=self._out.read_text(encoding="utf-8"), err=self.said)
        self._company.heard(found)
        assert code is None or number == code, str(found)
        return found


@dataclass(slots=True)
class Company:
    """Four clients, a service with an account of its own, and any number of services that have none."""

    front: Front
    root: Path
    environment: Mapping[str, str]
    outputs: list[str] = field(default_factory=list)
    insiders: dict[tuple[str, str, str], Any] = field(default_factory=dict)
    started: int = 0

    # --- the command line ----------------------------------------------------------------------

    def release(self, *arguments: str, code: int | None = 0, shell: Mapping[str, str] = NOTHING) -> Answer:
        """`release ARGUMENTS`, in this process; fails the test where it exits with another code.

        shell: further environment variables; an empty one is unset.
        """
        out, err = io.StringIO(), io.StringIO()
        with self._shell(shell), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            number = main(["-C", str(self.root), *arguments])
        found = Answer(code=number, out=out.getvalue(), err=err.getvalue())
        self.heard(found)
        assert code is None or number == code, str(found)
        return found

    def start(self, *arguments: str, **more: str) -> Running:
        """`release ARGUMENTS` in a process of its own, without a terminal. more: environment variables."""
        self.started += 1
        out, err = (self.root.parent / f"{self.started}.{name}" for name in ("out", "err"))
        with out.open("wb") as stdout, err.open("wb") as stderr:
            popen = subprocess.Popen(
                [sys.executable, "-c", "from pipeline.cli.main import run; run()", *arguments],
                cwd=self.root,
                env={**self.environment, **more},
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
            )
        return Running(popen, out, err, self)

    def heard(self, answer: Answer) -> None:
        self.outputs += [answer.out, answer.err]

    @contextlib.contextmanager
    def _shell(self, more: Mapping[str, str]) -> Iterator[None]:
        before = dict(os.environ)
        wanted = {name: value for name, value in {**self.environment, **more}.items() if value}
        os.environ.clear()
        os.environ.update(wanted)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)

    # --- sources -------------------------------------------------------------------------------

    def service(self, name: str, **waves: object) -> Service:
        """A new service, to which every client subscribes. waves: the table [waves] of its release.toml."""
        path = self.root / "fleet.toml"
        fleet = tomlkit.parse(path.read_text(encoding="utf-8"))
        if name not in [entry["name"] for entry in fleet["service"]]:
            table = tomlkit.table()
            table.update({"name": name, "regions": ["us-east-1"]})
            fleet["service"].append(table)
            for client in fleet["client"]:
                client["services"].append(name)
            path.write_text(tomlkit.dumps(fleet), encoding="utf-8")
        made = Service(company=self, name=name, waves=dict(waves))
        if not made.folder.exists():
            made.write(Software(version="0.0.0"))
        return made

    def commit(self, *tags: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message=work")
        for tag in tags:
            self.git("tag", tag)

    def git(self, *arguments: str) -> None:
        person = ("-c", "user.name=ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *person, *arguments], cwd=self.root, check=True, capture_output=True)

    # --- what the accounts say -----------------------------------------------------------------

    @property
    def accounts(self) -> dict[str, str]:
        """Account ids by client; `@NAME` for a service, `tools` for the Tools account."""
        fleet = tomlkit.parse((self.root / "fleet.toml").read_text(encoding="utf-8")).unwrap()
        found = {client["name"]: client["account"] for client in fleet["client"]}
        found.update({f"@{s['name']}": s["account"] for s in fleet["service"] if "account" in s})
        return {**found, "tools": fleet["tools"]["account"]}

    def inside(self, owner: str, service: str, region: str = "us-east-1") -> Any:
        """A client of that AWS service in an account, as the administrator of the organisation."""
        wanted = (owner, service, region)
        if wanted not in self.insiders:
            session = self.front.assume(self.accounts[owner])
            self.insiders[wanted] = self.front.client(session, service, region)
        return self.insiders[wanted]

    def store(self) -> LocalStore:
        return open_store(self.root / ".tidegate" / "state.db", SystemClock())

    def state_is_free(self) -> bool:
        """Whether the state file can be written at once."""
        with contextlib.closing(sqlite3.connect(self.root / ".tidegate" / "state.db", timeout=0.2)) as state:
            try:
                state.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return False
            return True

    # --- secrets -------------------------------------------------------------------------------

    def leaks(self) -> list[str]:
        """Where a credential can be read that should be nowhere. Call it when everything has been said."""
        home = self.front.home
        kept = [*self.root.rglob("*.json"), *self.root.rglob("*.xml"), self.root / ".tidegate" / "state.db"]
        texts = {f"output {number}": text for number, text in enumerate(self.outputs)}
        texts.update({str(p): p.read_bytes().decode("latin-1") for p in (*kept, home / "front.log")})
        secret = process.environment(home)["AWS_SECRET_ACCESS_KEY"]
        return [where for where, text in texts.items() if secret in text or _SESSION_TOKEN.search(text)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service without an account of its own, unless `company` gave it one."""

    company: Company
    name: str
    waves: dict[str, object]

    @property
    def folder(self) -> Path:
        return self.company.root / self.name

    def write(self, software: Software, *, own_stack: bool = False) -> None:
        """The sources of one version; not committed."""
        wanted = self.waves.get("canary")
        canary = {"clients": 1, "bake": "0s", **(wanted if isinstance(wanted, dict) else {})}
        release: dict[str, Any] = {
            "service": {"name": self.name},
            "stack": {"client": {"template": "client.yaml"}},
            "health": {"deadline": "2s"},
            "waves": {"bake": "0s", "pace": "full", **self.waves, "canary": canary},
        }
        if (self.folder / "tests").is_dir():
            release["test"] = {"tests": "tests"}
        if own_stack:
            release["stack"]["service"] = {"template": "service.yaml"}
        (self.folder / "code").mkdir(parents=True, exist_ok=True)
        (self.folder / "release.toml").write_text(tomlkit.dumps(release), encoding="utf-8")
        (self.folder / "client.yaml").write_text(template(software), encoding="utf-8")
        (self.folder / "service.yaml").write_text(template(software), encoding="utf-8")
        (self.folder / "code" / "app.py").write_text(code(software), encoding="utf-8")

    def add_tests(self, text: str) -> None:
        """Integration tests, in release.toml's words: [test] tests = "tests"."""
        (self.folder / "tests").mkdir(exist_ok=True)
        (self.folder / "tests" / "test_deployed.py").write_text(text, encoding="utf-8")

    def built(self, version: str, *, own_stack: bool = False, **software: Any) -> str:
        """Written, committed, tagged and built; the release's name."""
        self.write(Software(version=version, **software), own_stack=own_stack)
        self.company.commit(f"{self.name}/{version}")
        self.company.release("build", self.name)
        return f"{self.name}@{version}"

    def proven(self, version: str, *, own_stack: bool = False, **software: Any) -> str:
        """Built, and with the evidence that `release test` would have left."""
        name = self.built(version, own_stack=own_stack, **software)
        journal = self.company.store().journal
        stream = e.release_stream(ReleaseName.parse(name))
        digest = read_run(journal, ReleaseName.parse(name)).digest
        assert digest is not None
        evidence = Evidence(
            release=name, digest=digest, accounts=("1",), passed=1, failed=0, skipped=0, seconds=1
        )
        tested = e.ReleaseTested(evidence=evidence)
        journal.append(stream, (tested,), expected=journal.head(stream).seq, fence=0, actor="test")
        return name

    def everywhere(self, version: str, **software: Any) -> str:
        """Proven and promoted to every client."""
        name = self.proven(version, **software)
        self.company.release("promote", name, "--until", "done")
        return name

    # --- what the accounts say -----------------------------------------------------------------

    def observed(self) -> dict[str, str | None]:
        """Each target's release, read from the accounts by `release fleet --live`."""
        rows = self.company.release("fleet", "--live", "--json").json["targets"]
        rows = [r for r in rows if r["service"] == self.name and r["client"] in CLIENTS]
        return {f"{r['client']}/{r['region']}": r["observed"] for r in rows}

    def deployments(self, target: str) -> list[Deployment]:
        """Operations of the stack that ended, oldest first, from DescribeStackEvents in the account itself."""
        stack = f"svc-{self.name}"
        events = self.events(target)
        return [
            Deployment(token=found.get("ClientRequestToken", ""), status=found["ResourceStatus"])
            for found in reversed(events)
            if found["LogicalResourceId"] == stack
            and found["ResourceStatus"].endswith(("_COMPLETE", "_FAILED"))
        ]

    def events(self, target: str) -> list[dict[str, Any]]:
        """Newest first; empty where there is no stack of that name."""
        owner, _, region = target.rpartition("/")
        cloudformation = self.company.inside(owner, "cloudformation", region)
        pages = cloudformation.get_paginator("describe_stack_events").paginate(StackName=f"svc-{self.name}")
        try:
            return [found for page in pages for found in page["StackEvents"]]
        except ClientError as fault:
            if "does not exist" not in str(fault):
                raise
            return []

    def finished(self, target: str) -> int:
        """How many deployments the account itself has seen come to a good end, each under a token of its own."""
        good = [found.token for found in self.deployments(target) if found.status in _FINAL]
        assert len(set(good)) == len(good), f"{target}: a token was used twice"
        return len(good)

    def touched(self) -> dict[str, int]:
        return {target: self.finished(target) for target in self.targets()}

    def status(self, version: str) -> Any:
        return self.company.release("status", f"{self.name}@{version}", "--json").json

    def states(self, version: str) -> dict[str, str]:
        """Each target's state, from `release status --json`."""
        return {f"{t['client']}/{t['region']}": t["state"] for t in self.status(version)["targets"]}

    def targets(self) -> list[str]:
        return [f"{client}/{region}" for client, regions in CLIENTS.items() for region in regions]
