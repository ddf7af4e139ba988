"""Floor 2, the guard: what a change set may not do. Pure, and closed: whatever is not known to be safe blocks.

Source: CloudFormation API reference, ResourceChange (Action, Replacement, PolicyAction, Scope).
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.model.stack import ResourceChange

__all__ = ["STATEFUL_TYPES", "findings"]

STATEFUL_TYPES = frozenset(
    {
        "AWS::Backup::BackupVault",
        "AWS::CloudFormation::Stack",
        "AWS::Cognito::UserPool",
        "AWS::DocDB::DBCluster",
        "AWS::DocDB::DBInstance",
        "AWS::DynamoDB::GlobalTable",
        "AWS::DynamoDB::Table",
        "AWS::EC2::Volume",
        "AWS::EFS::FileSystem",
        "AWS::EMR::Cluster",
        "AWS::ElastiCache::CacheCluster",
        "AWS::ElastiCache::ReplicationGroup",
        "AWS::Elasticsearch::Domain",
        "AWS::FSx::FileSystem",
        "AWS::KMS::Key",
        "AWS::Kinesis::Stream",
        "AWS::Logs::LogGroup",
        "AWS::Neptune::DBCluster",
        "AWS::Neptune::DBInstance",
        "AWS::OpenSearchService::Domain",
        "AWS::Organizations::Account",
        "AWS::QLDB::Ledger",
        "AWS::RDS::DBCluster",
        "AWS::RDS::DBInstance",
        "AWS::Redshift::Cluster",
        "AWS::S3::Bucket",
        "AWS::SDB::Domain",
        "AWS::SQS::Queue",
        "AWS::SecretsManager::Secret",
        "AWS::Timestream::Database",
        "AWS::Timestream::Table",
    }
)
"""cfn-lint's stateful types (rule I3011) and our own: keys, user pools, nested stacks."""

_HARMLESS = frozenset({"Add", "Import"})


def findings(
    changes: Sequence[ResourceChange], *, added_by_this_release: frozenset[str] = frozenset()
) -> tuple[str, ...]:
    """One sentence for each change that blocks; empty where the change set may be executed.

    added_by_this_release: on a rollback, logical ids that the release being rolled back created at this very
    target. Letting go of such a resource is allowed where its policy retains it.
    """
    return tuple(
        finding for change in changes if (finding := _finding(change, added_by_this_release)) is not None
    )


def _finding(change: ResourceChange, added: frozenset[str]) -> str | None:
    what = f"{change.logical_id} ({change.resource_type})"
    if change.action in _HARMLESS:
        return None
    if change.action not in ("Modify", "Remove", "SyncWithActual"):
        return f"{what}: {change.action or 'an unnamed action'} cannot be foreseen"
    if change.resource_type not in STATEFUL_TYPES:
        return None
    if change.action == "Remove":
        return _removal(change, what, added)
    if change.replacement in ("True", "Conditional"):
        return (
            f"{what}: would {'' if change.replacement == 'True' else 'perhaps '}be replaced and lose its data"
        )
    if change.resource_type == "AWS::CloudFormation::Stack":
        return None if change.nested_change_set else f"{what}: the nested change set cannot be read"
    if change.replacement == "False":
        return None
    return f"{what}: AWS does not say whether it would be replaced"


def _removal(change: ResourceChange, what: str, added: frozenset[str]) -> str | None:
    if change.logical_id in added and change.policy_action == "Retain":
        return None
    if change.policy_action in ("Retain", "Snapshot"):
        return f"{what}: would be let go of, and its data left without an owner"
    return f"{what}: would be deleted with its data"
