"""Floor 5, the command `release`: registers the verbs and turns errors into text and exit codes."""

from __future__ import annotations

import importlib
import io
import os
import sys
import traceback
from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.console import Settings, result, tell
from pipeline.errors import ReleaseError
from pipeline.views.errors import error_text

__all__ = ["VERBS", "application", "main", "run"]

VERBS = {
    "init": "Make a project: fleet.toml and a service to begin with.",
    "local": "A local AWS for trying things out: up, down, status, env.",
    "bootstrap": "Make accounts where the fleet has none, deploy Tidegate's roles, and fill in fleet.toml."
    " Repeatable.",
    "build": "Package, upload, sign and record a release.",
    "check": "Look for data that is not encrypted or would not outlive its stack, and for parameters nobody fills.",
    "test": "Lease test accounts, deploy there as at clients, run the integration tests, hand the accounts back.",
    "plan": "Ask every account what would change, group identical effects, cut the waves, and store the plan.",
    "promote": "Move a release through its waves: the service's account, the canary, then the rest.",
    "status": "Show the waves, the targets that need somebody, and the next command to type.",
    "fleet": "Show the whole fleet: intended and observed release of every service at every client.",
    "history": "Tell what happened: builds, tests, waves, every step at every target, halts and who ordered them.",
    "explain": "Show the numbers behind every verdict, and what opened, refused or halted.",
    "halt": "Stop starting anything. What is in flight runs to its end; nothing is rolled back.",
    "pause": "Start nothing more for now. What is in flight and what bakes goes on; if nobody resumes in time, it"
    " halts.",
    "resume": "Let a halted, paused or undecided release go on. What has failed so far is accepted and stays as it"
    " is.",
    "retry": "Try failed and unknown targets again with the same digest, as a new attempt; promote then goes on.",
    "approve": "Approve what waits: a wave or a lane. Bound to the plan, for a while; never by whoever began the"
    " run.",
    "waive": "Answer for one change that the guard blocks: signed, for exactly one resource, and for a while.",
    "rollback": "Put targets back, newest first, each on the release it had before. It takes over from a running"
    " promotion.",
    "clear": "Take a target out of quarantine, once a person has looked at its stack.",
    "account": "The accounts that Tidegate made or was given.",
    "audit": "Prove that nothing in the journal was changed.",
    "demo": "Tell the whole story on the local AWS: no AWS account, no Docker, about a minute.",
}
"""In the order in which a person meets them; `pipeline/cli/VERB.py` holds `register(app)`."""


def application(words: Collection[str]) -> typer.Typer:
    """The command line, with the rooms of those verbs only that are among `words`: --help has to feel instant."""
    app = typer.Typer(
        name="release",
        no_args_is_help=True,
        add_completion=True,
        pretty_exceptions_enable=False,
        help="Release one version of a service to every client's own AWS account: canary first, in waves,"
        " halting by itself, and back again.",
    )
    app.callback()(_settings)
    for verb, told in VERBS.items():
        if verb in words:
            importlib.import_module(f"pipeline.cli.{verb}").register(app)
        else:
            app.command(verb, help=told)(_not_asked_for)
    return app


def _tell_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        result(f"tidegate {version('tidegate')}")
        raise typer.Exit


def _settings(
    context: typer.Context,
    project: Annotated[
        Path, typer.Option("--project", "-C", help="A folder in the project that holds fleet.toml.")
    ] = Path(),
    yes: Annotated[bool, typer.Option("--yes", help="Answer ordinary prompts with yes.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_tell_version, help="Tell the version.")
    ] = False,
) -> None:
    context.obj = Settings(project=project, yes=yes)


def _not_asked_for() -> None:
    """Stands in the list of verbs for one that this command line does not name."""


def main(arguments: list[str] | None = None) -> int:
    """The exit code; every error of ours is told on stderr and none leaves a traceback."""
    words = sys.argv[1:] if arguments is None else arguments
    # Completion asks without naming what it wants to know.
    known = VERBS if any(name.endswith("_COMPLETE") for name in os.environ) else words
    try:
        code = application(known)(args=words, standalone_mode=False)
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
    """The console script's entry. A closed or an ASCII-only stream must not end a release."""
    sys.stdout, sys.stderr = sys.stdout or io.StringIO(), sys.stderr or io.StringIO()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    sys.exit(main())
