"""Floor 2, the bridge: the template by which a stack takes orphans back in that have no literal name. Pure.

CloudFormation finds a resource by itself only where its name stands literally in the template. Any other has to be
imported by its identifier, and such an import may change nothing else: its template is the one that runs now plus the
imported resources as the release defines them. The release itself follows as an ordinary update.

Source: CloudFormation User Guide, "Import AWS resources into a CloudFormation stack manually".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.model.canonical import Json
from pipeline.model.target_event import Orphan

__all__ = ["IDENTIFIERS", "Bridge", "Unbridgeable", "bridge"]

IDENTIFIERS: Mapping[str, str] = {
    "AWS::Backup::BackupVault": "BackupVaultName",
    "AWS::Cognito::IdentityPool": "Id",
    "AWS::Cognito::UserPool": "UserPoolId",
    "AWS::DynamoDB::GlobalTable": "TableName",
    "AWS::DynamoDB::Table": "TableName",
    "AWS::EC2::Volume": "VolumeId",
    "AWS::ECR::Repository": "RepositoryName",
    "AWS::EFS::FileSystem": "FileSystemId",
    "AWS::ElastiCache::ReplicationGroup": "ReplicationGroupId",
    "AWS::KMS::Key": "KeyId",
    "AWS::Kinesis::Stream": "Name",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::Neptune::DBCluster": "DBClusterIdentifier",
    "AWS::Neptune::DBInstance": "DBInstanceIdentifier",
    "AWS::OpenSearchService::Domain": "DomainName",
    "AWS::RDS::DBCluster": "DBClusterIdentifier",
    "AWS::RDS::DBInstance": "DBInstanceIdentifier",
    "AWS::S3::Bucket": "BucketName",
    "AWS::SQS::Queue": "QueueUrl",
    "AWS::SecretsManager::Secret": "Id",
}
"""The property by which a resource is imported, for stateful types whose physical id is its value: the primary
identifier of the type in CloudFormation's registry, which a test compares. Others are for a person."""

_KEPT = frozenset({"Retain", "RetainExceptOnCreate"})
_IN_TEXT = re.compile(r"\$\{(?!!)([A-Za-z0-9:]+)[^}]*\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """template: to be stored as canonical JSON. taken: what it imports, in order."""

    template: Mapping[str, Json]
    taken: tuple[Orphan, ...]


@dataclass(frozen=True, slots=True)
class Unbridgeable:
    """Why the engine cannot take an orphan back in, for a person."""

    reason: str


def bridge(
    running: Mapping[str, Any], wanted: Mapping[str, Any], orphans: Sequence[Orphan]
) -> Bridge | Unbridgeable:
    """running, wanted: the templates of what runs and of the release. orphans: those to take back in, all of them."""
    for template in (running, wanted):
        if "Transform" in template:
            return Unbridgeable("its template is made by a macro")
    taken = tuple(sorted(orphans, key=lambda orphan: orphan.logical_id))
    known = _names(running) | {orphan.logical_id for orphan in taken}
    resources = dict(running.get("Resources", {}))
    for orphan in taken:
        body = wanted.get("Resources", {}).get(orphan.logical_id, {})
        fault = _fault(orphan, body, known)
        if fault:
            return Unbridgeable(f"{orphan.logical_id}: {fault}")
        resources[orphan.logical_id] = body
    return Bridge(template={**running, "Resources": resources}, taken=taken)


def _fault(orphan: Orphan, body: Mapping[str, Any], known: frozenset[str]) -> str:
    if orphan.resource_type not in IDENTIFIERS:
        return f"nobody here knows by what a {orphan.resource_type} is imported"
    if body.get("Type") != orphan.resource_type:
        return "the release does not define it"
    if body.get("DeletionPolicy") not in _KEPT:
        return "the release does not retain it"
    named = body.get("Properties", {}).get(IDENTIFIERS[orphan.resource_type])
    if isinstance(named, str) and named != orphan.physical_id:
        return f"the release calls it {named}, and it is {orphan.physical_id}"
    missing = sorted(set(_references(body)) - known)
    return f"it refers to {', '.join(missing)}, which the stack does not have yet" if missing else ""


def _names(template: Mapping[str, Any]) -> frozenset[str]:
    """Whatever a resource can refer to."""
    sections = ("Resources", "Parameters", "Conditions", "Mappings")
    return frozenset(name for section in sections for name in template.get(section, {}))


def _references(value: object) -> Iterator[str]:
    """Logical names that a resource's definition refers to; pseudo parameters left out."""
    if isinstance(value, str) or not isinstance(value, Mapping | Sequence):
        return
    if not isinstance(value, Mapping):
        for item in value:
            yield from _references(item)
        return
    for key, item in value.items():
        yield from (name for name in _named_by(key, item) if not name.startswith("AWS::"))
        yield from _references(item)


def _named_by(key: object, item: object) -> Iterator[str]:
    first = item[0] if isinstance(item, Sequence) and item and not isinstance(item, str) else item
    match key:
        case "Ref" | "Condition" if isinstance(item, str):
            yield item
        case "Fn::GetAtt" if isinstance(first, str):
            yield first.partition(".")[0]
        case "Fn::Sub" if isinstance(first, str):
            own = (
                item[1] if isinstance(item, Sequence) and not isinstance(item, str) and len(item) > 1 else {}
            )
            names = (str(found) for found in _IN_TEXT.findall(first))
            yield from (name for name in names if not (isinstance(own, Mapping) and name in own))
        case "Fn::If" | "Fn::FindInMap" if isinstance(first, str):
            yield first
        case "DependsOn":
            yield from (
                [item] if isinstance(item, str) else [str(i) for i in item] if isinstance(item, list) else []
            )
        case _:
            return
