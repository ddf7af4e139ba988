"""Floor 5, the command `release`: registers the verbs and turns errors into text and exit codes."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.console import Settings, tell
from pipeline.errors import ReleaseError
from pipeline.views.errors import error_text

__all__ = ["app", "main", "run"]

VERBS = (
    "init",
    "local",
    "bootstrap",
    "build",
    "check",
    "test",
    "plan",
    "promote",
    "status",
    "fleet",
    "history",
    "halt",
    "resume",
    "rollback",
    "audit",
    "demo",
)
"""In the order in which a person meets them; `pipeline/cli/VERB.py` holds `register(app)`."""

app = typer.Typer(
    name="release",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    help="Release one version of a service to every client's own AWS account: canary first, in waves,"
    " halting by itself, and back again.",
)


@app.callback()
def _settings(
    context: typer.Context,
    project: Annotated[
        Path, typer.Option("--project", "-C", help="A folder in the project that holds fleet.toml.")
    ] = Path(),
    yes: Annotated[bool, typer.Option("--yes", help="Answer ordinary prompts with yes.")] = False,
) -> None:
    context.obj = Settings(project=project, yes=yes)


for _verb in VERBS:
    importlib.import_module(f"pipeline.cli.{_verb}").register(app)


def main(arguments: list[str] | None = None) -> int:
    """The exit code; every error of ours is told on stderr and none leaves a traceback."""
    try:
        code = app(args=arguments, standalone_mode=False)
    except ReleaseError as error:
        tell(error_text(error).rstrip("\n"))
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone; keep Python from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as fault:  # noqa: BLE001 - the last line of defence: no credential may reach a traceback
        return _crashed(fault)
    return code if isinstance(code, int) else 0


def _crashed(fault: Exception) -> int:
    """Usage errors of the parser tell themselves; anything else is a bug of ours, told without local values."""
    show = getattr(fault, "show", None)
    if callable(show):
        show()
        return int(getattr(fault, "exit_code", 2))
    last = traceback.extract_tb(fault.__traceback__)[-1]
    tell(
        f"error: a fault in Tidegate itself: {type(fault).__name__} in {Path(last.filename).name}:{last.lineno}"
    )
    tell("  state: what was written to the journal stands; the same command goes on from there")
    tell("\nhint: run it again with RELEASE_DEBUG=1 to see where, and report it")
    if os.environ.get("RELEASE_DEBUG"):
        traceback.print_exception(fault)
    return 1


def run() -> None:
    """The console script's entry."""
    sys.exit(main())
