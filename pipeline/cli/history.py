"""Floor 5, `release history`: what the journal says, in order, with who and when."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.cli.console import Settings, result, result_json
from pipeline.cli.names import a_release
from pipeline.compose import House
from pipeline.errors import NotFound
from pipeline.model.event import Envelope, TargetClaimed
from pipeline.model.ids import ReleaseName
from pipeline.ports import Journal
from pipeline.views.evidence import evidence_json, evidence_text, gather, only
from pipeline.views.history import history_json, history_text


def register(app: typer.Typer) -> None:
    app.command("history")(command)


def command(
    context: typer.Context,
    release: Annotated[str, typer.Argument(help="SERVICE@VERSION; everything where left out.")] = "",
    client: Annotated[
        str,
        typer.Option(help="The evidence for this client alone: what ran there, by whom, past which gates."),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One document on stdout.")] = False,
) -> None:
    """Tell what happened: builds, tests, waves, every step at every target, halts and who ordered them."""
    settings: Settings = context.obj
    house = House(settings.project)
    journal = house.store.journal
    if client:
        _of_client(journal, client, a_release(release) if release else None, as_json=as_json)
        return
    entries = _of_release(journal, a_release(release)) if release else _everything(journal)
    if not entries:
        raise NotFound("the journal says nothing of that", remedy="see `release history` without arguments")
    entries.sort(key=lambda x: (x.at, x.stream, x.seq))
    if as_json:
        result_json(history_json(entries))
    else:
        result(history_text(entries))


def _of_client(journal: Journal, client: str, release: ReleaseName | None, *, as_json: bool) -> None:
    """The evidence for one client: what ran there, and what of each release concerns it."""
    streams = {stream: journal.read(stream) for stream in journal.streams("")}
    evidence = gather(client, streams)
    if release is not None:
        evidence = only(evidence, release)
    if not evidence.lines:
        raise NotFound(
            f"the journal says nothing of client {client}" + (f" and {release}" if release else ""),
            remedy="see `release history` without arguments; `release fleet` lists the clients",
        )
    if as_json:
        result_json(evidence_json(evidence))
    else:
        result(evidence_text(evidence))


def _everything(journal: Journal) -> list[Envelope]:
    return [entry for stream in journal.streams("") for entry in journal.read(stream)]


def _of_release(journal: Journal, release: ReleaseName) -> list[Envelope]:
    """The release's own stream, and of each target's stream the part that deals with it."""
    found = list(journal.read(f"release/{release}"))
    for stream in journal.streams(f"target/{release.service}/"):
        speaks_of_it = False
        for entry in journal.read(stream):
            if isinstance(entry.event, TargetClaimed):
                speaks_of_it = entry.event.release == str(release)
            if speaks_of_it:
                found.append(entry)
    return found
