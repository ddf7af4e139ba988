"""`release local`: up, status, env, down, with whatever was made still there afterwards, and one process in all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.company import ROOT

pytestmark = [pytest.mark.local_aws, pytest.mark.xdist_group("acceptance-accounts")]

_OWN = ("AWS_", "PYTEST_", "TIDEGATE_", "RELEASE_")
RELEASE = f'"{sys.executable}" -c "from pipeline.cli.main import run; run()"'


class Shell:
    """A person's shell in a new project: each line is typed into a shell of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shell = {name: value for name, value in os.environ.items() if not name.startswith(_OWN)}
        self._environment = {**shell, "PYTHONPATH": str(ROOT)}

    def __call__(self, line: str, code: int = 0) -> str:
        script = f'release() {{ {RELEASE} "$@"; }}\n{line}'
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, f"{line}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    made = Shell(tmp_path)
    made("release init . --sample")
    yield made
    made("release local down")


def _python(code: str) -> str:
    return f"'{sys.executable}' -c '{code}'"


@pytest.mark.processes
def test_a_shell_gets_an_aws_of_its_own_that_keeps_what_was_made(shell: Shell) -> None:
    assert "not running" in shell("release local status")
    assert "release local up" in shell("release local env 2>&1", code=1)
    assert "local AWS at http://127.0.0.1:" in shell("release local up")
    status = json.loads(shell("release local status --json"))
    assert status["running"] is True
    assert shell("release local up").count(status["endpoint"]) == 1, "the same one is found"

    env = 'eval "$(release local env)"'
    put = 'import boto3; boto3.client("ssm").put_parameter(Name="kept", Value="yes", Type="String")'
    get = 'import boto3; print(boto3.client("ssm").get_parameter(Name="kept")["Parameter"]["Value"])'
    shell(f"{env} && {_python(put)}")
    shell("release local down")
    assert "not running" in shell("release local status")
    shell("release local up")
    assert shell(f"{env} && {_python(get)}") == "yes\n"


def test_credentials_that_nobody_gave_are_refused(shell: Shell) -> None:
    shell("release local up")
    whoami = 'import boto3; print(boto3.client("sts").get_caller_identity()["Arn"])'
    env = 'eval "$(release local env)"'
    assert ":user/admin" in shell(f"{env} && {_python(whoami)}")
    shell(f"{env} && AWS_SECRET_ACCESS_KEY=wrong {_python(whoami)}", code=1)
    home = shell.folder / ".tidegate" / "local"
    assert (home / "credentials.json").stat().st_mode & 0o077 == 0
