"""Writes the generated pages of the reference: `python -m tests.docs.reference`. A test compares them.

Errors come from `pipeline/errors.py`, commands from the command line itself, so neither can drift from the code.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import typer

from pipeline import errors
from pipeline.cli.main import VERBS, application
from pipeline.errors import ReleaseError
from tests.docs.pages import ROOT

__all__ = ["GENERATED", "command_line", "commands_page", "error_types", "errors_page"]

_NOTE = "<!-- Written by `python -m tests.docs.reference`; edit the code instead. -->"

_FAMILIES = {
    "1": "Something was tried and failed",
    "2": "The command as typed, or a file, cannot be carried out; nothing was touched",
    "3": "The release stopped, as it should",
    "4": "Identity and access",
    "5": "Leases and the journal",
    "6": "Approvals",
    "7": "Integrity: never retried, nothing touched",
    "8": "Protection and policy",
    "9": "Plans",
}


# --- errors ------------------------------------------------------------------------------------------


def error_types() -> tuple[type[ReleaseError], ...]:
    """Every error there is, by code."""
    found = (kind for _, kind in inspect.getmembers(errors, inspect.isclass))
    return tuple(sorted((k for k in found if issubclass(k, ReleaseError)), key=lambda kind: kind.code))


def errors_page() -> str:
    lines = [
        "# Errors",
        "",
        _NOTE,
        "",
        "Every error says what happened, its facts one a line, what state the world is in now, and what to type next:",
        "",
        "```text",
        "error: intake@1.1.0 did not pass `release test` [E802]",
        "  state: nothing was touched",
        "",
        "hint: run `release test intake@1.1.0`",
        "```",
        "",
        "The code in brackets is stable: a code is never given a second meaning. The first digit tells the family,",
        "and the [exit code](exit-codes.md) follows from the error. Codes E111 to E117 are what AWS answers; the",
        "engine turns them into events and tries or looks again, so a person rarely sees them.",
    ]
    for family, title in _FAMILIES.items():
        rows = [kind for kind in error_types() if kind.code[1] == family]
        if rows:
            lines += ["", f"## {title}", "", "| code | error | exit | meaning |", "|---|---|---|---|"]
            lines += [
                f"| {k.code} | `{k.__name__}` | {k.exit_code} | {_cell(inspect.getdoc(k))} |" for k in rows
            ]
    return "\n".join(lines) + "\n"


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


# --- commands ----------------------------------------------------------------------------------------


def command_line() -> Any:
    """The whole command line as typer builds it: a group with `commands` and `params`."""
    return typer.main.get_command(application(VERBS))


def commands_page() -> str:
    group = command_line()
    lines = [
        "# Commands",
        "",
        _NOTE,
        "",
        _paragraph(group.help),
        "",
        "Results go to stdout, everything else to stderr. `--json` prints [one document](json.md). What a command's",
        "exit code means stands under [exit codes](exit-codes.md). Options of `release` itself stand in front of the",
        "verb: `release --yes rollback …`.",
        "",
        *_options(group.params),
    ]
    for name, command in _leaves(group):
        lines += ["", f"## release {name}", "", f"```text\n{_usage(name, command)}\n```", ""]
        lines += [_paragraph(command.help), "", *_options(command.params)]
    return "\n".join(lines).rstrip("\n") + "\n"


def _leaves(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _leaves(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


def _paragraph(text: str | None) -> str:
    return " ".join((text or "").split())


def _usage(name: str, command: Any) -> str:
    words = [f"release {name}"]
    for one in command.params:
        if one.param_type_name == "argument":
            words.append(one.name.upper() if one.required else f"[{one.name.upper()}]")
        elif one.required:
            words.append(f"{one.opts[-1]} {one.name.upper()}")
    if any(p.param_type_name == "option" and not p.required and p.name != "help" for p in command.params):
        words.append("[OPTIONS]")
    return " ".join(words)


def _options(params: list[Any]) -> list[str]:
    rows = [
        f"| {_name(one)} | {_cell(one.help)}{_default(one)} |"
        for one in params
        if one.name not in ("help", "install_completion", "show_completion")
    ]
    return ["| | |", "|---|---|", *rows] if rows else []


def _name(one: Any) -> str:
    if one.param_type_name == "argument":
        return f"`{one.name.upper()}`"
    value = "" if one.is_flag else f" {one.name.upper()}"
    names = sorted(one.opts, key=len)
    return ", ".join(f"`{name}{value if name == names[-1] else ''}`" for name in names)


def _default(one: Any) -> str:
    if one.required and one.param_type_name == "option":
        return " Required."
    if one.default in (None, "", False) or str(one.default) == ".":
        return ""
    return f" Default: `{one.default}`."


GENERATED = {"docs/reference/errors.md": errors_page, "docs/reference/commands.md": commands_page}
"""Page below the root, and what writes it."""


def main() -> None:
    for page, write in GENERATED.items():
        (ROOT / page).write_text(write(), encoding="utf-8")


if __name__ == "__main__":
    main()
