"""Floor 3, stages: the same work for many accounts at once, with one report of everything that failed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from pipeline.errors import OperationFailed, ReleaseError

__all__ = ["together"]

T = TypeVar("T")

_AT_ONCE = 16


def together(labels: Sequence[str], work: Callable[[int], T], at_once: int = _AT_ONCE) -> list[T]:
    """work(0) … work(n-1), in order, run by at most `at_once` threads.

    All of it is tried. One failure is raised as it is; several become one OperationFailed that lists each.
    """
    if not labels:
        return []
    with ThreadPoolExecutor(min(at_once, len(labels)), thread_name_prefix="tidegate") as pool:
        running = [pool.submit(copy_context().run, work, number) for number in range(len(labels))]
        outcomes = [_outcome(future.result) for future in running]
    failed = [
        (label, found)
        for label, found in zip(labels, outcomes, strict=True)
        if isinstance(found, ReleaseError)
    ]
    if len(failed) == 1:
        raise failed[0][1]
    if failed:
        raise OperationFailed(
            f"{len(failed)} of {len(labels)} failed, among them {failed[0][0]}: {failed[0][1].problem}",
            state="everything else of this step stands",
            remedy="run the same command again; it goes on where it stopped",
            details=tuple(f"{label}: {fault.problem}" for label, fault in failed),
        )
    return [found for found in outcomes if not isinstance(found, ReleaseError)]


def _outcome(result: Callable[[], T]) -> T | ReleaseError:
    try:
        return result()
    except ReleaseError as fault:
        return fault
