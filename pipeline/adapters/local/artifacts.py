"""Floor 3, adapters: immutable files in a folder, for simulations and tests. The same rules as in S3.

One folder per Region, files named by their sha256, documents written once. It must never overwrite.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import ArtifactDamaged, ArtifactMissing, RequestRefused, VersionTaken
from pipeline.model.canonical import sha256_hex
from pipeline.model.ids import REGION, Digest, digest
from pipeline.model.release import artifact_key

__all__ = ["FolderArtifacts"]

_DOCUMENT = re.compile(r"[a-z0-9][A-Za-z0-9@._-]*(/[A-Za-z0-9][A-Za-z0-9@._-]*)*")


class FolderArtifacts:
    """The port `Artifacts` below `folder`: REGION/sha256/HEX, and documents/NAME."""

    def __init__(self, folder: Path, home: str = "us-east-1") -> None:
        self._folder = folder
        self._home = home

    def put(self, content: bytes, regions: Sequence[str]) -> tuple[Digest, int]:
        name = digest(sha256_hex(content))
        return name, sum(self._put_in(name, content, region) for region in dict.fromkeys(regions))

    def _put_in(self, name: Digest, content: bytes, region: str) -> int:
        if _create(self._path(name, region), content):
            return 1
        self.get(name, region)
        return 0

    def get(self, wanted: Digest, region: str | None = None) -> bytes:
        place = region or self._home
        try:
            content = self._path(wanted, place).read_bytes()
        except FileNotFoundError:
            raise ArtifactMissing(f"{wanted} is not in {place}", state="nothing was touched") from None
        if digest(sha256_hex(content)) != wanted:
            raise ArtifactDamaged(
                f"the artifact {wanted} in {place} does not have the digest that names it",
                state="nothing was touched",
            )
        return content

    def has(self, wanted: Digest, region: str) -> bool:
        return self._path(wanted, region).is_file()

    def put_document(self, name: str, content: bytes) -> bool:
        path = self._document(name)
        if _create(path, content):
            return True
        if path.read_bytes() == content:
            return False
        raise VersionTaken(f"{name} exists already, with other content", state="nothing was written")

    def get_document(self, name: str) -> bytes | None:
        try:
            return self._document(name).read_bytes()
        except FileNotFoundError:
            return None

    def _path(self, name: Digest, region: str) -> Path:
        if not REGION.fullmatch(region):
            raise RequestRefused(f"{region!r} is no Region")
        return self._folder / region / artifact_key(name)

    def _document(self, name: str) -> Path:
        if not _DOCUMENT.fullmatch(name):
            raise RequestRefused(f"{name!r} is no name of a document", state="nothing was written")
        return self._folder / "documents" / name


def _create(path: Path, content: bytes) -> bool:
    """Whole or not at all; False where the file exists. A link is refused by the file system, never replaced."""
    if path.exists():
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    number, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(number, "wb") as file:
            file.write(content)
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        Path(temporary).unlink()
    return True
