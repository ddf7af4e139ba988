"""Floor 2, the ports: what the engine and the stages need of the world, as Protocols. No implementation here.

Every method of a port that reaches AWS may raise `Throttled` (no effect), `AnswerLost` (perhaps applied),
`AccessRefused`, `AccountUnusable`, `CredentialsRefused` or `WrongAccount`; what else it may raise stands at the
method. One contract suite per port runs against every adapter that implements it (tests/contract/).
"""

from __future__ import annotations

from pipeline.ports.accounts import (
    Accounts,
    Cleaner,
    CreationStatus,
    Deploy,
    OrganizationAccount,
    OrganizationUnit,
    OwnStack,
    OwnStacks,
    Units,
)
from pipeline.ports.approvals import Review, Reviews, WorkflowRun
from pipeline.ports.cloud import (
    Alarms,
    ChangeSetRequest,
    Health,
    HealthReading,
    Place,
    ResourceToImport,
    Smoke,
    Stacks,
)
from pipeline.ports.inspection import Inspection
from pipeline.ports.metrics import MetricReading, Metrics, MetricWindow
from pipeline.ports.protection import Protection
from pipeline.ports.releases import (
    Artifacts,
    Commit,
    Repository,
    Signer,
    Verifier,
)
from pipeline.ports.stores import (
    Clock,
    Halt,
    Head,
    Journal,
    Latch,
    Lease,
    Leases,
    Registry,
    RegistryRow,
)

__all__ = [
    "Accounts",
    "Alarms",
    "Artifacts",
    "ChangeSetRequest",
    "Cleaner",
    "Clock",
    "Commit",
    "CreationStatus",
    "Deploy",
    "Halt",
    "Head",
    "Health",
    "HealthReading",
    "Inspection",
    "Journal",
    "Latch",
    "Lease",
    "Leases",
    "MetricReading",
    "MetricWindow",
    "Metrics",
    "OrganizationAccount",
    "OrganizationUnit",
    "OwnStack",
    "OwnStacks",
    "Place",
    "Protection",
    "Registry",
    "RegistryRow",
    "Repository",
    "ResourceToImport",
    "Review",
    "Reviews",
    "Signer",
    "Smoke",
    "Stacks",
    "Units",
    "Verifier",
    "WorkflowRun",
]
