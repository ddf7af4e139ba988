"""A service in a folder, and all that a build of it needs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.adapters.local.artifacts import FolderArtifacts
from pipeline.adapters.simulated.clock import SimulatedClock
from pipeline.adapters.simulated.stores import MemoryJournal
from pipeline.errors import NotFound
from pipeline.model.release import ServiceSpec
from pipeline.ports import Commit
from stages.build import BuildPorts, BuildRequest, BuildResult, build
from tests.stages.keys import KeyRing, TestKey

__all__ = ["AT", "CLIENT_TEMPLATE", "KEY", "REGIONS", "FixedRepository", "Workshop", "a_service", "files_in"]

AT = datetime(2026, 3, 4, tzinfo=UTC)
KEY = "arn:aws:kms:us-east-1:210987654321:key/11111111-2222-3333-4444-555555555555"
REGIONS = ("eu-west-1", "us-east-1")
CLIENT_TEMPLATE = """\
AWSTemplateFormatVersion: 2010-09-09
Parameters:
  Client: {Type: String}
Resources:
  Form:
    Type: AWS::Lambda::Function
    Properties:
      Runtime: python3.11
      Handler: app.handler
      Code: client/
      Role: !GetAtt Role.Arn
Outputs:
  Url: {Value: !Ref Form}
"""


@dataclass
class FixedRepository:
    """ports.Repository: says what a test wants git to say. None: there is no repository."""

    commit_now: Commit | None = field(
        default_factory=lambda: Commit(sha="c" * 40, dirty=False, versions=("1.0.0",), at=AT)
    )

    def commit(self, folder: str, service: str) -> Commit:
        if self.commit_now is None:
            raise NotFound(f"{folder} is in no git repository")
        return self.commit_now

    def says(self, **changes: Any) -> None:
        assert self.commit_now is not None
        self.commit_now = replace(self.commit_now, **changes)


def a_service(folder: Path) -> ServiceSpec:
    """The smallest service that has everything: one function, one template."""
    (folder / "client").mkdir(parents=True)
    (folder / "client" / "app.py").write_text("def handler(event, context):\n    return 1\n")
    (folder / "client.yaml").write_text(CLIENT_TEMPLATE)
    return ServiceSpec(name="intake", client_template="client.yaml")


class Workshop:
    """One tools account: artifacts, key, journal; `build` builds the service that stands in `folder`."""

    def __init__(self, root: Path, spec: ServiceSpec, folder: Path) -> None:
        self.store = root
        self.spec = spec
        self.folder = folder
        self.repository = FixedRepository()
        self.key = TestKey(KEY)
        self.artifacts = FolderArtifacts(root)
        self.journal = MemoryJournal(SimulatedClock(AT))
        self.said: list[str] = []
        self.ports = BuildPorts(
            repository=self.repository,
            artifacts=self.artifacts,
            signer=self.key,
            verifier=KeyRing(self.key),
            journal=self.journal,
        )

    def request(self, **changes: Any) -> BuildRequest:
        request = BuildRequest(
            folder=str(self.folder),
            spec=self.spec,
            bucket_prefix="tidegate-artifacts-210987654321",
            regions=REGIONS,
            release_key=KEY,
            actor="ada",
        )
        return replace(request, **changes)

    def build(self, **changes: Any) -> BuildResult:
        return build(self.request(**changes), self.ports, self.said.append)


def files_in(folder: Path) -> dict[str, bytes]:
    """Everything below a folder, to show that nothing was touched."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
