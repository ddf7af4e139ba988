"""Golden files: a whole value compared with a file a person has read.

With TIDEGATE_UPDATE_GOLDEN=1 in the environment the file is written instead; read the difference before you commit it.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["matches_golden"]


def matches_golden(path: Path, text: str) -> None:
    if os.environ.get("TIDEGATE_UPDATE_GOLDEN") == "1":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"{path.name} differs; see tests/golden/__init__.py"
