"""Floor 3, stages: runs a service's integration tests in a process of their own, and reads what came of them.

The process gets one variable, which names a file of mode 0600 in a folder that is gone afterwards; the plugin
(`pipeline/pytest_plugin.py`) reads it. Each pytest-xdist worker then holds the lease of an account of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pipeline.errors import TestsFailed

__all__ = ["RUN_VARIABLE", "IntegrationRun", "Outcome", "TestAccount", "run_integration_tests"]

RUN_VARIABLE = "TIDEGATE_TEST_RUN"

_NO_TESTS = 5
"""pytest's exit code where nothing was collected."""
_TIME_UP = 124
_KILL_AFTER = 10.0
"""seconds"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestAccount:
    """role: TidegateTester there. outputs: of the deployed stack."""

    __test__ = False

    name: str
    account: str
    region: str
    role: str
    external_id: str
    outputs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegrationRun:
    """folder: the service's; tests: below it. via: ARN of TidegateTest. state: file with the leases.

    junit: where the report goes. said: hears every line that pytest prints.
    """

    release: str
    folder: Path
    tests: str
    accounts: tuple[TestAccount, ...]
    via: str
    state: Path
    junit: Path
    limit: timedelta = timedelta(hours=1)
    said: Callable[[str], None] = lambda _line: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """problem: why the run as a whole is no proof, whatever the counts say; empty where it is one."""

    passed: int
    failed: int
    skipped: int
    problem: str = ""


def run_integration_tests(run: IntegrationRun) -> Outcome:
    """TestsFailed only where there are no tests to run at all; failing tests are an outcome."""
    tests = run.folder / run.tests
    if not run.tests or not tests.exists():
        raise TestsFailed(
            f"{run.release} has no integration tests at {run.tests or '[test] tests'}",
            state="the release is not proven, so it cannot be promoted",
            remedy='write tests and name their folder in release.toml: [test] tests = "tests/integration"',
        )
    run.junit.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="tidegate-test-") as scratch:
        results = Path(scratch) / "results.json"
        described = Path(scratch) / "run.json"
        _write_secret(described, _document(run, results))
        environment = {**os.environ, RUN_VARIABLE: str(described)}
        code = _run(_command(run, tests), run, environment)
        return _outcome(code, results)


def _command(run: IntegrationRun, tests: Path) -> list[str]:
    return [
        sys.executable,
        "-m",
        "pytest",
        str(tests),
        f"--rootdir={run.folder}",
        "-n",
        str(len(run.accounts)),
        "--dist",
        "load",
        f"--junitxml={run.junit}",
        # By its module, and not a second time by its entry point.
        "-p",
        "no:tidegate",
        "-p",
        "pipeline.pytest_plugin",
        # Nothing is written into the service's folder.
        "-p",
        "no:cacheprovider",
    ]


def _document(run: IntegrationRun, results: Path) -> Mapping[str, object]:
    return {
        "format_version": 1,
        "release": run.release,
        "state": str(run.state.resolve()),
        "results": str(results),
        "via": run.via,
        "accounts": [
            {
                "name": found.name,
                "account": found.account,
                "region": found.region,
                "role": found.role,
                "external_id": found.external_id,
                "outputs": dict(found.outputs),
            }
            for found in run.accounts
        ],
    }


def _write_secret(path: Path, document: Mapping[str, object]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(document, file)


def _run(command: Sequence[str], run: IntegrationRun, environment: Mapping[str, str]) -> int:
    """The exit code; _TIME_UP where the time was up. The process never outlives this call."""
    process = subprocess.Popen(
        command,
        cwd=run.folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    with process, _ended(process), _deadline(process, run.limit) as late:
        assert process.stdout is not None
        for line in process.stdout:
            run.said(line.rstrip("\n"))
        code = process.wait()
        return _TIME_UP if late.is_set() else code


@contextlib.contextmanager
def _ended(process: subprocess.Popen[str]) -> Iterator[None]:
    try:
        yield
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_KILL_AFTER)
            except subprocess.TimeoutExpired:
                process.kill()


@contextlib.contextmanager
def _deadline(process: subprocess.Popen[str], limit: timedelta) -> Iterator[threading.Event]:
    late = threading.Event()

    def end() -> None:
        late.set()
        process.terminate()

    timer = threading.Timer(limit.total_seconds(), end)
    timer.daemon = True
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()


def _outcome(code: int, results: Path) -> Outcome:
    """The counts that the plugin wrote; a run that wrote none is no proof of anything."""
    try:
        told = json.loads(results.read_text(encoding="utf-8"))
        passed, failed, skipped = (int(told[key]) for key in ("passed", "failed", "skipped"))
    except (OSError, ValueError, KeyError, TypeError):
        problem = f"pytest ended with exit code {code} and left no results"
        return Outcome(passed=0, failed=0, skipped=0, problem=problem)
    problem = ""
    if code == _TIME_UP:
        problem = "the time for the tests was up"
    elif code == _NO_TESTS or passed + failed == 0:
        problem = "no test was run"
    elif code != 0 and failed == 0:
        problem = f"pytest ended with exit code {code}"
    return Outcome(passed=passed, failed=failed, skipped=skipped, problem=problem)
