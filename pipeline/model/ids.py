"""Floor 1, names: every identifier is checked where it is made, so that nothing later has to wonder. No effects."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NewType

__all__ = [
    "ACCOUNT_ID",
    "DIGEST",
    "NAME",
    "REGION",
    "AccountId",
    "Digest",
    "ReleaseName",
    "TargetId",
    "account_id",
    "digest",
    "is_version",
    "stack_name",
]

AccountId = NewType("AccountId", str)
Digest = NewType("Digest", str)
"""`sha256:` and 64 hex digits."""

ACCOUNT_ID = re.compile(r"[0-9]{12}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
NAME = re.compile(r"[a-z][a-z0-9-]{0,30}[a-z0-9]")
REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]")
# Semantic versioning without build metadata: `+` is not allowed in S3 keys and stack outputs alike.
_VERSION = re.compile(r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?")


def account_id(text: str) -> AccountId:
    """A 12-digit string; one in nine real ids begins with 0, so it is never a number. ValueError otherwise."""
    if not ACCOUNT_ID.fullmatch(text):
        raise ValueError(f"{text!r} is not a 12-digit account id")
    return AccountId(text)


def digest(sha256: str) -> Digest:
    """From 64 hex digits, or from a text that already carries its `sha256:`. ValueError otherwise."""
    text = sha256 if sha256.startswith("sha256:") else f"sha256:{sha256}"
    if not DIGEST.fullmatch(text):
        raise ValueError(f"{sha256!r} is not a sha256 digest")
    return Digest(text)


def is_version(text: str) -> bool:
    return _VERSION.fullmatch(text) is not None


@dataclass(frozen=True, slots=True, order=True)
class ReleaseName:
    """One version of one service, written `intake@1.4.0`."""

    service: str
    version: str

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.service):
            raise ValueError(
                f"{self.service!r} is not a service name: lower-case letters, digits and hyphens"
            )
        if not is_version(self.version):
            raise ValueError(f"{self.version!r} is not a version: write MAJOR.MINOR.PATCH")

    @classmethod
    def parse(cls, text: str) -> ReleaseName:
        service, at, version = text.partition("@")
        if not at:
            raise ValueError(f"{text!r} is not a release: write SERVICE@VERSION, such as intake@1.4.0")
        return cls(service, version)

    def __str__(self) -> str:
        return f"{self.service}@{self.version}"


@dataclass(frozen=True, slots=True, order=True)
class TargetId:
    """One stack of one service in one account and Region.

    owner: the client's name; for the service's own account `@` and the service's name; for a leased test
    account `~` and the account's name. Written `acme/us-east-1`.
    """

    owner: str
    region: str

    @property
    def is_client(self) -> bool:
        return not self.owner.startswith(("@", "~"))

    @classmethod
    def parse(cls, text: str) -> TargetId:
        owner, slash, region = text.rpartition("/")
        if not slash or not owner or not REGION.fullmatch(region):
            raise ValueError(f"{text!r} is not a target: write CLIENT/REGION, such as acme/us-east-1")
        return cls(owner, region)

    def __str__(self) -> str:
        return f"{self.owner}/{self.region}"


def stack_name(service: str) -> str:
    """The stack of a service has one name everywhere; the deploy role is allowed `svc-*` and nothing else."""
    return f"svc-{service}"
