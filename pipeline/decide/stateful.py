"""Floor 2, the guard's knowledge: which resource types hold data, and which of their properties put it at risk. Pure.

Sources: cfn-lint's StatefulResources.json (rule I3011), of which a test holds this list to be a superset; for the
types that it lacks and for properties the CloudFormation resource reference of each type, whose schemas a test reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

__all__ = [
    "NESTED_STACK",
    "PROTECTING_TYPES",
    "RISKS",
    "STATEFUL_TYPES",
    "AnyChange",
    "MustBe",
    "NeverLess",
    "Risk",
    "is_weighed",
]

NESTED_STACK = "AWS::CloudFormation::Stack"

_OF_CFN_LINT = frozenset(
    {
        "AWS::Backup::BackupVault",
        NESTED_STACK,
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
    }
)
_OURS = frozenset(
    {
        "AWS::ACMPCA::CertificateAuthority",
        "AWS::AmazonMQ::Broker",
        "AWS::Backup::LogicallyAirGappedBackupVault",
        "AWS::Cassandra::Keyspace",
        "AWS::Cassandra::Table",
        "AWS::CloudTrail::EventDataStore",
        "AWS::Cognito::IdentityPool",
        "AWS::DSQL::Cluster",
        "AWS::DocDBElastic::Cluster",
        "AWS::ECR::Repository",
        "AWS::ElastiCache::ServerlessCache",
        "AWS::Events::Archive",
        "AWS::FSx::StorageVirtualMachine",
        "AWS::FSx::Volume",
        "AWS::HealthLake::FHIRDatastore",
        "AWS::KMS::ReplicaKey",
        "AWS::MSK::Cluster",
        "AWS::MSK::ServerlessCluster",
        "AWS::MemoryDB::Cluster",
        "AWS::NeptuneGraph::Graph",
        "AWS::OpenSearchServerless::Collection",
        "AWS::RDS::GlobalCluster",
        "AWS::RedshiftServerless::Namespace",
        "AWS::S3Express::DirectoryBucket",
        "AWS::S3Tables::Table",
        "AWS::S3Tables::TableBucket",
        "AWS::Serverless::SimpleTable",
        "AWS::Timestream::Database",
        "AWS::Timestream::InfluxDBInstance",
        "AWS::Timestream::Table",
    }
)
STATEFUL_TYPES = _OF_CFN_LINT | _OURS
"""What is lost with the resource is gone, or is keys and identities without which data is gone."""

PROTECTING_TYPES = frozenset(
    {
        "AWS::Backup::BackupPlan",
        "AWS::Backup::BackupSelection",
        "AWS::S3::BucketPolicy",
        "AWS::SecretsManager::ResourcePolicy",
    }
)
"""They hold no data, but keep that of others safe: taking one away blocks as well."""


@dataclass(frozen=True, slots=True)
class AnyChange:
    """Whatever it is changed to: a person has to look."""


@dataclass(frozen=True, slots=True)
class MustBe:
    """It may only become `value`. flag: inside the property; empty where the property is the value itself.

    only_flag: what stands beside the flag endangers nothing, such as which key encrypts.
    """

    value: str
    flag: str = ""
    only_flag: bool = False


@dataclass(frozen=True, slots=True)
class NeverLess:
    """A whole number that may grow: how long data or its backups are kept."""


Risk: TypeAlias = AnyChange | MustBe | NeverLess

_TRUE = MustBe("true")
_ANY = AnyChange()
_GROWS = NeverLess()
_EXPIRY = MustBe("false", "Enabled")
_ENCRYPTED = MustBe("true", "SSEEnabled", only_flag=True)

RISKS: Mapping[str, Mapping[str, Risk]] = {
    "AWS::Backup::BackupPlan": {"BackupPlan": _ANY},
    "AWS::Backup::BackupSelection": {"BackupSelection": _ANY},
    "AWS::Backup::BackupVault": {"AccessPolicy": _ANY, "LockConfiguration": _ANY},
    "AWS::Cognito::UserPool": {"DeletionProtection": MustBe("ACTIVE"), "Schema": _ANY},
    "AWS::DSQL::Cluster": {"DeletionProtectionEnabled": _TRUE},
    "AWS::DocDB::DBCluster": {"BackupRetentionPeriod": _GROWS, "DeletionProtection": _TRUE},
    "AWS::DynamoDB::GlobalTable": {
        # A replica that is taken out of the list is deleted; its recovery and protection are set here, too.
        "Replicas": _ANY,
        "SSESpecification": _ENCRYPTED,
        "TimeToLiveSpecification": _EXPIRY,
    },
    "AWS::DynamoDB::Table": {
        "DeletionProtectionEnabled": _TRUE,
        "PointInTimeRecoverySpecification": MustBe("true", "PointInTimeRecoveryEnabled"),
        "ResourcePolicy": _ANY,
        "SSESpecification": _ENCRYPTED,
        "TimeToLiveSpecification": _EXPIRY,
    },
    "AWS::EFS::FileSystem": {"BackupPolicy": MustBe("ENABLED", "Status"), "FileSystemPolicy": _ANY},
    "AWS::ElastiCache::ReplicationGroup": {"SnapshotRetentionLimit": _GROWS},
    "AWS::KMS::Key": {
        "EnableKeyRotation": _TRUE,
        "Enabled": _TRUE,
        "KeyPolicy": _ANY,
        "PendingWindowInDays": _GROWS,
    },
    "AWS::KMS::ReplicaKey": {"Enabled": _TRUE, "KeyPolicy": _ANY, "PendingWindowInDays": _GROWS},
    "AWS::Kinesis::Stream": {"RetentionPeriodHours": _GROWS},
    "AWS::Logs::LogGroup": {"RetentionInDays": _GROWS},
    "AWS::MemoryDB::Cluster": {"SnapshotRetentionLimit": _GROWS},
    "AWS::Neptune::DBCluster": {"BackupRetentionPeriod": _GROWS, "DeletionProtection": _TRUE},
    "AWS::NeptuneGraph::Graph": {"DeletionProtection": _TRUE},
    "AWS::QLDB::Ledger": {"DeletionProtection": _TRUE},
    "AWS::RDS::DBCluster": {
        "BackupRetentionPeriod": _GROWS,
        "DeleteAutomatedBackups": MustBe("false"),
        "DeletionProtection": _TRUE,
    },
    "AWS::RDS::DBInstance": {
        "BackupRetentionPeriod": _GROWS,
        "DeleteAutomatedBackups": MustBe("false"),
        "DeletionProtection": _TRUE,
    },
    "AWS::RDS::GlobalCluster": {"DeletionProtection": _TRUE},
    "AWS::Redshift::Cluster": {"AutomatedSnapshotRetentionPeriod": _GROWS},
    "AWS::S3::Bucket": {
        "LifecycleConfiguration": _ANY,
        "ObjectLockConfiguration": _ANY,
        "VersioningConfiguration": MustBe("Enabled", "Status"),
    },
    "AWS::S3::BucketPolicy": {"PolicyDocument": _ANY},
    "AWS::SQS::Queue": {"MessageRetentionPeriod": _GROWS},
    "AWS::SecretsManager::ResourcePolicy": {"ResourcePolicy": _ANY},
    # Either one puts a new secret over the old.
    "AWS::SecretsManager::Secret": {"GenerateSecretString": _ANY, "SecretString": _ANY},
    "AWS::Timestream::Table": {"RetentionProperties": _ANY},
}
"""By type and property: what may endanger data although nothing is replaced."""


def is_weighed(resource_type: str, attribute: str, name: str) -> bool:
    """Whether the value decides: only then does a change set's view keep it, because a value may be a secret."""
    if attribute in ("DeletionPolicy", "UpdateReplacePolicy"):
        return True
    risk = RISKS.get(resource_type, {}).get(name) if attribute == "Properties" else None
    return isinstance(risk, MustBe | NeverLess)
