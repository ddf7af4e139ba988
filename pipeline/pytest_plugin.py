"""Floor 5, the pytest plugin: each worker of `release test` gets a test account of its own.

It is loaded by every pytest on a machine where Tidegate is installed. Without the variable TIDEGATE_TEST_RUN, which
only `release test` sets, it does nothing and imports nothing but pytest.

Fixtures, all of session scope: `tidegate_session` (a boto3 Session as TidegateTester in the leased account),
`tidegate_outputs` (the deployed stack's outputs), `tidegate_region`, `tidegate_account`.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pipeline.ports import Lease, Leases

__all__ = [
    "RUN_VARIABLE",
    "pytest_configure",
    "tidegate_account",
    "tidegate_outputs",
    "tidegate_region",
    "tidegate_session",
]

RUN_VARIABLE = "TIDEGATE_TEST_RUN"
_LEASE_SECONDS = 60.0
_PATIENCE_SECONDS = 90.0
"""Longer than a lease: a worker that replaces a crashed one waits for that one's lease."""


def pytest_configure(config: pytest.Config) -> None:
    path = os.environ.get(RUN_VARIABLE)
    if not path:
        return
    run = json.loads(Path(path).read_text(encoding="utf-8"))
    worker = hasattr(config, "workerinput")
    config.stash[_RUN] = run
    if worker or not config.getoption("numprocesses", None):
        config.pluginmanager.register(_Guard(config), "tidegate-guard")
    if not worker:
        config.pluginmanager.register(_Tally(run["results"]), "tidegate-tally")


_RUN: pytest.StashKey[Mapping[str, Any]] = pytest.StashKey()
_HELD: pytest.StashKey[_HeldAccount] = pytest.StashKey()


# --- fixtures ------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def _tidegate_held(request: pytest.FixtureRequest) -> Iterator[_HeldAccount]:
    run = request.config.stash.get(_RUN, None)
    if run is None:
        raise pytest.UsageError("these tests need a test account; run them with: release test RELEASE")
    held = _HeldAccount.take(run)
    request.config.stash[_HELD] = held
    try:
        yield held
    finally:
        held.give_back()


@pytest.fixture(scope="session")
def tidegate_account(_tidegate_held: _HeldAccount) -> str:
    """The 12-digit id of the account that this worker alone holds."""
    return str(_tidegate_held.found["account"])


@pytest.fixture(scope="session")
def tidegate_region(_tidegate_held: _HeldAccount) -> str:
    """The Region of the deployed stack."""
    return str(_tidegate_held.found["region"])


@pytest.fixture(scope="session")
def tidegate_outputs(_tidegate_held: _HeldAccount) -> dict[str, str]:
    """The deployed stack's outputs by name."""
    return dict(_tidegate_held.found["outputs"])


@pytest.fixture(scope="session")
def tidegate_session(_tidegate_held: _HeldAccount) -> Any:
    """A boto3 Session in the leased account and its Region; its credentials renew themselves."""
    from pipeline.adapters.aws.tester_session import tester_session

    found = _tidegate_held.found
    return tester_session(
        via=str(_tidegate_held.run["via"]),
        role=str(found["role"]),
        external_id=str(found["external_id"]),
        region=str(found["region"]),
    )


# --- the lease of one account --------------------------------------------------------------------------


class _HeldAccount:
    """An account of this run under the lease of this very process, renewed by a thread."""

    def __init__(
        self, run: Mapping[str, Any], found: Mapping[str, Any], leases: Leases, lease: Lease
    ) -> None:
        self.run = run
        self.found = found
        self.lost = ""
        self._leases = leases
        self._lease = lease
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="tidegate-lease", daemon=True)
        self._thread.start()

    @classmethod
    def take(cls, run: Mapping[str, Any]) -> _HeldAccount:
        """The first account that no other worker holds. Fails, and so does every test that needs an account."""
        from datetime import timedelta

        from pipeline.adapters.local.clock import SystemClock
        from pipeline.adapters.local.processes import holder_name
        from pipeline.adapters.local.store import open_store
        from pipeline.errors import LeaseHeld

        leases = open_store(Path(run["state"]), SystemClock()).leases
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            for found in run["accounts"]:
                name = f"worker-account/{found['account']}"
                try:
                    lease = leases.take(name, holder_name(), timedelta(seconds=_LEASE_SECONDS))
                except LeaseHeld:
                    continue
                return cls(run, found, leases, lease)
            if time.monotonic() > deadline:
                count = len(run["accounts"])
                pytest.fail(f"no test account is free for this worker: all {count} are held", pytrace=False)
            time.sleep(0.5)

    def give_back(self) -> None:
        self._stop.set()
        self._thread.join()
        self._leases.give_back(self._lease)

    def _beat(self) -> None:
        from datetime import timedelta

        from pipeline.errors import FenceLost, ReleaseError

        while not self._stop.wait(_LEASE_SECONDS / 3):
            try:
                self._lease = self._leases.renew(self._lease, timedelta(seconds=_LEASE_SECONDS))
            except FenceLost as lost:
                self.lost = lost.problem
                return
            except ReleaseError:
                # The store did not answer; two thirds of the lease's life are left.
                continue


class _Guard:
    """Fails every test of a worker whose account has gone to somebody else."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_setup(self) -> None:
        held = self._config.stash.get(_HELD, None)
        if held is not None and held.lost:
            pytest.fail(f"this worker has lost its test account: {held.lost}", pytrace=False)


class _Tally:
    """Counts each test once, in the process that all workers report to."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._outcomes: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        known = self._outcomes.get(report.nodeid)
        if report.failed:
            self._outcomes[report.nodeid] = "failed"
        elif report.skipped and known is None:
            self._outcomes[report.nodeid] = "skipped"
        elif report.when == "call" and known is None:
            self._outcomes[report.nodeid] = "passed"

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._outcomes[f"{report.nodeid} (collection)"] = "failed"

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        outcomes = tuple(self._outcomes.values())
        counts = {name: outcomes.count(name) for name in ("passed", "failed", "skipped")}
        Path(self._path).write_text(json.dumps(counts), encoding="utf-8")
