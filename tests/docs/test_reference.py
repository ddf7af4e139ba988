"""The reference says what the code says: errors, exit codes, commands, configuration keys, JSON keys, states, roles."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Literal

import pytest

from pipeline.cloudformation import RoleName, Template, template_body
from pipeline.config.schema import schema
from pipeline.decide.parameters import STANDARD
from pipeline.model.run_state import Run, WaveStatus
from pipeline.model.target_state import Phase
from tests.demo.yaml_tags import template
from tests.docs.pages import ROOT, spans
from tests.docs.reference import GENERATED, error_types

REFERENCE = ROOT / "docs" / "reference"


def _page(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


def _section(text: str, title: str) -> str:
    """From one second-level heading to the next."""
    return text.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def _first_cells(text: str) -> list[str]:
    return [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")]


# --- generated pages -----------------------------------------------------------------------------------


@pytest.mark.parametrize("page", GENERATED)
def test_a_generated_page_is_as_the_code_writes_it(page: str) -> None:
    written = GENERATED[page]()
    assert (ROOT / page).read_text(encoding="utf-8") == written, "run: python -m tests.docs.reference"


def test_every_exit_code_of_an_error_is_explained() -> None:
    explained = {int(cell) for cell in _first_cells(_page("exit-codes.md")) if cell.isdecimal()}
    assert {kind.exit_code for kind in error_types()} <= explained
    assert explained == {*range(13), 130, 143}


# --- configuration -------------------------------------------------------------------------------------


def _keys(node: dict[str, Any], kinds: dict[str, Any], at: str = "") -> Iterator[str]:
    """`client[].window.from` and so on: every key of a file that holds a value."""
    if "anyOf" in node:
        node = next(one for one in node["anyOf"] if one.get("type") != "null")
    if "$ref" in node:
        node = kinds[node["$ref"].rpartition("/")[2]]
    if "$ref" in node.get("items", {}):
        yield from _keys(node["items"], kinds, f"{at}[]")
    elif "properties" in node:
        for key, inner in node["properties"].items():
            yield from _keys(inner, kinds, f"{at}.{key}" if at else key)
    else:
        yield at


@pytest.mark.parametrize("file", ["fleet", "release"])
def test_every_configuration_key_is_documented_and_no_other(file: Literal["fleet", "release"]) -> None:
    described = schema(file)
    wanted = sorted(_keys(described, described.get("$defs", {})))
    cells = _first_cells(_section(_page("configuration.md"), f"{file}.toml"))
    assert sorted(cell.strip("`") for cell in cells if cell != "key") == wanted


def test_every_standard_parameter_is_documented() -> None:
    section = _section(_page("configuration.md"), "Parameters that Tidegate supplies")
    cells = tuple(cell.strip("`") for cell in _first_cells(section) if cell != "parameter")
    assert cells == STANDARD


# --- JSON ----------------------------------------------------------------------------------------------


def _paths(node: Any, at: str = "") -> Iterator[str]:
    """`waves[].counts.healthy` and so on: every key that holds a value."""
    if isinstance(node, dict):
        for key, inner in node.items():
            yield from _paths(inner, f"{at}.{key}" if at else key)
    elif isinstance(node, list):
        for inner in node:
            yield from _paths(inner, f"{at}[]")
    else:
        yield at


@pytest.mark.parametrize(
    ("title", "golden"),
    [
        ("release status --json", "status-waiting.json"),
        ("release fleet --json", "fleet.json"),
        ("release plan --json", "plan-held.json"),
        ("release history --json", "history.json"),
    ],
)
def test_every_key_of_a_document_is_documented_and_no_other(title: str, golden: str) -> None:
    document = json.loads((ROOT / "tests" / "golden" / "views" / golden).read_text(encoding="utf-8"))
    found = {re.sub(r"^events\[\]\.event\..*", "events[].event", path) for path in _paths(document)}
    rows = _first_cells(_section(_page("json.md"), title))
    assert {key for row in rows for key in spans(row)} == found


# --- states and roles ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("title", "states"),
    [("A target", Phase), ("A wave", WaveStatus), ("The run", Run)],
)
def test_every_state_is_drawn_or_explained(title: str, states: type[Phase | WaveStatus | Run]) -> None:
    section = _section(_page("state-machines.md"), title)
    words = set(re.findall(r"\b[A-Z][A-Z_]+\b", section))
    assert words >= {state.value for state in states}
    drawn = set(
        re.findall(r"\b[A-Z][A-Z_]+\b", " ".join(re.findall(r"^ {4}.*-->.*$", section, re.MULTILINE)))
    )
    assert drawn <= {state.value for state in states}


def test_the_roles_are_those_of_the_templates() -> None:
    rows = _first_cells(_section(_page("security.md"), "Roles"))
    assert {row for row in rows if row != "role"} == {role.value for role in RoleName} - {
        RoleName.ACCESS.value
    }


def test_every_statement_that_denies_is_listed_and_no_other() -> None:
    listed = set(spans(_section(_page("security.md"), "Denied, whatever the code says")))
    listed = {span for span in listed if re.fullmatch(r"[A-Z][A-Za-z]+", span)}
    denied = {sid for kind in Template for sid in _denials(template(template_body(kind)))}
    assert listed == denied


def _denials(node: Any) -> Iterator[str]:
    """Sids of every Deny that a role, a bucket or a key of ours carries; the boundary is the services' own."""
    if isinstance(node, dict):
        if node.get("Effect") == "Deny":
            yield str(node["Sid"])
        for inner in node.values():
            yield from _denials(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _denials(inner)
