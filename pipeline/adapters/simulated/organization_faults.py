"""Room: adapters/simulated. The errors and limits of AWS Organizations, under AWS's own names; knows no boto3.

Names and reasons are those of the botocore service model `organizations` (2016-11-28); numbers are those of the
page "Quotas and service limits for AWS Organizations" of the AWS Organizations user guide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = [
    "AWS_RATES",
    "AccessDenied",
    "AccountAlreadyClosed",
    "AccountNotFound",
    "ChildNotFound",
    "ConstraintViolation",
    "CreateAccountStatusNotFound",
    "DestinationParentNotFound",
    "DuplicateAccount",
    "DuplicateOrganizationalUnit",
    "InvalidInput",
    "OrganizationLimits",
    "OrganizationalUnitNotEmpty",
    "OrganizationalUnitNotFound",
    "OrganizationsFault",
    "OrganizationsNotInUse",
    "ParentNotFound",
    "SourceParentNotFound",
    "TargetNotFound",
    "TooManyRequests",
]

# Requests per second and burst, per account (user guide, "Throttling limits"). Off unless a caller asks for it.
AWS_RATES: Mapping[str, tuple[float, int]] = {
    "CreateAccount": (0.1, 3),
    "CloseAccount": (0.05, 1),
    "DescribeCreateAccountStatus": (2, 2),
    "DescribeAccount": (20, 30),
    "ListAccounts": (8, 12),
    "ListChildren": (6, 10),
    "ListParents": (5, 8),
    "ListRoots": (1, 2),
    "ListAccountsForParent": (5, 8),
    "ListOrganizationalUnitsForParent": (5, 8),
    "ListTagsForResource": (10, 15),
    "MoveAccount": (2, 3),
    "TagResource": (4, 6),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganizationLimits:
    """What AWS limits and how long it takes; the defaults are AWS's, except the two delays.

    `creation_seconds` and `closing_seconds` are minutes on AWS; they are short here so that a person can wait.
    `max_accounts` counts closed accounts until they are gone, and the management account.
    `rates` maps an operation to (requests per second, burst); empty means no throttling.
    """

    max_accounts: int = 10
    concurrent_creates: int = 5
    concurrent_closes: int = 3
    creation_seconds: float = 1.0
    closing_seconds: float = 1.0
    post_closure_days: float = 90.0
    close_window_days: float = 30.0
    close_floor: int = 250
    close_share: float = 0.2
    close_ceiling: int = 1000
    max_units: int = 2000
    max_depth: int = 5
    max_tags: int = 50
    page_size: int = 20
    rates: Mapping[str, tuple[float, int]] = field(default_factory=dict)


class OrganizationsFault(Exception):
    """An error as AWS answers it: `code` is the exact AWS error code, `reason` its Reason member or empty."""

    code = "ServiceException"

    def __init__(self, message: str, *, reason: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason


class AccessDenied(OrganizationsFault):
    """The caller is a member account, and only the management account may do this."""

    code = "AccessDeniedException"


class OrganizationsNotInUse(OrganizationsFault):
    """The caller's account belongs to no organization."""

    code = "AWSOrganizationsNotInUseException"


class AccountNotFound(OrganizationsFault):
    """No such account in this organization."""

    code = "AccountNotFoundException"


class AccountAlreadyClosed(OrganizationsFault):
    """CloseAccount on an account that is PENDING_CLOSURE or SUSPENDED."""

    code = "AccountAlreadyClosedException"


class ConstraintViolation(OrganizationsFault):
    """A quota or rule; `reason` says which."""

    code = "ConstraintViolationException"


class InvalidInput(OrganizationsFault):
    """A member of the request is malformed; `reason` says how."""

    code = "InvalidInputException"


class CreateAccountStatusNotFound(OrganizationsFault):
    """No such creation request."""

    code = "CreateAccountStatusNotFoundException"


class SourceParentNotFound(OrganizationsFault):
    """MoveAccount named a parent in which the account is not."""

    code = "SourceParentNotFoundException"


class DestinationParentNotFound(OrganizationsFault):
    """MoveAccount named a destination that does not exist."""

    code = "DestinationParentNotFoundException"


class DuplicateAccount(OrganizationsFault):
    """The account is in the destination already."""

    code = "DuplicateAccountException"


class ParentNotFound(OrganizationsFault):
    """No root or organizational unit with this id."""

    code = "ParentNotFoundException"


class ChildNotFound(OrganizationsFault):
    """No account or organizational unit with this id."""

    code = "ChildNotFoundException"


class DuplicateOrganizationalUnit(OrganizationsFault):
    """The parent has a unit of this name."""

    code = "DuplicateOrganizationalUnitException"


class OrganizationalUnitNotFound(OrganizationsFault):
    """No organizational unit with this id."""

    code = "OrganizationalUnitNotFoundException"


class OrganizationalUnitNotEmpty(OrganizationsFault):
    """A unit that holds accounts or units cannot be deleted."""

    code = "OrganizationalUnitNotEmptyException"


class TargetNotFound(OrganizationsFault):
    """No taggable resource with this id."""

    code = "TargetNotFoundException"


class TooManyRequests(OrganizationsFault):
    """Throttled, or too many creations at once."""

    code = "TooManyRequestsException"
