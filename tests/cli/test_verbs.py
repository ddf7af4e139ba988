"""The list of verbs: what --help says of each is what the verb says of itself, and asking costs nothing heavy."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest
import typer

from pipeline.cli.main import VERBS

HEAVY = ("boto3", "botocore", "pydantic", "ministack", "cfnlint", "jinja2", "git", "requests", "tomlkit")


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_is_told_in_the_list_as_it_tells_itself(verb: str) -> None:
    app = typer.Typer()
    importlib.import_module(f"pipeline.cli.{verb}").register(app)
    if app.registered_groups:
        told = app.registered_groups[0].typer_instance
        assert told is not None
        assert told.info.help == VERBS[verb]
        return
    callback = app.registered_commands[0].callback
    assert callback is not None
    assert callback.__doc__ == VERBS[verb]


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; from pipeline.cli.main import main; code = main(['--help'])\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], code, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "[] 0\n")
