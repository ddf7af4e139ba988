"""Floor 5, `release test`: proves a release in leased test accounts; without its evidence nothing is promoted."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.cli.console import Settings, result, result_json, tell
from pipeline.cli.names import a_release
from pipeline.compose import House, prove
from pipeline.errors import TestsFailed
from pipeline.model.codec import to_json
from stages.promote import read_run


def register(app: typer.Typer) -> None:
    app.command("test")(command)


def command(
    context: typer.Context,
    release: Annotated[str, typer.Argument(help="SERVICE@VERSION")],
    accounts: Annotated[
        int | None, typer.Option(min=1, max=100, help="How many; release.toml says by default.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One document on stdout.")] = False,
) -> None:
    """Lease test accounts, deploy there as at clients, run the integration tests, hand the accounts back."""
    settings: Settings = context.obj
    name = a_release(release)
    house = House(settings.project)
    try:
        report = prove(house, name, accounts, tell)
    except TestsFailed:
        evidence = read_run(house.store.journal, name).evidence
        if as_json and evidence is not None:
            result_json({"format_version": 1, "evidence": to_json(evidence), "quarantined": None})
        raise
    evidence = report.evidence
    dirty = [found for found in report.back if found.problem]
    for found in dirty:
        tell(f"{found.name} is in quarantine: {found.problem}")
    if as_json:
        result_json(
            {"format_version": 1, "evidence": to_json(evidence), "quarantined": [d.name for d in dirty]}
        )
        return
    result(
        f"{name} passed {evidence.passed} tests in {len(evidence.accounts)} test accounts\n"
        f"  {evidence.digest}\n  report: {evidence.junit}\n\nnext: release plan {name}"
    )
