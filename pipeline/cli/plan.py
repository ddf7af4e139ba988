"""Floor 5, `release plan`: shows what a promotion would do, and freezes it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.console import Settings, result, result_json, tell
from pipeline.cli.names import a_release
from pipeline.compose import House
from pipeline.errors import UsageError
from pipeline.views.plan import has_changes, plan_json, plan_text
from pipeline.views.plan_markdown import plan_markdown, plan_mermaid
from stages.plan import plan_document

_CHANGES = 10
_FORMS = {"text": plan_text, "markdown": plan_markdown, "mermaid": plan_mermaid}


def register(app: typer.Typer) -> None:
    app.command("plan")(command)


def _write(output: Path, content: bytes) -> None:
    try:
        output.write_bytes(content)
    except OSError as fault:
        raise UsageError(
            f"{output} cannot be written: {fault.strerror}",
            state="the plan is made and stored",
            remedy="name another file; `release promote RELEASE` does not need one",
        ) from fault


def command(
    context: typer.Context,
    release: Annotated[str, typer.Argument(help="SERVICE@VERSION")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the plan to this file.")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="text, json, markdown or mermaid")] = "text",
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit 10 when something would change.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Ask every account what would change, group identical effects, cut the waves, and store the plan."""
    settings: Settings = context.obj
    if form not in (*_FORMS, "json"):
        raise UsageError(
            f"--format {form!r} means nothing",
            state="nothing was planned",
            remedy="write text, json, markdown or mermaid",
        )
    plan = House(settings.project).plan(a_release(release))
    if output is not None:
        _write(output, plan_document(plan))
        tell(f"written to {output}; carry it out with: release promote {output}")
    if as_json or form == "json":
        result_json(plan_json(plan))
    else:
        result(_FORMS[form](plan))
    if detailed_exitcode and has_changes(plan):
        raise typer.Exit(_CHANGES)
