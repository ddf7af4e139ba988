"""Floor 3, stages: who Tidegate's own roles trust, and where templates may come from, as parameters. No calls."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.errors import UsageError
from pipeline.model.ids import AccountId

__all__ = ["Trusted", "partition_of", "principal_patterns", "root_of", "template_addresses", "trusted_with"]

_SESSION = re.compile(r"arn:(aws[a-z-]*):sts::([0-9]{12}):assumed-role/([\w+=,.@-]+)/.+")
_PRINCIPAL = re.compile(r"arn:(aws[a-z-]*):iam::([0-9]{12}):(?:root|(?:user|role)/[\w+=,.@/*-]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trusted:
    """accounts: ARNs of the roots that a trust policy can name. principals: patterns for aws:PrincipalArn."""

    accounts: tuple[str, ...]
    principals: tuple[str, ...]


def principal_patterns(arn: str) -> tuple[str, ...]:
    """What aws:PrincipalArn is for this caller: for a session the role's own ARN, whose path STS does not tell.

    (IAM User Guide, global condition keys: aws:PrincipalArn.) UsageError for a caller that cannot be trusted.
    """
    session = _SESSION.fullmatch(arn)
    if session is not None:
        partition, account, role = session.groups()
        return tuple(f"arn:{partition}:iam::{account}:role/{path}{role}" for path in ("", "*/"))
    if _PRINCIPAL.fullmatch(arn):
        return (arn,)
    raise UsageError(
        f"{arn} is neither a user nor a role",
        state="nothing was touched",
        remedy="bootstrap as an IAM user or with a role (for example through AWS IAM Identity Center)",
    )


def trusted_with(arn: str, earlier: str) -> Trusted:
    """The caller and everybody who was trusted before. earlier: a comma-separated stack parameter."""
    principals = {*principal_patterns(arn), *(text for text in earlier.split(",") if text)}
    accounts = {f"arn:{p.split(':')[1]}:iam::{p.split(':')[4]}:root" for p in principals}
    return Trusted(accounts=tuple(sorted(accounts)), principals=tuple(sorted(principals)))


def partition_of(region: str) -> str:
    """AWS General Reference, "ARNs": what ARNs of a Region begin with."""
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"


def root_of(account: AccountId, region: str) -> str:
    return f"arn:{partition_of(region)}:iam::{account}:root"


def template_addresses(tools: AccountId, regions: Iterable[str]) -> tuple[str, ...]:
    """Patterns for cloudformation:TemplateUrl: the artifacts in the bucket of each Region, and nothing else."""
    found = []
    for region in sorted(set(regions)):
        suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        found.append(f"https://s3.{region}.{suffix}/tidegate-artifacts-{tools}-{region}/sha256/*")
    return tuple(found)
