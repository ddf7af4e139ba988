"""Room: adapters/simulated. Artifacts and documents in memory, per Region. Nothing outlives it."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from pipeline.errors import ArtifactDamaged, ArtifactMissing, VersionTaken
from pipeline.model.canonical import sha256_hex
from pipeline.model.ids import Digest, digest

__all__ = ["MemoryArtifacts"]


class MemoryArtifacts:
    """ports.Artifacts. `damage` swaps bytes behind its back, `lose` removes them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._content: dict[tuple[str, Digest], bytes] = {}
        self._documents: dict[str, bytes] = {}

    def put(self, content: bytes, regions: Sequence[str]) -> tuple[Digest, int]:
        name = digest(sha256_hex(content))
        with self._lock:
            missing = [region for region in regions if (region, name) not in self._content]
            for region in missing:
                self._content[region, name] = content
        return name, len(missing)

    def get(self, wanted: Digest, region: str | None = None) -> bytes:
        with self._lock:
            found = [
                c for (where, name), c in self._content.items() if name == wanted and region in (None, where)
            ]
        if not found:
            raise ArtifactMissing(f"there is no artifact {wanted} in {region or 'any Region'}")
        if digest(sha256_hex(found[0])) != wanted:
            raise ArtifactDamaged(f"the artifact {wanted} has other bytes than its name says")
        return found[0]

    def has(self, wanted: Digest, region: str) -> bool:
        with self._lock:
            return (region, wanted) in self._content

    def put_document(self, name: str, content: bytes) -> bool:
        with self._lock:
            if name not in self._documents:
                self._documents[name] = content
                return True
            found = self._documents[name]
        if found != content:
            raise VersionTaken(f"{name} exists already, with other content")
        return False

    def get_document(self, name: str) -> bytes | None:
        with self._lock:
            return self._documents.get(name)

    def damage(self, wanted: Digest, content: bytes) -> None:
        with self._lock:
            for key in [key for key in self._content if key[1] == wanted]:
                self._content[key] = content

    def lose(self, wanted: Digest) -> None:
        with self._lock:
            for key in [key for key in self._content if key[1] == wanted]:
                del self._content[key]
