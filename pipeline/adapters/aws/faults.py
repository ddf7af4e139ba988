"""Floor 3, adapters: the only place that looks at AWS error codes. It must never retry, and never repeat a secret.

| what happened              | table, in this order      | error                     | effect  | whose fault   |
|----------------------------|---------------------------|---------------------------|---------|---------------|
| AWS asks to slow down      | THROTTLED, 429            | Throttled                 | none    | nobody's      |
| nothing was sent           | UNSENT                    | Throttled                 | none    | the network's |
| AWS failed, an answer lost | LOST, 5xx, ON_THE_WIRE    | AnswerLost; read: Throttled | unknown | nobody's    |
| credentials refused        | EXPIRED, BAD_SIGNATURE, … | CredentialsRefused        | none    | the runner's  |
| account closed to us       | UNUSABLE, DENIED on a hop | AccountUnusable, RegionOff | none   | the account's |
| an SCP forbids it          | DENIED and ORGANIZATION   | AccountUnusable           | none    | the account's |
| a permission is missing    | DENIED                    | AccessRefused             | none    | the account's |
| somebody was there first   | STACKS                    | StackBusy, ChangeSetGone… | look    | nobody's      |
| a quota is used up         | QUOTA                     | QuotaReached              | none    | the account's |
| everything else            |                           | AwsRefused                | none    | the release's |

Every failure of a call becomes one typed `ReleaseError`. Codes are matched exactly, from the tables below; their
sources are the service models that botocore ships (the `error.code` of each exception shape), the "Common errors"
page of each service's API reference, and `ThrottledRetryableChecker` in botocore's retries/standard.py.
Texts that AWS sends with credential errors are dropped: SignatureDoesNotMatch quotes the session token.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from pipeline.errors import (
    AccessRefused,
    AccountUnusable,
    AnswerLost,
    ChangeSetBusy,
    ChangeSetGone,
    CredentialsRefused,
    ExecutionTokenUsed,
    NotFound,
    QuotaReached,
    RegionOff,
    ReleaseError,
    RequestRefused,
    StackBusy,
    Throttled,
    UsageError,
)

__all__ = ["AwsRefused", "CallSite", "clean", "is_read", "perhaps_applied", "translated"]


class AwsRefused(RequestRefused):
    """AWS refused the request with a code that no table here knows better.

    aws_code: AWS's own word, such as `ValidationError` or `PreconditionFailed`; empty where botocore refused the
    request before it was sent. aws_message: AWS's text, cleaned.
    """

    code, exit_code = RequestRefused.code, RequestRefused.exit_code
    aws_code: str = ""
    aws_message: str = ""

    @classmethod
    def of(cls, problem: str, aws_code: str, aws_message: str, details: tuple[str, ...]) -> AwsRefused:
        refusal = cls(problem, state="this call changed nothing", details=details)
        refusal.aws_code, refusal.aws_message = aws_code, aws_message
        return refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSite:
    """Which call failed. account: the account meant, empty where only ambient credentials know.

    assumed: signed with a role's credentials that Tidegate itself has obtained. hop: an AssumeRole that opens
    somebody else's account (through another role, or with an external id).
    """

    service: str
    operation: str
    region: str
    account: str = ""
    assumed: bool = False
    hop: bool = False

    @property
    def mutating(self) -> bool:
        return not is_read(self.operation)

    def __str__(self) -> str:
        where = f"account …{self.account[-4:]}, {self.region}" if self.account else self.region
        return f"{self.service} {self.operation.replace('_', ' ')} ({where})"


_READS = (
    "describe_",
    "get_",
    "list_",
    "head_",
    "query",
    "scan",
    "batch_get_",
    "assume_role",
    "verify",
    "sign",
)


def is_read(operation: str) -> bool:
    """True where repeating the call cannot change anything. operation: boto3's method name."""
    return operation.startswith(_READS)


THROTTLED = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
"""The call had no effect. LimitExceededException is not here: it is a quota, see QUOTA."""

LOST = frozenset(
    {
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "InternalServerErrorException",
        "InternalServiceError",
        "InternalServiceException",
        "KMSInternalException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "DependencyTimeoutException",
    }
)
"""AWS failed on its side: it may have carried the call out before it failed."""

DENIED = frozenset({"403", "AccessDenied", "AccessDeniedException", "Forbidden", "UnauthorizedOperation"})

EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"})

UNKNOWN_KEY = frozenset(
    {"InvalidAccessKeyId", "InvalidClientTokenId", "InvalidToken", "UnrecognizedClientException"}
)

BAD_SIGNATURE = frozenset(
    {
        "AuthFailure",
        "IDPRejectedClaim",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidIdentityToken",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "RequestExpired",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
    }
)

UNUSABLE = frozenset(
    {
        "AccountProblem",
        "AllAccessDisabled",
        "NotSignedUp",
        "OptInRequired",
        "PendingVerification",
        "RegionDisabledException",
        "SubscriptionRequiredException",
    }
)
"""The account is closed, suspended, young, or has not enabled the Region or the service. (CloudFormation and EC2
"Common errors"; S3 "Error responses"; STS AssumeRole for RegionDisabledException.)"""

ORGANIZATION = re.compile(
    r"with an explicit deny in a (?:service|resource) control policy"
    r"|because no (?:service|resource) control policy allows"
)
"""How AWS ends an access-denied text where the organization's policy denies, not the role's. (IAM User Guide,
"Troubleshoot access denied error messages": the six types of policy.)"""

QUOTA = frozenset(
    {
        "CodeStorageExceededException",
        "LimitExceeded",
        "LimitExceededException",
        "QuotaExceededException",
        "ResourceLimitExceeded",
        "ServiceQuotaExceededException",
        "TooManyBuckets",
    }
)
"""A quota of this account and Region, which no other account shares."""

MISSING = frozenset(
    {
        "404",
        "NoSuchBucket",
        "NoSuchEntity",
        "NoSuchKey",
        "NotFoundException",
        "ParameterNotFound",
        "ResourceNotFoundException",
    }
)

STACKS: dict[str, type[ReleaseError]] = {
    "AlreadyExistsException": ChangeSetBusy,
    "ChangeSetNotFound": ChangeSetGone,
    "ChangeSetNotFoundException": ChangeSetGone,
    "InvalidChangeSetStatus": ChangeSetBusy,
    "InvalidChangeSetStatusException": ChangeSetBusy,
    "OperationInProgressException": StackBusy,
    "TokenAlreadyExistsException": ExecutionTokenUsed,
}
"""Of CloudFormation only: AlreadyExistsException, for one, means other things elsewhere."""

UNSENT = frozenset(
    {
        "EndpointConnectionError",
        "ConnectTimeoutError",
        "ProxyConnectionError",
    }
)
"""botocore's exceptions, by name so that nobody has to import it early: nothing reached AWS."""

ON_THE_WIRE = frozenset(
    {
        "ConnectionClosedError",
        "ConnectionError",
        "HTTPClientError",
        "IncompleteReadError",
        "ReadTimeoutError",
        "ResponseParserError",
        "ResponseStreamingError",
        "SSLError",
    }
)
"""The request was under way or had arrived. ResponseParserError: an answer came that nobody can read."""

NO_CREDENTIALS = frozenset(
    {
        "CredentialRetrievalError",
        "InfiniteLoopConfigError",
        "InvalidConfigError",
        "LoginAuthorizationCodeError",
        "LoginError",
        "LoginInsufficientPermissions",
        "LoginRefreshRequired",
        "LoginTokenLoadError",
        "MetadataRetrievalError",
        "NoAuthTokenError",
        "NoCredentialsError",
        "PartialCredentialsError",
        "ProfileNotFound",
        "RefreshWithMFAUnsupportedError",
        "SSOError",
        "SSOTokenLoadError",
        "TokenRetrievalError",
        "UnauthorizedSSOTokenError",
        "UnknownCredentialError",
    }
)
"""The chain of credential providers came to nothing."""


_LOOK = "run the same command again; it looks at the account before it acts"
_AGAIN = "run the same command again in a minute; it goes on where it stopped"
_LOG_IN = "check the credentials with: aws sts get-caller-identity"


def clean(text: str, limit: int = 400) -> str:
    """One line without control characters, cut at `limit` characters."""
    line = re.sub(r"\s+", " ", "".join(c if c.isprintable() else " " for c in text)).strip()
    return line if len(line) <= limit else line[: limit - 1] + "…"


def perhaps_applied(exception: Exception | None, status: int, aws_code: str) -> bool:
    """Whether this one attempt may have been carried out although no good answer came of it."""
    if exception is not None:
        return type(exception).__name__ in ON_THE_WIRE
    return aws_code not in THROTTLED and (status >= 500 or aws_code in LOST)


def translated(error: Exception, site: CallSite, *, uncertain: bool) -> ReleaseError:
    """The typed error of a botocore exception.

    error: ClientError or BotoCoreError. uncertain: an earlier attempt of the same call may have been applied
    (see `perhaps_applied`).
    """
    if _code(error):
        return _of_answer(error, site, uncertain=uncertain)
    return _of_machine(error, site, uncertain=uncertain)


def _code(error: Exception) -> str:
    answer: Any = getattr(error, "response", None)
    return str(answer.get("Error", {}).get("Code", "")) if isinstance(answer, dict) else ""


def _of_answer(error: Exception, site: CallSite, *, uncertain: bool) -> ReleaseError:
    answer: dict[str, Any] = getattr(error, "response", {})
    code, metadata = _code(error), answer.get("ResponseMetadata", {})
    message = clean(str(answer.get("Error", {}).get("Message", "")))
    status = int(metadata.get("HTTPStatusCode", 0))
    details = (f"AWS request {metadata['RequestId']}",) if metadata.get("RequestId") else ()
    if code in THROTTLED or status == 429:
        return _pause(f"{site}: AWS asks to slow down ({code})", site, uncertain=uncertain, details=details)
    if code in LOST or status >= 500:
        return _pause(f"{site}: AWS failed ({code} {message})", site, uncertain=True, details=details)
    if code in EXPIRED | UNKNOWN_KEY | BAD_SIGNATURE:
        return _credentials(code, site, details)
    if code in UNUSABLE or (code in DENIED and (site.hop or ORGANIZATION.search(message))):
        return _unusable(code, message, site, details)
    return _refusal(code, message, site, details)


def _pause(problem: str, site: CallSite, *, uncertain: bool, details: tuple[str, ...]) -> ReleaseError:
    if uncertain and site.mutating:
        return AnswerLost(problem, state="the call may have been applied", remedy=_LOOK, details=details)
    return Throttled(problem, state="this call changed nothing", remedy=_AGAIN, details=details)


def _credentials(code: str, site: CallSite, details: tuple[str, ...]) -> ReleaseError:
    if site.assumed and code in UNKNOWN_KEY:
        # The role's credentials are minutes old and good: it is this account, or its Region, that does not know
        # them yet (a young account) or at all (a Region that is not switched on there).
        return _unusable(code, "", site, details)
    skewed = code in ("RequestExpired", "RequestTimeTooSkewed", "SignatureDoesNotMatch")
    remedy = "set this machine's clock, then run the command again" if skewed else _LOG_IN
    what = "have expired" if code in EXPIRED else "are refused"
    return CredentialsRefused(
        f"{site}: the AWS credentials {what} ({code})",
        state="this call changed nothing",
        remedy=remedy,
        details=details,
    )


def _unusable(code: str, message: str, site: CallSite, details: tuple[str, ...]) -> ReleaseError:
    text = f" {message}" if message else ""
    if code == "RegionDisabledException":
        return RegionOff(
            f"{site}: the account has not enabled this Region ({code}{text})",
            state="nothing in this account was touched",
            remedy=f"enable {site.region} in the account, then run the command again",
            details=details,
        )
    if ORGANIZATION.search(message):
        return AccountUnusable(
            f"{site}: a policy of the account's organization forbids it ({code}: {message})",
            state="this call changed nothing",
            remedy="ask whoever owns the organization's service control policies",
            details=details,
        )
    return AccountUnusable(
        f"{site}: the account cannot be entered ({code}{text})",
        state="nothing in this account was touched",
        remedy="check that the account is active, its Region is enabled and its Tidegate roles are deployed",
        details=details,
    )


def _refusal(code: str, message: str, site: CallSite, details: tuple[str, ...]) -> ReleaseError:
    problem = f"{site}: {code}: {message}" if message else f"{site}: {code}"
    state = "this call changed nothing"
    if code in DENIED:
        remedy = "the role that acts here lacks this permission, or its trust policy does not name the caller"
        return AccessRefused(problem, state=state, remedy=remedy, details=details)
    if site.service == "cloudformation" and code in STACKS:
        return STACKS[code](problem, state=state, remedy=_LOOK, details=details)
    if code in QUOTA:
        return QuotaReached(
            problem, state=state, remedy="ask for a higher quota in this account and Region", details=details
        )
    if code in MISSING:
        return NotFound(problem, state=state, details=details)
    return AwsRefused.of(problem, code, message, details)


def _of_machine(error: Exception, site: CallSite, *, uncertain: bool) -> ReleaseError:
    name = type(error).__name__
    if name in NO_CREDENTIALS:
        return CredentialsRefused(
            f"{site}: there are no usable AWS credentials ({name})",
            state="nothing was sent to AWS",
            remedy="set AWS_PROFILE or log in (aws sso login), then run the command again",
        )
    if name in UNSENT:
        return _pause(f"{site}: AWS could not be reached ({name})", site, uncertain=uncertain, details=())
    if name in ON_THE_WIRE:
        return _pause(f"{site}: the answer was lost ({name})", site, uncertain=True, details=())
    if name in ("NoRegionError", "InvalidRegionError", "UnknownServiceError", "UnknownEndpointError"):
        return UsageError(f"{site}: {clean(str(error))}", remedy="check the Region's name")
    if name == "ParamValidationError":
        # botocore quotes the offending value, which may be a secret; the names are enough.
        names = ", ".join(sorted(set(re.findall(r'parameter:? "?([A-Za-z0-9.\[\]]+)', str(error)))))
        return AwsRefused.of(f"{site}: the request is malformed at {names or 'some parameter'}", "", "", ())
    return AwsRefused.of(f"{site}: botocore refused the call ({name})", "", "", ())
