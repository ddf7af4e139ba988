"""Room: adapters/local/front. Starts, finds and ends the process of a local AWS.

It never ends a process that it cannot prove to be the one it started: pid and start time must both agree.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.adapters.local.front.gate import READY_PATH
from pipeline.adapters.local.front.home import Home
from pipeline.adapters.local.front.server import MARK_VARIABLE
from pipeline.errors import LocalAwsFailed

__all__ = ["Running", "down", "environment", "running", "status", "up"]

_START_SECONDS = 30.0
_STOP_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A front that runs. `started` is the start time of the process as the system tells it; with the pid it
    names one process for ever. `mark` is a word that only this process answers with.
    """

    pid: int
    started: str
    port: int
    mark: str

    @property
    def endpoint(self) -> str:
        """What AWS_ENDPOINT_URL must be."""
        return f"http://127.0.0.1:{self.port}"


def up(home: Path, port: int | None = None) -> Running:
    """Start the local AWS of this folder, or find it running; returns when it answers.

    Without `port` the one of the last time is taken, else a free one. Raises LocalAwsFailed.
    """
    place = Home(path=home.resolve())
    place.prepare()
    with _locked(place):
        found = _answering(place)
        if found is not None and port in (None, found.port):
            return found
        if found is not None:
            raise LocalAwsFailed(
                f"the local AWS in {home} already runs, on port {found.port}",
                remedy="release local down",
            )
        chosen = port or _port_of_last_time(place) or _free_port()
        place.write(place.settings, {"port": chosen})
        return _start(place, chosen)


def down(home: Path) -> bool:
    """End the local AWS of this folder, its state written; False when none runs. Raises LocalAwsFailed."""
    place = Home(path=home.resolve())
    if not place.path.is_dir():
        return False
    with _locked(place):
        found = _alive(place)
        if found is None:
            place.running.unlink(missing_ok=True)
            return False
        os.kill(found.pid, signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        while _start_time(found.pid) == found.started:
            if time.monotonic() > deadline:
                raise LocalAwsFailed(
                    f"the local AWS (process {found.pid}) does not end",
                    state="it still runs; its state may not have been written",
                    remedy=f"look into {place.log}",
                )
            _reap(found.pid)
            time.sleep(0.02)
        place.running.unlink(missing_ok=True)
        return True


def status(home: Path) -> Running | None:
    """The front of this folder if it runs and answers, else None."""
    found = _alive(Home(path=home.resolve()))
    return found if found is not None and _answers(found) else None


def environment(home: Path) -> dict[str, str]:
    """The variables with which boto3 and the AWS CLI use this local AWS as its admin. Raises LocalAwsFailed.

    An empty value means: unset it. AWS_PROFILE or a session token of a real account must not survive.
    """
    place = Home(path=home.resolve())
    found, credentials = status(home), place.read_credentials()
    if found is None or credentials is None:
        raise LocalAwsFailed(f"no local AWS runs in {home}", remedy="release local up")
    return {
        "AWS_ENDPOINT_URL": found.endpoint,
        "AWS_ACCESS_KEY_ID": credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
        # Looking for an EC2 instance's role costs seconds where there is none.
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_SESSION_TOKEN": "",
        "AWS_PROFILE": "",
        **_past_the_proxy(os.environ),
    }


@contextlib.contextmanager
def running(home: Path) -> Iterator[Running]:
    """A local AWS for the length of a block."""
    try:
        yield up(home)
    finally:
        down(home)


# --- inside ------------------------------------------------------------------------------------------


def _start(place: Home, port: int) -> Running:
    mark = secrets.token_hex(16)
    command = [
        sys.executable,
        "-m",
        "pipeline.adapters.local.front",
        "--home",
        str(place.path),
        "--port",
        str(port),
    ]
    with place.log.open("ab") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=place.path,
            env=_child_environment(os.environ, mark),
            start_new_session=True,
        )
    place.log.chmod(0o600)
    started = _start_time(process.pid)
    if started is None:
        raise _failed(place, "the local AWS ended while it started")
    found = Running(pid=process.pid, started=started, port=port, mark=mark)
    place.write(place.running, asdict(found))
    deadline = time.monotonic() + _START_SECONDS
    while not _answers(found):
        if process.poll() is not None:
            place.running.unlink(missing_ok=True)
            raise _failed(place, f"the local AWS ended while it started (exit {process.returncode})")
        if time.monotonic() > deadline:
            process.terminate()
            raise _failed(place, f"the local AWS does not answer on port {port}")
        time.sleep(0.02)
    return found


def _failed(place: Home, problem: str) -> LocalAwsFailed:
    tail = place.log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
    return LocalAwsFailed(
        problem,
        state="no local AWS runs",
        remedy=f"read {place.log}; the package needs the extra `local` (pip install 'tidegate[local]')",
        details=tuple(tail),
    )


def _child_environment(own: Mapping[str, str], mark: str) -> dict[str, str]:
    """The front sees no AWS variable and no proxy of ours, finds this package, and is told its mark."""
    root = str(Path(__file__).resolve().parents[4])
    kept = {
        name: value
        for name, value in own.items()
        if not name.startswith("AWS_") and not name.lower().endswith("_proxy")
    }
    path = os.pathsep.join(filter(None, (root, own.get("PYTHONPATH", ""))))
    return {**kept, "PYTHONPATH": path, MARK_VARIABLE: mark}


def _past_the_proxy(own: Mapping[str, str]) -> dict[str, str]:
    """Where a proxy is set, this machine's own address must go past it."""
    if not any(name.lower() in ("http_proxy", "all_proxy") for name in own):
        return {}
    kept = own.get("NO_PROXY") or own.get("no_proxy") or ""
    wanted = [name for name in ("127.0.0.1", "localhost") if name not in kept.split(",")]
    joined = ",".join(filter(None, (kept, *wanted)))
    return {"NO_PROXY": joined, "no_proxy": joined}


def _alive(place: Home) -> Running | None:
    """The process that running.json names, if it is still that process."""
    try:
        kept = place.read(place.running)
    except (ValueError, OSError):
        return None
    if kept is None:
        return None
    found = Running(**kept)
    _reap(found.pid)
    return found if _start_time(found.pid) == found.started else None


def _answering(place: Home) -> Running | None:
    """The running front once it answers, or None once it is gone: it may be starting, or just ending."""
    deadline = time.monotonic() + _START_SECONDS
    while (found := _alive(place)) is not None:
        if _answers(found):
            return found
        if time.monotonic() > deadline:
            raise LocalAwsFailed(
                f"the local AWS (process {found.pid}) runs but does not answer on port {found.port}",
                state="it still runs",
                remedy="release local down",
            )
        time.sleep(0.02)
    return None


def _answers(found: Running) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(found.endpoint + READY_PATH, timeout=5) as answer:
            document = json.load(answer)
    except (OSError, urllib.error.URLError, ValueError):
        return False
    return isinstance(document, dict) and document.get("mark") == found.mark


def _start_time(pid: int) -> str | None:
    """When this process was started, in the system's own words; None when there is no such process."""
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            fields = stat.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        except OSError:
            return None
        # Field 3 is the state, field 22 the start time in clock ticks since boot (proc(5)).
        return None if fields[0] == "Z" else f"{_boot()}:{fields[19]}"
    told = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.strip()
    return told or None


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _reap(pid: int) -> None:
    """Collect the process if it is a child of ours that has ended."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _port_of_last_time(place: Home) -> int | None:
    kept = place.read(place.settings)
    if kept is None:
        return None
    port = int(kept["port"])
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return None
    return port


@contextlib.contextmanager
def _locked(place: Home) -> Iterator[None]:
    """One starter or stopper at a time."""
    with place.lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
