"""Floor 5, `release check`: what a template or a built release leaves undone, before anybody's account sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.console import Settings, result
from pipeline.cli.names import a_release
from pipeline.compose import House
from stages.check import check_template, refuse


def register(app: typer.Typer) -> None:
    app.command("check")(command)


def command(
    context: typer.Context,
    what: Annotated[str, typer.Argument(help="SERVICE@VERSION, or a template file.")],
) -> None:
    """Look for data that is not encrypted or would not outlive its stack, and for parameters nobody fills."""
    settings: Settings = context.obj
    if "@" in what and not Path(what).is_file():
        findings = House(settings.project).check(a_release(what))
    else:
        findings = check_template(Path(what))
    refuse(findings, what)
    result(f"{what}: nothing to mend")
