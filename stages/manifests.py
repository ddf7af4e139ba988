"""Room: stages. Signed manifests: finding them, trusting them, and reading again what they list.

Nothing of a manifest is used before its signature has been checked with the key that configuration pins.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from pipeline.decide.provenance import SignatureCheck, open_manifest
from pipeline.errors import IntegrityBroken, NotFound, UsageError
from pipeline.model.canonical import canonical, sha256_hex
from pipeline.model.codec import from_json, sparse_json
from pipeline.model.ids import Digest, ReleaseName, digest
from pipeline.model.release import Manifest, ServiceSpec
from pipeline.ports import Artifacts, Verifier

__all__ = [
    "document_name",
    "load_manifest",
    "load_spec",
    "signature_check",
    "spec_from_json",
    "spec_to_json",
    "verify_release",
]

PARALLEL = 8


def document_name(release: ReleaseName) -> str:
    return f"releases/{release.service}/{release.version}.json"


def signature_check(verifier: Verifier, trusted_key: str) -> SignatureCheck:
    """UsageError where no key is pinned: then nothing can be trusted."""
    if not trusted_key:
        raise UsageError(
            "no release key is pinned",
            state="nothing was trusted or touched",
            remedy="release bootstrap tools",
        )

    def check(sha256: bytes, signature: bytes) -> bool:
        return verifier.verify(trusted_key, sha256, signature)

    return check


def load_manifest(
    release: ReleaseName, artifacts: Artifacts, verifier: Verifier, trusted_key: str
) -> tuple[Manifest, Digest]:
    """(manifest, digest of its envelope as stored). NotFound for a release that was never built;
    IntegrityBroken for one whose manifest cannot be trusted."""
    check = signature_check(verifier, trusted_key)
    envelope = artifacts.get_document(document_name(release))
    if envelope is None:
        raise NotFound(
            f"{release} has not been built",
            state="nothing was touched",
            remedy=f"run `release build {release.service}` from a commit tagged {release.service}/{release.version}",
        )
    return open_manifest(envelope, check, release), digest(sha256_hex(envelope))


def verify_release(manifest: Manifest, artifacts: Artifacts, regions: Sequence[str]) -> int:
    """Read every artifact of a release in every Region and compare its digest; the number of reads.

    ArtifactMissing or ArtifactDamaged for the first that does not hold; the bytes of none are kept.
    """
    wanted = [(item.digest, item.size, region) for item in manifest.artifacts for region in regions]

    def read(item: tuple[Digest, int, str]) -> None:
        name, size, region = item
        if len(artifacts.get(name, region)) != size:
            raise IntegrityBroken(f"{name} in {region} has another size than the manifest says")

    with ThreadPoolExecutor(max_workers=PARALLEL) as pool:
        for _ in pool.map(read, wanted):
            pass
    return len(wanted)


def load_spec(manifest: Manifest, artifacts: Artifacts) -> ServiceSpec:
    """The release.toml that the build read, out of the release itself."""
    return spec_from_json(artifacts.get(manifest.spec))


def spec_to_json(spec: ServiceSpec) -> bytes:
    return canonical(sparse_json(spec))


def spec_from_json(content: bytes) -> ServiceSpec:
    """IntegrityBroken where the bytes are not exactly a spec of ours."""
    try:
        return from_json(ServiceSpec, content)
    except ValueError as fault:
        raise IntegrityBroken(
            f"the stored release.toml of a release cannot be read: {fault}", state="nothing was touched"
        ) from None
