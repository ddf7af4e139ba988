"""Floor 1, releases: what a service's release.toml asks for and what a signed manifest lists. No effects."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipeline.model.canonical import Json, canonical, sha256_hex
from pipeline.model.ids import Digest, ReleaseName, digest
from pipeline.model.policy import HealthPolicy, WavePolicy

__all__ = [
    "Artifact",
    "BuiltStack",
    "Contract",
    "Evidence",
    "Manifest",
    "Parameter",
    "ServiceSpec",
    "TestPolicy",
    "release_digest",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """Paths and globs, relative to the service's folder; empty where the service has none."""

    openapi: str = ""
    events: str = ""
    sdk: str = ""
    tests: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestPolicy:
    __test__ = False
    accounts: int = 1
    tests: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSpec:
    """One release.toml. Template paths are relative to the service's folder; "" where there is no such stack.

    rollback_safe: False where the release says of itself that going back may lose data: a failure then holds.
    """

    name: str
    build: str = ""
    service_template: str = ""
    client_template: str = ""
    contract: Contract = Contract()
    test: TestPolicy = TestPolicy()
    health: HealthPolicy = HealthPolicy()
    waves: WavePolicy = WavePolicy()
    rollback_safe: bool = True

    def health_of(self, role: str) -> HealthPolicy:
        """The client stack answers calls; the service's own stack is judged by its alarms alone."""
        if role == "client":
            return self.health
        return HealthPolicy(alarms=self.health.alarms, deadline=self.health.deadline)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Artifact:
    """An immutable file named by its sha256. content: digest of sorted (path, sha256) of a zip's members,
    which does not depend on the zlib that packed it; equal to `digest` for a plain file."""

    digest: Digest
    content: Digest
    size: int
    """bytes"""
    purpose: str
    """Where it came from: `client.yaml#Form.Code`, `template:client`, …"""
    lambda_functions: tuple[str, ...] = ()
    """Logical ids of AWS::Lambda::Function whose code this is."""

    @property
    def key(self) -> str:
        return artifact_key(self.digest)


def artifact_key(value: Digest) -> str:
    """The S3 key of an artifact in the bucket of every Region."""
    return f"sha256/{value.removeprefix('sha256:')}"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Parameter:
    """One template parameter. default None: the template has none and a value must be given."""

    name: str
    type: str
    default: str | None
    no_echo: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltStack:
    """role: `service` or `client`. template: digest of the canonical JSON with the mark in it, the bytes that
    CloudFormation gets. unmarked: the same without the mark; the release's digest is made of these.
    functions: (logical id, digest of its zip) of each Lambda function in the template itself."""

    role: str
    template: Digest
    unmarked: Digest
    parameters: tuple[Parameter, ...] = ()
    functions: tuple[tuple[str, Digest], ...] = ()
    resource_types: tuple[tuple[str, str], ...] = ()
    """(logical id, type) of every resource, so that first creations can be shown without asking AWS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The signed list of a release. `digest` is the release's identity (see release_digest)."""

    release: ReleaseName
    digest: Digest
    commit: str
    dirty: bool = False
    builder: str = ""
    stacks: tuple[BuiltStack, ...]
    artifacts: tuple[Artifact, ...]
    inputs: tuple[tuple[str, str], ...] = ()
    """(path, sha256) of the sources that went in"""
    spec: Digest
    """Digest of the canonical release.toml the build read; stored as an artifact."""

    def stack(self, role: str) -> BuiltStack | None:
        return next((s for s in self.stacks if s.role == role), None)


def release_digest(
    release: ReleaseName, commit: str, stacks: tuple[tuple[str, Digest], ...], artifacts: tuple[Digest, ...]
) -> Digest:
    """The identity of a release: its name, its commit, its unmarked templates and its artifacts.

    stacks: (role, digest of the template before the mark is added). The mark carries this digest, so the
    digest cannot be made of the marked template; the manifest lists both.
    """
    content: Json = {
        "release": str(release),
        "commit": commit,
        "stacks": dict(stacks),
        "artifacts": sorted(artifacts),
    }
    return digest(sha256_hex(canonical(content)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What `release test` proved, bound to a release's digest. tests: (passed, failed, skipped)."""

    release: str
    digest: Digest
    accounts: tuple[str, ...]
    passed: int
    failed: int
    skipped: int
    seconds: int
    junit: str = field(default="")
