"""Floor 0, the errors: one base, a stable code each. Knows nothing of the rest of the house.

Every error says what happened (`problem`), what state the world is in now (`state`) and what to type next
(`remedy`). Codes are stable: `docs/reference/errors.md` is generated from this file. The exit codes are the
table of `docs/reference/exit-codes.md`.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "AccessRefused",
    "AccountUnusable",
    "AnswerLost",
    "ApprovalMissing",
    "ArtifactDamaged",
    "ArtifactMissing",
    "BlockedByPolicy",
    "BuildFailed",
    "ChangeSetBusy",
    "ChangeSetGone",
    "ConfigInvalid",
    "CredentialsRefused",
    "EffectDiffers",
    "EvidenceMissing",
    "ExecutionTokenUsed",
    "FenceLost",
    "IntegrityBroken",
    "JournalDamaged",
    "LeaseHeld",
    "LocalAwsFailed",
    "NotFound",
    "OperationFailed",
    "PlanStale",
    "QuotaReached",
    "RegionOff",
    "ReleaseError",
    "ReleaseHalted",
    "ReleasePaused",
    "RequestRefused",
    "RollbackIncomplete",
    "StackBusy",
    "StreamMoved",
    "TestsFailed",
    "Throttled",
    "UsageError",
    "VersionTaken",
    "WrongAccount",
]


class ReleaseError(Exception):
    """Base of everything Tidegate raises on purpose.

    problem: one sentence without a full stop: what happened.
    state: what the world looks like now; empty where nothing was touched.
    remedy: the next command to type, or what to change.
    details: further lines (every fault of a file, every holder of a lease), one fact each.
    """

    code: ClassVar[str] = "E000"
    exit_code: ClassVar[int] = 1

    def __init__(
        self, problem: str, *, state: str = "", remedy: str = "", details: tuple[str, ...] = ()
    ) -> None:
        super().__init__(problem)
        self.problem = problem
        self.state = state
        self.remedy = remedy
        self.details = details


# --- whose fault: the command line or a file (nothing was touched) ---------------------------------


class UsageError(ReleaseError):
    """The command as typed cannot be carried out."""

    code, exit_code = "E201", 2


class ConfigInvalid(ReleaseError):
    """A configuration file has faults; `details` holds every one, each with its path in the file."""

    code, exit_code = "E202", 2


class NotFound(ReleaseError):
    """A release, client, service, plan or wave that was named does not exist."""

    code, exit_code = "E203", 2


# --- whose fault: the service's own sources or tests -----------------------------------------------


class OperationFailed(ReleaseError):
    """An operation was tried and failed."""

    code, exit_code = "E101", 1


class BuildFailed(ReleaseError):
    """The service's build command or its packaging failed; nothing was uploaded."""

    code, exit_code = "E102", 1


class TestsFailed(ReleaseError):
    """The integration tests of a release failed in the test accounts."""

    code, exit_code = "E103", 1


class LocalAwsFailed(ReleaseError):
    """The local AWS could not be started, reached or stopped."""

    code, exit_code = "E104", 1


# --- whose fault: nobody's; the release stopped as it should --------------------------------------


class ReleaseHalted(ReleaseError):
    """The release is halted, by itself or by a person."""

    code, exit_code = "E301", 3


class ReleasePaused(ReleaseError):
    """A person must decide before the release goes on."""

    code, exit_code = "E302", 12


class RollbackIncomplete(ReleaseError):
    """At least one target could not be put back on its previous good release."""

    code, exit_code = "E303", 11


# --- identity and access ---------------------------------------------------------------------------


class CredentialsRefused(ReleaseError):
    """There are no AWS credentials, or AWS refuses or has expired them."""

    code, exit_code = "E401", 4


class AccessRefused(ReleaseError):
    """AWS denied one action (AccessDenied); the credentials themselves are good."""

    code, exit_code = "E402", 1


class AccountUnusable(ReleaseError):
    """An account's own fault: closed, suspended, role missing or external id refused. Not the release's."""

    code, exit_code = "E403", 1


class RegionOff(AccountUnusable):
    """An account's own fault: it has not enabled the Region, or is about to disable it."""

    code = "E404"


class QuotaReached(AccountUnusable):
    """An account's own fault: one of its quotas is used up. Not the release's."""

    code = "E405"


# --- leases and the journal ------------------------------------------------------------------------


class LeaseHeld(ReleaseError):
    """Another runner holds the lease; the message names it."""

    code, exit_code = "E501", 5


class FenceLost(ReleaseError):
    """A newer runner has taken over; this one must stop before its next write."""

    code, exit_code = "E502", 5


class StreamMoved(ReleaseError):
    """An append met a journal stream that had grown since it was read; read again and decide again."""

    code, exit_code = "E503", 5


class ApprovalMissing(ReleaseError):
    """An approval is missing or has expired."""

    code, exit_code = "E601", 6


# --- integrity: never retried, nothing touched -----------------------------------------------------


class IntegrityBroken(ReleaseError):
    """A digest, a signature or a hash chain does not hold."""

    code, exit_code = "E701", 7


class ArtifactDamaged(IntegrityBroken):
    """An artifact's bytes do not have the digest that names them."""

    code = "E702"


class ArtifactMissing(IntegrityBroken):
    """An artifact that a manifest or plan names cannot be retrieved."""

    code = "E703"


class VersionTaken(IntegrityBroken):
    """This version exists already, with another digest."""

    code = "E704"


class WrongAccount(IntegrityBroken):
    """A call would land, or has landed, in another account than the planned one."""

    code = "E705"


class JournalDamaged(IntegrityBroken):
    """The journal's hash chain is broken or an event cannot be read."""

    code = "E706"


# --- protection and plans --------------------------------------------------------------------------


class BlockedByPolicy(ReleaseError):
    """The guard, a freeze, a policy or findings stand in the way."""

    code, exit_code = "E801", 8


class EvidenceMissing(BlockedByPolicy):
    """This digest did not pass `release test`."""

    code = "E802"


class PlanStale(ReleaseError):
    """The world has moved since the plan was made."""

    code, exit_code = "E901", 9


class EffectDiffers(PlanStale):
    """A target's change set would do something else than the plan says."""

    code = "E902"


# --- what AWS answers; adapters raise these, pipeline/engine/perform.py turns them into events -----


class Throttled(ReleaseError):
    """AWS asks to slow down; the call had no effect."""

    code, exit_code = "E111", 1


class AnswerLost(ReleaseError):
    """A call was sent and its answer never came: it may have been applied. Look before acting again."""

    code, exit_code = "E112", 1


class RequestRefused(ReleaseError):
    """AWS refused the request as invalid (ValidationError and its like); it had no effect."""

    code, exit_code = "E113", 1


class StackBusy(ReleaseError):
    """The stack is in a state that does not allow this operation now."""

    code, exit_code = "E114", 1


class ChangeSetGone(ReleaseError):
    """ChangeSetNotFound: deleted by somebody, or dropped because the stack moved on."""

    code, exit_code = "E115", 1


class ChangeSetBusy(ReleaseError):
    """InvalidChangeSetStatus: being executed, being deleted, or outdated by another execution."""

    code, exit_code = "E116", 1


class ExecutionTokenUsed(ReleaseError):
    """TokenAlreadyExists: this very operation was started before. Look at the stack."""

    code, exit_code = "E117", 1
