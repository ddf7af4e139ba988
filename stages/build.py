"""Room: stages. `release build`: a service's sources become one signed, immutable release. Once.

Build, package, compare with what stands already, upload what is missing, sign, read everything again, record. The
same input again uploads nothing; another input under the same version is refused before anything is uploaded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipeline.decide.findings import OUTLIVING
from pipeline.decide.provenance import envelope_bytes, open_manifest, signed_digest, statement_bytes
from pipeline.errors import NotFound, StreamMoved, UsageError, VersionTaken
from pipeline.model.canonical import sha256_hex
from pipeline.model.event import ReleaseBuilt, release_stream
from pipeline.model.ids import Digest, ReleaseName, digest
from pipeline.model.release import Manifest, ServiceSpec
from pipeline.ports import Artifacts, Commit, Journal, Repository, Signer, Verifier
from stages.check import findings_in, refuse
from stages.manifests import document_name, signature_check, verify_release
from stages.packaging.command import run_build_command
from stages.packaging.package import Sources
from stages.packaging.release import AssembledRelease, Origin, assemble

__all__ = ["UNCOMMITTED", "BuildPorts", "BuildRequest", "BuildResult", "build"]

UNCOMMITTED = "uncommitted"
"""Stands for the commit of sources that are in no git repository."""
LOCAL_BUILDER = "urn:tidegate:builder:local"
_EPOCH = datetime(1980, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """folder: the service's. regions: every Region of the fleet. release_key: ARN as pinned in configuration.

    version: overrides the git tag. builder: a URI that says who builds. actor: who asked, for the journal.
    """

    folder: str
    spec: ServiceSpec
    bucket_prefix: str
    regions: tuple[str, ...]
    release_key: str
    actor: str
    version: str = ""
    allow_untagged: bool = False
    allow_dirty: bool = False
    builder: str = LOCAL_BUILDER


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildPorts:
    repository: Repository
    artifacts: Artifacts
    signer: Signer
    verifier: Verifier
    journal: Journal


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildResult:
    """envelope_digest: of the signed envelope as stored. uploads: objects written, the envelope included.
    already: the release stood there before, with this digest."""

    manifest: Manifest
    envelope_digest: Digest
    uploads: int
    already: bool


def build(request: BuildRequest, ports: BuildPorts, say: Callable[[str], None]) -> BuildResult:
    """say: gets the build command's output, line by line.

    UsageError for a dirty tree, an untagged commit or a doubtful version; ConfigInvalid and BuildFailed for the
    sources; VersionTaken where this version exists with another digest; IntegrityBroken where what stands there
    is damaged; BlockedByPolicy where data would not outlive its stack. Nothing is uploaded in any of these cases.
    """
    if ports.signer.key != request.release_key:
        raise UsageError(
            "the signing key is not the pinned release key",
            state="nothing was built",
            remedy="set [tools] release_key in fleet.toml; release bootstrap tools writes it",
        )
    commit = _commit(request, ports.repository)
    release = _release_name(request, commit)
    made = _made(request, commit, release, say)
    _refuse_data_that_would_not_outlive(made)
    standing = _standing(release, request, ports)
    _refuse_other_digest(release, made.manifest, standing, ports.journal)
    manifest = made.manifest if standing is None else standing[0]
    uploads = _upload(made, manifest, request.regions, ports.artifacts)
    verify_release(manifest, ports.artifacts, request.regions)
    if standing is None:
        manifest, envelope, written = _sign(made.manifest, request, ports)
        uploads += written
    else:
        envelope = standing[1]
    envelope_digest = digest(sha256_hex(envelope))
    _record(manifest, envelope_digest, request.actor, ports.journal)
    return BuildResult(
        manifest=manifest,
        envelope_digest=envelope_digest,
        uploads=uploads,
        already=standing is not None,
    )


# --- which commit, which version -------------------------------------------------------------------


def _commit(request: BuildRequest, repository: Repository) -> Commit:
    try:
        commit = repository.commit(request.folder, request.spec.name)
    except NotFound:
        if not (request.allow_untagged and request.allow_dirty and request.version):
            raise
        return Commit(sha=UNCOMMITTED, dirty=True, versions=(), at=_EPOCH)
    if commit.dirty and not request.allow_dirty:
        raise UsageError(
            "the working tree has changes that are not committed",
            state="nothing was built",
            remedy="commit or stash them (git status shows them), or say --allow-dirty",
        )
    return commit


def _release_name(request: BuildRequest, commit: Commit) -> ReleaseName:
    service, version = request.spec.name, request.version
    tagged = version in commit.versions if version else len(commit.versions) == 1
    if not tagged and not (version and request.allow_untagged):
        raise _doubtful(service, version, commit)
    try:
        return ReleaseName(service, version or commit.versions[0])
    except ValueError as fault:
        raise UsageError(str(fault), state="nothing was built", remedy="write --version 1.4.0") from None


def _doubtful(service: str, version: str, commit: Commit) -> UsageError:
    short = commit.sha[:12]
    if commit.versions and version:
        problem = f"commit {short} is tagged {', '.join(commit.versions)}, not {version}"
        remedy = f"release build --version {commit.versions[0]}, or add --allow-untagged"
    elif commit.versions:
        problem = f"commit {short} carries several versions: {', '.join(commit.versions)}"
        remedy = f"release build --version {commit.versions[-1]}"
    else:
        wanted = version or "1.0.0"
        problem = f"commit {short} has no version tag"
        remedy = f"git tag {service}/{wanted}, or release build --version {wanted} --allow-untagged"
    return UsageError(problem, state="nothing was built", remedy=remedy)


# --- what is made, and what stands there already ---------------------------------------------------


def _made(
    request: BuildRequest, commit: Commit, release: ReleaseName, say: Callable[[str], None]
) -> AssembledRelease:
    folder = Path(request.folder)
    if request.spec.build:
        variables = (
            ("SOURCE_DATE_EPOCH", str(int(commit.at.timestamp()))),  # reproducible-builds.org
            ("TIDEGATE_RELEASE", str(release)),
        )
        run_build_command(request.spec.build, folder, variables, say)
    sources = Sources(folder=folder, root=_top(folder), bucket_prefix=request.bucket_prefix)
    origin = Origin(release=release, commit=commit.sha, dirty=commit.dirty, builder=request.builder)
    return assemble(request.spec, sources, origin)


def _top(folder: Path) -> Path:
    """The working tree that holds the folder, or the folder itself."""
    whole = folder.resolve()
    return next((parent for parent in (whole, *whole.parents) if (parent / ".git").exists()), whole)


def _refuse_data_that_would_not_outlive(made: AssembledRelease) -> None:
    """BlockedByPolicy: what such a template once made is lost with the first mistake, so it never becomes a release."""
    contents = dict(made.contents)
    found = findings_in(made.manifest, contents.__getitem__)
    refuse(tuple(f for f in found if f.rule == OUTLIVING), str(made.manifest.release))


def _standing(
    release: ReleaseName, request: BuildRequest, ports: BuildPorts
) -> tuple[Manifest, bytes] | None:
    check = signature_check(ports.verifier, request.release_key)
    envelope = ports.artifacts.get_document(document_name(release))
    if envelope is None:
        return None
    return open_manifest(envelope, check, release), envelope


def _refuse_other_digest(
    release: ReleaseName, made: Manifest, standing: tuple[Manifest, bytes] | None, journal: Journal
) -> None:
    known = {standing[0].digest: standing[0].commit} if standing is not None else {}
    recorded = _recorded(release, journal)
    if recorded is not None:
        known[recorded.digest] = recorded.commit
    for other, commit in known.items():
        if other != made.digest:
            raise VersionTaken(
                f"{release} exists already, built from commit {commit[:12]}, with another digest",
                state="nothing was uploaded",
                remedy="a version never changes: build this under the next version",
                details=(f"it is {other}", f"this build is {made.digest}"),
            )


def _upload(
    made: AssembledRelease, manifest: Manifest, regions: tuple[str, ...], artifacts: Artifacts
) -> int:
    listed = {artifact.digest for artifact in manifest.artifacts}
    return sum(artifacts.put(content, regions)[1] for name, content in made.contents if name in listed)


def _sign(manifest: Manifest, request: BuildRequest, ports: BuildPorts) -> tuple[Manifest, bytes, int]:
    payload = statement_bytes(manifest)
    envelope = envelope_bytes(payload, ports.signer.key, ports.signer.sign(signed_digest(payload)))
    name = document_name(manifest.release)
    try:
        written = ports.artifacts.put_document(name, envelope)
    except VersionTaken:
        # Signatures are random: a build of the same input at the same time wrote another envelope for it.
        standing = _standing(manifest.release, request, ports)
        _refuse_other_digest(manifest.release, manifest, standing, ports.journal)
        if standing is None:
            raise
        return (*standing, 0)
    return manifest, envelope, int(written)


# --- the journal -----------------------------------------------------------------------------------


def _recorded(release: ReleaseName, journal: Journal) -> ReleaseBuilt | None:
    entries = journal.read(release_stream(release))
    return next((entry.event for entry in reversed(entries) if isinstance(entry.event, ReleaseBuilt)), None)


def _record(manifest: Manifest, envelope: Digest, actor: str, journal: Journal) -> None:
    """Once. Another builder of the same release may have been quicker: then its record stands."""
    stream = release_stream(manifest.release)
    event = ReleaseBuilt(digest=manifest.digest, manifest=envelope, commit=manifest.commit)
    while _recorded(manifest.release, journal) is None:
        head = journal.head(stream)
        try:
            journal.append(stream, (event,), expected=head.seq, fence=head.fence, actor=actor)
        except StreamMoved:
            continue
