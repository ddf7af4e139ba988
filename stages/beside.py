"""Floor 3, stages: a person's word in a release's journal while a runner is at work, without its lease.

It is appended under the fence that stands there already, on condition that the stream has not moved: the runner is
not outdated, it only finds that somebody spoke first, reads again, and decides on what it then knows.
"""

from __future__ import annotations

from collections.abc import Callable

from pipeline.errors import FenceLost, StreamMoved
from pipeline.model import event as e
from pipeline.model.ids import ReleaseName
from pipeline.model.run_state import RunState, fold_run
from pipeline.ports import Journal

__all__ = ["say_beside"]

_ATTEMPTS = 50
"""A runner appends a few times a second at most; whoever loses that often has met a fault."""


def say_beside(
    journal: Journal,
    release: ReleaseName,
    decide: Callable[[RunState], tuple[e.ReleaseEvent, ...]],
    actor: str,
) -> RunState:
    """decide: from the run as it stands to what is to be said, or to an error. It is asked again on what somebody
    else has said in the meantime. Returns the run after it. StreamMoved where the stream never stands still."""
    stream = e.release_stream(release)
    for attempt in range(_ATTEMPTS):
        head = journal.head(stream)
        entries = journal.read(stream)
        if len(entries) != head.seq:
            continue
        events = decide(fold_run(entries))
        if not events:
            break
        try:
            said = journal.append(stream, events, expected=head.seq, fence=head.fence, actor=actor)
        except (StreamMoved, FenceLost):
            if attempt == _ATTEMPTS - 1:
                raise
            continue
        return fold_run((*entries, *said))
    return fold_run(journal.read(stream))
