"""Floor 2, decide: a manifest as a signed statement of where a release comes from, and back. Pure.

in-toto Statement v1 with SLSA provenance v1 inside a DSSE envelope. No time and no place stands in the statement,
so that the same input gives the same bytes. Nothing here trusts what an envelope says of its own key: the caller
gives a check that knows the pinned key.

Sources: in-toto attestation spec v1 (Statement), SLSA v1.0 (provenance), DSSE v1.0.2 (envelope, PAE).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Callable
from typing import TypeAlias

from pipeline.errors import IntegrityBroken
from pipeline.model.canonical import Json, canonical
from pipeline.model.codec import decode, sparse_json
from pipeline.model.ids import ReleaseName
from pipeline.model.release import Artifact, Manifest

__all__ = [
    "BUILD_TYPE",
    "PAYLOAD_TYPE",
    "SignatureCheck",
    "envelope_bytes",
    "open_manifest",
    "signed_digest",
    "statement_bytes",
]

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:tidegate:build:1"
MAX_ENVELOPE_BYTES = 16 * 1024 * 1024
MAX_SIGNATURES = 10
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")

SignatureCheck: TypeAlias = Callable[[bytes, bytes], bool]
"""(sha256 that was signed, signature) -> whether the pinned key made it."""


# --- writing ---------------------------------------------------------------------------------------


def statement_bytes(manifest: Manifest) -> bytes:
    """The statement in its one canonical form."""
    return canonical(_statement(manifest))


def signed_digest(payload: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """sha256 of DSSE's pre-authentication encoding: what the key signs (KMS: MessageType DIGEST)."""
    kind = payload_type.encode("utf-8")
    encoded = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
    return hashlib.sha256(encoded).digest()


def envelope_bytes(payload: bytes, key: str, signature: bytes) -> bytes:
    """The DSSE envelope as it is stored. keyid is for people; whoever verifies uses the pinned key."""
    return canonical(
        {
            "payload": base64.b64encode(payload).decode("ascii"),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"keyid": key, "sig": base64.b64encode(signature).decode("ascii")}],
        }
    )


def _statement(manifest: Manifest) -> Json:
    return {
        "_type": STATEMENT_TYPE,
        "subject": [_subject(artifact) for artifact in manifest.artifacts],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "service": manifest.release.service,
                    "version": manifest.release.version,
                    "spec": manifest.spec,
                },
                "internalParameters": {"manifest": sparse_json(manifest)},
                "resolvedDependencies": [*_sources(manifest), *(_input(i) for i in manifest.inputs)],
            },
            "runDetails": {"builder": {"id": manifest.builder}},
        },
    }


def _subject(artifact: Artifact) -> Json:
    return {"name": artifact.purpose, "digest": {"sha256": artifact.digest.removeprefix("sha256:")}}


def _sources(manifest: Manifest) -> list[Json]:
    if not _COMMIT.fullmatch(manifest.commit):
        return []
    return [
        {
            "name": "source",
            "digest": {"gitCommit": manifest.commit},
            "annotations": {"uncommittedChanges": manifest.dirty},
        }
    ]


def _input(item: tuple[str, str]) -> Json:
    path, sha256 = item
    return {"name": path, "digest": {"sha256": sha256.removeprefix("sha256:")}}


# --- reading ---------------------------------------------------------------------------------------


def open_manifest(envelope: bytes, check: SignatureCheck, expected: ReleaseName) -> Manifest:
    """The manifest of a stored envelope. IntegrityBroken for whatever is damaged, unsigned, signed by another
    key, of another payload type, or about another release."""
    payload, signatures = _unwrap(envelope, expected)
    signed = signed_digest(payload)
    if not any(check(signed, signature) for signature in signatures):
        raise _broken(expected, "no signature on it was made by the pinned release key")
    manifest = _manifest_of(payload, expected)
    if manifest.release != expected:
        raise _broken(expected, f"it speaks of {manifest.release}")
    return manifest


def _broken(release: ReleaseName, what: str) -> IntegrityBroken:
    return IntegrityBroken(
        f"the manifest of {release} cannot be trusted: {what}",
        state="nothing was touched",
        remedy="find out who changed it; a release whose manifest is broken has to be built again as a new version",
    )


def _unwrap(envelope: bytes, release: ReleaseName) -> tuple[bytes, tuple[bytes, ...]]:
    if len(envelope) > MAX_ENVELOPE_BYTES:
        raise _broken(release, "it is too large")
    try:
        raw = json.loads(envelope)
    except (ValueError, RecursionError):
        raise _broken(release, "it is not JSON") from None
    if not isinstance(raw, dict) or set(raw) != {"payload", "payloadType", "signatures"}:
        raise _broken(release, "it is no DSSE envelope")
    if raw["payloadType"] != PAYLOAD_TYPE:
        raise _broken(release, "its payload type is not in-toto's")
    signatures = raw["signatures"]
    if not isinstance(signatures, list) or not signatures:
        raise _broken(release, "it is not signed")
    if len(signatures) > MAX_SIGNATURES or not all(isinstance(entry, dict) for entry in signatures):
        raise _broken(release, "its signatures are malformed")
    payload = _decoded(raw["payload"], release)
    return payload, tuple(_decoded(entry.get("sig"), release) for entry in signatures)


def _decoded(text: object, release: ReleaseName) -> bytes:
    try:
        return base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except (binascii.Error, ValueError):
        raise _broken(release, "its base64 is damaged") from None


def _manifest_of(payload: bytes, release: ReleaseName) -> Manifest:
    """The statement has to be, byte for byte, the one that its own manifest gives: no two parts can disagree."""
    try:
        inner = json.loads(payload)["predicate"]["buildDefinition"]["internalParameters"]["manifest"]
        manifest = decode(Manifest, inner)
    except (ValueError, TypeError, LookupError, RecursionError) as fault:
        raise _broken(release, f"its statement is not one of ours ({type(fault).__name__})") from None
    if statement_bytes(manifest) != payload:
        raise _broken(release, "its statement contradicts itself")
    return manifest
