"""An import may only go down, rooms on one floor do not know one another, and the pure rooms are pure."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture.reading import (
    PURE,
    ROOT,
    floor_offences,
    functions_reading_stdin,
    imports,
    module_of,
    purity_offences,
    room_of,
    sources,
)

FRONT = "pipeline.adapters.local.front"


def test_every_file_belongs_to_a_floor() -> None:
    homeless = [str(path) for path in sources(ROOT) if room_of(module_of(path, ROOT)) is None]

    assert homeless == []
    assert len(list(sources(ROOT))) > 30  # the test does read the house


def test_every_import_goes_down() -> None:
    assert [offence for path in sources(ROOT) for offence in floor_offences(path, ROOT)] == []


def test_the_pure_rooms_reach_nothing() -> None:
    pure = [path for path in sources(ROOT) if module_of(path, ROOT).startswith(PURE)]

    assert [offence for path in pure for offence in purity_offences(path, ROOT)] == []


def test_only_the_local_front_knows_its_emulator() -> None:
    knowing = [
        str(path.relative_to(ROOT))
        for path in sources(ROOT)
        if not module_of(path, ROOT).startswith(FRONT)
        and any(found.module.split(".")[0] == "ministack" for found in imports(path, ROOT))
    ]

    assert knowing == []


def test_at_most_one_function_reads_the_terminal() -> None:
    readers = [name for path in sources(ROOT) for name in functions_reading_stdin(path, ROOT)]

    assert len(readers) <= 1, readers


# --- the tests above can fail ----------------------------------------------------------------------


def _plant(root: Path, module: str, text: str) -> Path:
    path = root.joinpath(*module.split(".")).with_suffix(".py")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("pipeline.model.x", "import pipeline.decide"),
        ("pipeline.model.x", "import pipeline.engine.loop as innocent"),
        ("pipeline.model.x", "from pipeline import ports"),
        ("pipeline.model.x", "from ..adapters import aws"),
        ("pipeline.model.deep.x", "from ... import ports"),
        ("pipeline.decide.x", "from pipeline.views import text"),
        ("pipeline.decide.x", "from pipeline.ports import Clock"),
        ("pipeline.engine.x", "from pipeline.adapters.aws import session"),
        ("pipeline.engine.x", "def later():\n    import stages.promote"),
        ("pipeline.adapters.x", "import importlib\nimportlib.import_module('pipeline.compose')"),
        (
            "pipeline.adapters.x",
            "from importlib import import_module\nimport_module('..engine', __package__)",
        ),
        ("pipeline.adapters.x", "__import__('stages')"),
        ("pipeline.adapters.x", "import importlib\nimportlib.import_module(name)"),
        ("pipeline.errors", "from pipeline.model import ids"),
        ("pipeline.compose", "from pipeline.cli import main"),
        ("pipeline.compose", "from . import pytest_plugin"),
        ("pipeline.cli.x", "import pipeline.pytest_plugin"),
        ("stages.x", "from pipeline.engine import loop"),
        ("pipeline.attic", "pass"),
        ("pipeline.model.x", "import pipeline.attic"),
    ],
)
def test_an_import_that_goes_up_or_sideways_is_found(tmp_path: Path, module: str, text: str) -> None:
    for other in ("ports", "compose", "pytest_plugin", "adapters/__init__", "cli/__init__"):
        _plant(tmp_path, f"pipeline.{other.replace('/', '.')}", "")
    planted = _plant(tmp_path, module, text)

    assert len(floor_offences(planted, tmp_path)) == 1


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("pipeline.model.x", "import json\nfrom pipeline.errors import ReleaseError\nfrom . import ids"),
        ("pipeline.engine.x", "from pipeline.engine import tick\nfrom pipeline.decide.waves import cut"),
        (
            "pipeline.cli.x",
            "import importlib\nimportlib.import_module(name)\nfrom pipeline import __version__",
        ),
        ("stages.x", "from stages import build\nfrom pipeline.ports import Clock"),
    ],
)
def test_an_import_that_goes_down_is_allowed(tmp_path: Path, module: str, text: str) -> None:
    assert floor_offences(_plant(tmp_path, module, text), tmp_path) == ()


@pytest.mark.parametrize(
    "text",
    [
        "import os",
        "import os.path as harmless",
        "from time import sleep",
        "import boto3",
        "from botocore.config import Config",
        "def f():\n    import subprocess",
        "import importlib\nimportlib.import_module('socket')",
        "from pathlib import Path",
        "import logging",
        "from datetime import datetime\nx = datetime.now()",
        "import datetime\nx = datetime.datetime.utcnow",
        "from datetime import date\nx = date.today()",
        "print('hello')",
        "open('file')",
    ],
)
def test_an_impurity_is_found(tmp_path: Path, text: str) -> None:
    assert len(purity_offences(_plant(tmp_path, "pipeline.decide.x", text), tmp_path)) == 1


def test_what_only_looks_impure_is_allowed(tmp_path: Path) -> None:
    text = "from datetime import datetime\nfrom urllib.parse import quote\ndef f(clock): return clock.now()\n"

    assert purity_offences(_plant(tmp_path, "pipeline.decide.x", text), tmp_path) == ()


@pytest.mark.parametrize(
    "text",
    [
        "def ask():\n    return input('?')",
        "def ask():\n    import typer\n    return typer.confirm('?')",
        "import sys\ndef ask():\n    return sys.stdin.read()",
        "def ask():\n    from rich.prompt import Prompt",
        "import getpass\ndef ask():\n    return getpass.getpass()",
    ],
)
def test_a_function_that_reads_the_terminal_is_found(tmp_path: Path, text: str) -> None:
    planted = _plant(tmp_path, "pipeline.cli.x", text)

    assert functions_reading_stdin(planted, tmp_path) == ("pipeline/cli/x.py:ask",)
