"""Floor 2, views: an error as text a person can act on, and as JSON. Pure."""

from __future__ import annotations

from pipeline.errors import ReleaseError
from pipeline.model.canonical import Json
from pipeline.views.text import plain

__all__ = ["ERROR_FORMAT", "error_json", "error_text"]

ERROR_FORMAT = 1


def error_text(error: ReleaseError) -> str:
    """What happened, its facts, the state of the world, then the next command after an empty line."""
    lines = [f"error: {plain(error.problem)} [{error.code}]"]
    lines += [f"  {plain(detail)}" for detail in error.details]
    if error.state:
        lines.append(f"  state: {plain(error.state)}")
    if error.remedy:
        lines += ["", f"hint: {plain(error.remedy)}"]
    return "\n".join(lines) + "\n"


def error_json(error: ReleaseError) -> Json:
    return {
        "format_version": ERROR_FORMAT,
        "error": {
            "code": error.code,
            "exit_code": error.exit_code,
            "problem": plain(error.problem),
            "details": [plain(detail) for detail in error.details],
            "state": plain(error.state) or None,
            "remedy": plain(error.remedy) or None,
        },
    }
