"""Floor 2, views: the journal as JSON and as lines of text, and the evidence for one client. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.model import event as e
from pipeline.model.canonical import Json
from pipeline.model.codec import to_json
from pipeline.model.plan import Plan
from pipeline.views.sentences import sentence
from pipeline.views.text import moment, plain

__all__ = ["HISTORY_FORMAT", "history_json", "history_text", "sentence"]

HISTORY_FORMAT = 1


def history_json(entries: Iterable[e.Envelope], plan: Plan | None = None) -> Json:
    """In the order given. `event` holds what this kind of event says besides its type."""
    return {
        "format_version": HISTORY_FORMAT,
        "events": [
            {
                "seq": entry.seq,
                "at": to_json(entry.at),
                "actor": entry.actor,
                "type": type(entry.event).__name__,
                "stream": entry.stream,
                "fence": entry.fence,
                "hash": entry.hash,
                "text": sentence(entry.event, plan),
                "event": to_json(entry.event),
            }
            for entry in entries
        ],
    }


def history_text(entries: Iterable[e.Envelope], plan: Plan | None = None) -> str:
    """A line per event. The stream's kind is left out: what stands before the sentence names the rest."""
    lines = [
        f"{moment(entry.at)}  {_subject(entry.stream)}  {sentence(entry.event, plan)}  ({plain(entry.actor)})"
        for entry in entries
    ]
    return "\n".join(lines or ["no events"]) + "\n"


def _subject(stream: str) -> str:
    kind, _, name = stream.partition("/")
    return plain(name.partition("/")[2] if kind == "target" else name)
