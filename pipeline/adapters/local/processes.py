"""Room: adapters/local. Which process holds a lease, and whether it is certainly gone. It ends nothing."""

from __future__ import annotations

import getpass
import hashlib
import os
import socket
from pathlib import Path

__all__ = ["holder_name", "is_gone"]


def holder_name() -> str:
    """`user@host:pid:start:machine` of this very process.

    start: clock ticks between boot and the start of the process, so that a recycled pid is told apart; empty
    where there is no /proc. machine: tells apart hosts and containers that have the same host name.
    """
    pid = os.getpid()
    return f"{_user()}@{_host()}:{pid}:{_start_of(pid)}:{_machine()}"


def is_gone(holder: str) -> bool:
    """True only where `holder` is certainly a process of this machine that runs no more.

    In every doubt False: another machine, another container, a name of some other form, no /proc and a pid
    that is in use again.
    """
    parts = holder.rpartition("@")[2].split(":")
    if os.name != "posix" or len(parts) != 4 or not parts[1].isdigit():
        return False
    host, pid, start, machine = parts[0], int(parts[1]), parts[2], parts[3]
    if host != _host() or machine != _machine() or pid <= 0:
        return False
    if start:
        return _start_of(pid) != start
    return not _answers(pid)


def _start_of(pid: int) -> str:
    """Field 22 of /proc/PID/stat; empty where no such process is alive. Source: proc(5)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    # The second field is the program's name in brackets and may hold anything, brackets and blanks included.
    fields = text.rpartition(")")[2].split()
    state, start = fields[0], fields[19]
    return "" if state in ("Z", "X") else start


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _user() -> str:
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = "nobody"  # a container may run under a user id that has no name
    return _plain(name)


def _host() -> str:
    return _plain(socket.gethostname())


def _machine() -> str:
    """Eight hex digits: this boot of the kernel, this process namespace; empty where there is no /proc."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = Path("/proc/self/ns/pid").readlink()
    except OSError:
        return ""
    return hashlib.sha256(f"{boot} {namespace}".encode()).hexdigest()[:8]


def _plain(text: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in text)
