"""A lease passes at once from a process that is certainly dead, and from no other."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.adapters.local.leases import holder_name
from pipeline.adapters.local.processes import is_gone
from pipeline.adapters.local.store import open_store
from pipeline.adapters.simulated.clock import SimulatedClock
from pipeline.errors import FenceLost, LeaseHeld

TTL = timedelta(hours=1)
_SAY_NAME = (
    "from pipeline.adapters.local.leases import holder_name\n"
    "print(holder_name(), flush=True)\n"
    "import sys; sys.stdin.readline()\n"
)


@contextmanager
def _process() -> Iterator[tuple[subprocess.Popen[str], str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", _SAY_NAME], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


def test_a_holder_is_named_after_its_user_host_and_process() -> None:
    user_and_host, pid, *_ = holder_name().split(":")

    assert user_and_host.count("@") == 1
    assert pid == str(os.getpid())
    assert holder_name() == holder_name()
    assert not is_gone(holder_name())


def test_a_running_process_is_not_gone_and_a_killed_one_is() -> None:
    with _process() as (process, name):
        assert f":{process.pid}:" in name
        assert not is_gone(name)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert is_gone(name)  # still a corpse that nobody has collected
        process.wait()
        assert is_gone(name)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_a_recycled_process_id_does_not_keep_a_lease_alive() -> None:
    place, pid, start, machine = holder_name().split(":")

    assert is_gone(f"{place}:{pid}:{int(start) - 1}:{machine}")


def test_in_doubt_nobody_is_gone() -> None:
    place, pid, start, machine = holder_name().split(":")

    for name in (
        f"ann@another-host:{pid}:1:{machine}",
        f"{place}:{pid}:1:ffffffff",
        f"{place}:0:1:{machine}",
        f"{place}:-1:1:{machine}",
        f"{place}:many:1:{machine}",
        f"{place}:{pid}",
        f"{place}:{pid}:{start}",
        "github/run/42",
        "",
    ):
        assert not is_gone(name), name


def test_the_lease_of_a_killed_runner_is_taken_at_once(tmp_path: Path) -> None:
    leases = open_store(tmp_path / "state.db", SimulatedClock()).leases
    with _process() as (process, name):
        lease = leases.take("service/intake", name, TTL)
        with pytest.raises(LeaseHeld, match=name):
            leases.take("service/intake", holder_name(), TTL)
        process.kill()
        process.wait()
        assert leases.take("service/intake", holder_name(), TTL).fence == lease.fence + 1
        with pytest.raises(FenceLost):
            leases.renew(lease, TTL)
