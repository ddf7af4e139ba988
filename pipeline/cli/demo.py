"""Floor 5, `release demo`: four releases of one service on the local AWS, one of them good, two bad, one that
reaches everyone. Everything it does is what the other verbs do; nothing here knows which release is sick.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.console import heard, result, result_json, tell
from pipeline.compose import House, found, local_home, prove
from pipeline.demo import project_files, version_of_intake
from pipeline.engine.loop import Until
from pipeline.errors import OperationFailed, UsageError
from pipeline.model.canonical import Json
from pipeline.model.ending import EndingKind
from pipeline.model.ids import ReleaseName
from pipeline.model.plan import Plan
from pipeline.model.target_state import Phase
from pipeline.views.fleet import fleet_text
from stages.promote import read_run, read_targets
from stages.rollback import RollbackScope, order_rollback

SERVICE = "intake"
CHAPTERS = (
    ("1.0.0", "The first release goes out to all twelve clients."),
    ("1.1.0", "The next one is sick. It passes its tests; let the canary show it."),
    ("1.2.0", "Better, but not for everybody: a later wave meets a client it cannot serve."),
    ("1.3.0", "Mended, and out to everyone, whatever each of them runs now."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """How one release went. halted_in: the wave that failed, None where none did."""

    release: str
    outcome: str
    halted_in: str | None
    clients_untouched: int


def register(app: typer.Typer) -> None:
    app.command("demo")(command)


def command(
    folder: Annotated[
        Path | None, typer.Option("--dir", help="A new folder; a temporary one by default.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One document on stdout.")] = False,
) -> None:
    """Tell the whole story on the local AWS: no AWS account, no Docker, about a minute."""
    root = _new_project(folder)
    with _local_aws(root):
        tell("— Tidegate makes the accounts of a company: tools, two services, twelve clients, two for tests")
        found(House(root), "all", "", lambda _line: None)
        started = time.monotonic()
        told = tuple(_chapter(root, version, text) for version, text in CHAPTERS)
        rows = House(root).fleet_rows(live=True)
        seconds = round(time.monotonic() - started)
    rows = tuple(row for row in rows if row.service == SERVICE)
    if as_json:
        observed = {f"{r.client}/{r.region}": r.observed for r in rows if not r.client.startswith("@")}
        result_json(_document(told, observed, seconds))
        return
    result("\nwhat the accounts themselves say they run:\n\n" + fleet_text(rows))
    result(_what_next(root))


# --- the ground ------------------------------------------------------------------------------------


def _new_project(folder: Path | None) -> Path:
    root = folder if folder is not None else Path(tempfile.mkdtemp(prefix="tidegate-demo-"))
    if root.exists() and any(root.iterdir()):
        raise UsageError(f"{root} is not empty", state="nothing was written", remedy="name a new folder")
    for file in project_files(True):
        path = root / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
    _git(root, "init", "--quiet", "--initial-branch=main")
    return root.resolve()


@contextmanager
def _local_aws(root: Path) -> Iterator[None]:
    """Up for the story and down after it; what it made is kept in the project."""
    from pipeline.adapters.local.front import process

    home = local_home(root)
    running = process.up(home)
    tell(f"— a local AWS runs at {running.endpoint}; the project is in {root}")
    before = dict(os.environ)
    for name, value in process.environment(home).items():
        if value:
            os.environ[name] = value
        else:
            os.environ.pop(name, None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        process.down(home)


def _git(root: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=demo", "-c", "user.email=demo@example.com", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ("git", *identity, *arguments), cwd=root, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise OperationFailed(
            f"git {arguments[0]} failed: {done.stderr.strip()}",
            state=f"the demo's project is in {root}",
            remedy="is git installed? then run `release demo` again",
        )


# --- the story -------------------------------------------------------------------------------------


def _chapter(root: Path, version: str, text: str) -> Told:
    """Commit, tag, build, test, promote; and be the person on call where it halts."""
    tell(f"\n— {SERVICE}@{version}. {text}")
    for file in version_of_intake(version):
        (root / file.path).write_bytes(file.content)
    _git(root, "add", "--all")
    _git(root, "commit", "--quiet", "--message", f"{SERVICE} {version}")
    _git(root, "tag", f"{SERVICE}/{version}")
    house = House(root, heard)
    release = ReleaseName(SERVICE, version)
    built = house.build(SERVICE, version="", allow_dirty=False, allow_untagged=False, say=lambda _line: None)
    tell(f"built once: {built.manifest.digest}, {built.uploads} objects uploaded")
    prove(house, release, None, tell)
    plan = house.plan(release)
    with house.holding(SERVICE) as held:
        ending = house.promote(plan, held, Until(blocked=False))
    told = _told(house, plan, ending.kind)
    if ending.kind is EndingKind.HALTED:
        _roll_back(house, plan)
    return told


def _told(house: House, plan: Plan, ending: EndingKind) -> Told:
    run = read_run(house.store.journal, plan.release)
    targets = read_targets(house.store.journal, plan)
    clients = {t.id.owner for t in plan.targets if t.id.is_client}
    touched = {t.owner for t, state in targets.items() if state.phase is not Phase.PENDING}
    halted_in = plan.waves[run.halted_in].name if run.halted_in is not None else None
    return Told(
        release=str(plan.release),
        outcome=ending.value,
        halted_in=halted_in,
        clients_untouched=len(clients - touched),
    )


def _roll_back(house: House, plan: Plan) -> None:
    run = read_run(house.store.journal, plan.release)
    wave = plan.waves[run.halted_in or 0].number
    tell(f"— halted. The person on call types: release rollback {plan.release} --wave {wave} --reason …")
    with house.holding(plan.release.service) as held:
        order_rollback(
            plan,
            RollbackScope(wave=wave),
            "the person on call puts the wave back",
            house.store.journal,
            held.admission,
        )
        house.drive(plan, held, Until(blocked=False))


# --- the end ---------------------------------------------------------------------------------------


def _document(told: tuple[Told, ...], observed: dict[str, str], seconds: int) -> Json:
    return {
        "format_version": 1,
        "releases": [
            {
                "release": chapter.release,
                "outcome": chapter.outcome,
                "halted_in": chapter.halted_in,
                "clients_untouched": chapter.clients_untouched,
            }
            for chapter in told
        ],
        "observed": observed,
        "seconds": seconds,
    }


def _what_next(root: Path) -> str:
    return (
        "what to try next:\n"
        f'  export PATH="{Path(sys.executable).parent}:$PATH"\n'
        f'  cd {root} && release local up && eval "$(release local env)"\n'
        f"  release status {SERVICE}@1.2.0          where it was halted, and what is at risk\n"
        f"  release history --client maple          everything that ever happened to one client\n"
        f"  release rollback {SERVICE}@1.3.0 --all --reason 'just to see'\n"
        "  release audit verify                    nothing in the journal was changed\n"
    )
