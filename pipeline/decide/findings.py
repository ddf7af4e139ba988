"""Floor 2, decide: what a template leaves undone that every client may expect. Pure.

Encryption at rest and on the wire, and data that outlives its stack. A value that only AWS can compute counts
where it must be a key; where it must be `true`, it does not: what cannot be read is never healthy.

Source: CloudFormation resource reference of each type; DESIGN section 1 (encrypted at rest and on the wire).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.decide.stateful import NESTED_STACK, STATEFUL_TYPES
from pipeline.decide.template import resources_of
from pipeline.decide.template_text import TemplateBody

__all__ = ["OUTLIVING", "Finding", "findings_of"]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Finding:
    """rule: stable name. where: `client.yaml: Resources.Forms`. text: what to write."""

    where: str
    rule: str
    text: str


def _is_given(value: object) -> bool:
    """Given on every branch: AWS::NoValue is as good as nothing."""
    if value is None or value in ("", {}, [], {"Ref": "AWS::NoValue"}):
        return False
    branches = _branches(value)
    return all(_is_given(branch) for branch in branches) if branches is not None else True


def _is_true(value: object) -> bool:
    branches = _branches(value)
    if branches is not None:
        return all(_is_true(branch) for branch in branches)
    return value is True or value == "true"


def _branches(value: object) -> tuple[object, object] | None:
    if isinstance(value, Mapping) and set(value) == {"Fn::If"}:
        parts = value["Fn::If"]
        if isinstance(parts, list) and len(parts) == 3:
            return parts[1], parts[2]
    return None


_Test = Callable[[object], bool]
_ENCRYPTED: Mapping[str, tuple[tuple[str, _Test], ...]] = {
    "AWS::DocDB::DBCluster": (("StorageEncrypted", _is_true),),
    "AWS::DynamoDB::GlobalTable": (("SSESpecification.SSEEnabled", _is_true),),
    "AWS::DynamoDB::Table": (("SSESpecification.SSEEnabled", _is_true),),
    "AWS::EC2::Volume": (("Encrypted", _is_true),),
    "AWS::EFS::FileSystem": (("Encrypted", _is_true),),
    "AWS::ElastiCache::ReplicationGroup": (
        ("AtRestEncryptionEnabled", _is_true),
        ("TransitEncryptionEnabled", _is_true),
    ),
    "AWS::Kinesis::Stream": (("StreamEncryption", _is_given),),
    "AWS::Logs::LogGroup": (("KmsKeyId", _is_given),),
    "AWS::Neptune::DBCluster": (("StorageEncrypted", _is_true),),
    "AWS::OpenSearchService::Domain": (
        ("EncryptionAtRestOptions.Enabled", _is_true),
        ("NodeToNodeEncryptionOptions.Enabled", _is_true),
        ("DomainEndpointOptions.EnforceHTTPS", _is_true),
    ),
    "AWS::RDS::DBCluster": (("StorageEncrypted", _is_true),),
    "AWS::RDS::DBInstance": (("StorageEncrypted", _is_true),),
    "AWS::Redshift::Cluster": (("Encrypted", _is_true),),
    "AWS::S3::Bucket": (("BucketEncryption", _is_given),),
    "AWS::SNS::Topic": (("KmsMasterKeyId", _is_given),),
}
_IN_A_CLUSTER = frozenset({"AWS::RDS::DBInstance"})
"""Members of a cluster take its encryption; StorageEncrypted must not stand there."""
_KEEPS_DATA = STATEFUL_TYPES - {NESTED_STACK}
"""A nested stack that goes takes its resources along by their own policies, which are looked at where they stand."""
_KEPT: Mapping[str, frozenset[str]] = {
    "DeletionPolicy": frozenset({"Retain", "RetainExceptOnCreate", "Snapshot"}),
    # A replacement is never an undone creation, so that RetainExceptOnCreate is no value here.
    "UpdateReplacePolicy": frozenset({"Retain", "Snapshot"}),
}
OUTLIVING = "data-outlives-stack"
"""The rule that a build will not pass over."""


def findings_of(body: TemplateBody, name: str) -> tuple[Finding, ...]:
    """Sorted by place. name: the template's, as people know it."""
    found: list[Finding] = []
    for logical_id, resource in resources_of(body["Resources"]):
        where = f"{name}: Resources.{logical_id}"
        found.extend(_encryption(resource, where))
        found.extend(_outliving(resource, where))
    return tuple(sorted(found))


def _encryption(resource: Mapping[str, Any], where: str) -> list[Finding]:
    kind, properties = str(resource["Type"]), resource.get("Properties", {})
    if kind == "AWS::SQS::Queue":
        return _queue(properties, where)
    if kind in _IN_A_CLUSTER and _is_given(properties.get("DBClusterIdentifier")):
        return []
    return [
        Finding(where=where, rule="encryption", text=f"{path} {_wanted(test)}")
        for path, test in _ENCRYPTED.get(kind, ())
        if not test(_at(properties, path))
    ]


def _wanted(test: _Test) -> str:
    return "must be true" if test is _is_true else "must be given"


def _queue(properties: Mapping[str, Any], where: str) -> list[Finding]:
    if _is_given(properties.get("KmsMasterKeyId")) or _is_true(properties.get("SqsManagedSseEnabled")):
        return []
    text = "KmsMasterKeyId must be given, or SqsManagedSseEnabled be true"
    return [Finding(where=where, rule="encryption", text=text)]


def _outliving(resource: Mapping[str, Any], where: str) -> list[Finding]:
    if resource["Type"] not in _KEEPS_DATA:
        return []
    return [
        Finding(where=where, rule=OUTLIVING, text=f"{policy} must be Retain or Snapshot")
        for policy, kept in _KEPT.items()
        if not _is_one_of(resource.get(policy), kept)
    ]


def _is_one_of(value: object, wanted: frozenset[str]) -> bool:
    """On every branch: with AWS::LanguageExtensions a policy may be worked out from conditions."""
    branches = _branches(value)
    if branches is not None:
        return all(_is_one_of(branch, wanted) for branch in branches)
    return isinstance(value, str) and value in wanted


def _at(properties: Any, path: str) -> object:
    for part in path.split("."):
        branches = _branches(properties)
        if branches is not None:
            below = path[path.index(part) :]
            return {"Fn::If": ["", _at(branches[0], below), _at(branches[1], below)]}
        if not isinstance(properties, Mapping):
            return None
        properties = properties.get(part)
    return properties
