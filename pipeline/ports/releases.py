"""Floor 2, ports: artifacts, signatures and sources. No code here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pipeline.model.ids import Digest

__all__ = ["Artifacts", "Commit", "Repository", "Signer", "Verifier"]


class Artifacts(Protocol):
    """Immutable files in the bucket of every Region of the fleet, and named documents written once."""

    def put(self, content: bytes, regions: Sequence[str]) -> tuple[Digest, int]:
        """(digest, number of uploads made): 0 where every Region had it. If-None-Match guards each."""
        ...

    def get(self, wanted: Digest, region: str | None = None) -> bytes:
        """Verified on every read. ArtifactMissing, ArtifactDamaged."""
        ...

    def has(self, wanted: Digest, region: str) -> bool: ...

    def put_document(self, name: str, content: bytes) -> bool:
        """Write once under a readable name such as `releases/intake/1.4.0.json`. False where exactly these bytes
        stand there already; VersionTaken where others do."""
        ...

    def get_document(self, name: str) -> bytes | None: ...


class Signer(Protocol):
    key: str

    def sign(self, sha256: bytes) -> bytes:
        """ECDSA over P-256 of a 32-byte digest; DER, as KMS returns it."""
        ...


class Verifier(Protocol):
    def verify(self, key: str, sha256: bytes, signature: bytes) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    sha: str
    dirty: bool
    versions: tuple[str, ...]
    """From tags on this very commit: `intake/1.4.0`, `intake@1.4.0`, `v1.4.0` and `1.4.0` all give 1.4.0."""
    at: datetime


class Repository(Protocol):
    def commit(self, folder: str, service: str) -> Commit:
        """Read only. NotFound where the folder is in no git repository or has no commit."""
        ...
