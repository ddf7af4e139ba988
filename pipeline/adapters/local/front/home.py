"""Room: adapters/local/front. The folder that a local AWS lives in: names, settings, and safe writing.

It never holds a secret in a file that others may read, and never leaves half a file behind.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Credentials", "Home"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The access key of the one person of a local AWS: user `admin` of the management account."""

    access_key_id: str
    secret_access_key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """Every path below the folder of one local AWS."""

    path: Path

    @property
    def running(self) -> Path:
        """Who runs: pid, start time, port, and the mark that its answers must carry."""
        return self.path / "running.json"

    @property
    def settings(self) -> Path:
        """What was chosen at the first start and stays: the port."""
        return self.path / "settings.json"

    @property
    def credentials(self) -> Path:
        """The admin's access key; readable by its owner only."""
        return self.path / "credentials.json"

    @property
    def organization(self) -> Path:
        """The state of AWS Organizations."""
        return self.path / "organization.json"

    @property
    def state(self) -> Path:
        """What ministack keeps between runs."""
        return self.path / "state"

    @property
    def log(self) -> Path:
        """The log of the front's process."""
        return self.path / "front.log"

    @property
    def unsaved(self) -> Path:
        """There while a front runs: found at a start, it says that the last one was killed."""
        return self.path / "unsaved"

    @property
    def lock(self) -> Path:
        """Held while a front is started or stopped."""
        return self.path / "lock"

    def prepare(self) -> None:
        """Make the folder, for its owner only."""
        self.path.mkdir(parents=True, exist_ok=True)
        self.path.chmod(0o700)
        self.state.mkdir(exist_ok=True)

    def read(self, path: Path) -> dict[str, Any] | None:
        """A JSON object from a file of this folder, or None when there is none."""
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        if not isinstance(found, dict):
            raise ValueError(f"{path} does not hold a JSON object")
        return found

    def write(self, path: Path, value: Mapping[str, Any]) -> None:
        """Write a JSON object in one step, readable by its owner only."""
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(value, file)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def read_credentials(self) -> Credentials | None:
        """The admin's key, or None before the first start."""
        found = self.read(self.credentials)
        return Credentials(**found) if found else None
