"""Cases in processes of their own: a child has the scene as its parent had set it, for the price of a fork.

A child tells how it went in one line and leaves without any clearing up. Nothing here knows what a case is.
"""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

__all__ = ["Verdict", "in_child", "result", "spawn", "tell_and_leave", "verdict_of"]

LONGEST = 120
"""Seconds a child may take."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """failure: empty where all was well. invariant: which one was broken, if one was."""

    failure: str = ""
    invariant: str = ""


def verdict_of(fault: BaseException) -> Verdict:
    where = traceback.extract_tb(fault.__traceback__)
    last = f" [{os.path.basename(where[-1].filename)}:{where[-1].lineno}]" if where else ""  # noqa: PTH119
    text = f"{type(fault).__name__}: {fault}".replace("\n", " ")
    return Verdict(f"{text[:600]}{last}", getattr(fault, "invariant", ""))


def in_child(work: Callable[[], None]) -> Verdict:
    """What came of it in a process of its own."""
    if spawn() is not None:
        verdict = Verdict()
        try:
            work()
        except BaseException as fault:  # noqa: BLE001 - whatever a case raises is its result
            verdict = verdict_of(fault)
        tell_and_leave(verdict)
    return result()


class _Child:
    """The child of this process, or the way to its parent; one at a time."""

    reading = -1
    writing = -1
    pid = 0

    @classmethod
    def read(cls) -> Verdict:
        with os.fdopen(cls.reading, "rb") as pipe:
            told = pipe.read().decode()
        _, status = os.waitpid(cls.pid, 0)
        if not told.endswith("\n"):
            return Verdict(f"the case's process died: status {status}")
        invariant, _, failure = told[:-1].partition("\t")
        return Verdict(failure, invariant)


def spawn() -> int | None:
    """None in the parent, which has to `read`; in the child the end of the pipe to tell by."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        _Child.reading, _Child.pid = reading, pid
        return None
    os.close(reading)
    _Child.writing = writing
    signal.alarm(LONGEST)
    return writing


def result() -> Verdict:
    """In the parent: what the child that was spawned last has to tell."""
    return _Child.read()


def tell_and_leave(verdict: Verdict) -> NoReturn:
    """In the child, at its end. Never comes back."""
    os.write(_Child.writing, f"{verdict.invariant}\t{verdict.failure}\n".encode())
    os._exit(0)
