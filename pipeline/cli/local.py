"""Floor 5, `release local`: an AWS of your own on this machine, on loopback, with IAM enforced."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.console import Settings, result, result_json
from pipeline.compose import local_home
from pipeline.errors import LocalAwsFailed

local = typer.Typer(no_args_is_help=True, help="A local AWS for trying things out: up, down, status, env.")


def register(app: typer.Typer) -> None:
    app.add_typer(local, name="local")


@local.command("up")
def up(
    context: typer.Context, port: Annotated[int | None, typer.Option(help="A free one by default.")] = None
) -> None:
    """Start it, or find it running; what was made before is still there."""
    from pipeline.adapters.local.front import process

    running = process.up(_home(context), port)
    result(
        f'local AWS at {running.endpoint} (pid {running.pid})\n\nnext: eval "$(release local env)"'
        " && release bootstrap all"
    )


@local.command("down")
def down(context: typer.Context) -> None:
    """Stop it; its state is kept."""
    from pipeline.adapters.local.front import process

    result("stopped" if process.down(_home(context)) else "it was not running")


@local.command("status")
def status(
    context: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="One document.")] = False
) -> None:
    """Is it running, and where?"""
    from pipeline.adapters.local.front import process

    running = process.status(_home(context))
    if as_json:
        endpoint = running.endpoint if running else None
        result_json({"format_version": 1, "running": running is not None, "endpoint": endpoint})
    else:
        result(f"running at {running.endpoint} (pid {running.pid})" if running else "not running")


@local.command("env")
def env(context: typer.Context) -> None:
    """Print what a shell needs; use it as: eval "$(release local env)"."""
    from pipeline.adapters.local.front import process

    home = _home(context)
    if process.status(home) is None:
        raise LocalAwsFailed("the local AWS is not running", remedy="run `release local up`")
    for name, value in process.environment(home).items():
        result(f"export {name}={shlex.quote(value)}" if value else f"unset {name}")


def _home(context: typer.Context) -> Path:
    settings: Settings = context.obj
    return local_home(settings.project)
