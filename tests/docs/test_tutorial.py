"""A stranger who types the tutorial gets what it promises: every exit code, and the fleet where it says it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.adapters.local.front import process
from tests.docs.pages import ROOT, Command, commands

TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
_LIMIT_SECONDS = 420
"""Many times what it takes, for a machine that does other things as well."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Where the stranger sits. folder: where the first line is typed; the project is made below it."""

    folder: Path
    environment: dict[str, str]

    @property
    def project(self) -> Path:
        return self.folder / "sample-fleet"

    @property
    def local_aws(self) -> Path:
        return self.project / ".tidegate" / "local"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TIDEGATE_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    own = {**kept, "PATH": path, "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}
    made = Desk(folder=tmp_path, environment=own)
    try:
        yield made
    finally:
        process.down(made.local_aws)


def _typed(desk: Desk, lines: Sequence[Command]) -> list[tuple[str, int]]:
    """Each line in one and the same bash, with the exit code it had. The first surprise ends the session."""
    exits = desk.folder / "exits"
    script = ["exec </dev/null"]
    for line in lines:
        script += [line.text, f'code=$?; echo "$code" >>{exits}; [ "$code" -eq {line.exits} ] || exit 99']
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-c", "\n".join(script)],
        cwd=desk.folder,
        env=desk.environment,
        capture_output=True,
        text=True,
        timeout=_LIMIT_SECONDS,
        check=False,
    )
    codes = [int(code) for code in exits.read_text().split()]
    typed = [(line.text, code) for line, code in zip(lines, codes, strict=False)]
    assert done.returncode == 0, f"{typed[-1]}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return typed


def _fleet(desk: Desk) -> dict[str, str | None]:
    """What the accounts say, asked anew: the local AWS keeps its state while it is down."""
    with process.running(desk.local_aws):
        reach = {name: value for name, value in process.environment(desk.local_aws).items() if value}
        asked = subprocess.run(
            ["release", "fleet", "--live", "--json"],
            cwd=desk.project,
            env={**desk.environment, **reach},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    rows = json.loads(asked.stdout)["targets"]
    return {f"{row['client']}/{row['region']}": row["observed"] for row in rows if row["service"] == "intake"}


@pytest.mark.local_aws
@pytest.mark.tutorial
def test_the_tutorial_works_as_typed_and_leaves_every_account_on_its_first_release(desk: Desk) -> None:
    lines = commands(TUTORIAL)

    typed = _typed(desk, lines)

    assert typed == [(line.text, line.exits) for line in lines]
    assert process.status(desk.local_aws) is None
    places = [
        "@intake/us-east-1",
        "acme/eu-west-1",
        "acme/us-east-1",
        "aspen/eu-west-1",
        "birch/us-east-1",
        "cedar/eu-west-1",
        "elm/ap-southeast-2",
        "hazel/us-east-1",
        "juniper/eu-west-1",
        "linden/us-east-1",
        "maple/us-east-1",
        "oak/ap-southeast-2",
        "spruce/eu-west-1",
        "willow/ap-southeast-2",
    ]
    assert _fleet(desk) == dict.fromkeys(places, "intake@1.0.0")


def test_the_tutorial_ends_with_a_halt_and_a_way_back() -> None:
    texts = [line.text for line in commands(TUTORIAL)]
    halted = next(n for n, line in enumerate(commands(TUTORIAL)) if line.exits == 3)
    back = next(n for n, text in enumerate(texts) if " rollback " in text)
    assert halted < back
    assert texts[-1] == "release local down"


def test_the_readme_begins_as_the_tutorial_does() -> None:
    readme = commands((ROOT / "README.md").read_text(encoding="utf-8"))
    assert readme
    assert readme == commands(TUTORIAL)[: len(readme)]
