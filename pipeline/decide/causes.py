"""Floor 2, decide: whose fault a failed stack operation is, from what CloudFormation says of it. Pure.

CloudFormation passes on what the service behind a resource answered, and ends it with one of the codes of its
registry (HandlerErrorCode). Only what cannot come from the release is called the account's own fault; in doubt it is
the release's, which burns tolerance. Sources: CloudFormation CLI User Guide, "Handler error codes"; IAM User Guide,
"Troubleshoot access denied error messages"; "Common errors" of CloudFormation's API reference.
"""

from __future__ import annotations

import re

__all__ = ["is_the_accounts_own"]

_OWN = re.compile(
    r"HandlerErrorCode: ServiceLimitExceeded\b"
    r"|\b(?:LimitExceeded|LimitExceededException|ServiceQuotaExceededException|TooManyBuckets)\b"
    r"|\b(?:OptInRequired|SubscriptionRequiredException|RegionDisabledException|AccountProblem|PendingVerification)\b"
    r"|with an explicit deny in a (?:service|resource) control policy"
    r"|because no (?:service|resource) control policy allows"
    r"|\baccount (?:has been|is currently|is) (?:suspended|blocked|being verified)\b",
)


def is_the_accounts_own(reason: str) -> bool:
    """Whether a status reason of a stack, resource or change set names a quota, a policy of the organization, or an
    account that is closed, young or blocked. A missing permission of the execution role is not among them: a release
    that asks for something new meets it in every account."""
    return _OWN.search(reason) is not None
