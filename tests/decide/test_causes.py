"""Whose fault a failed operation is, by CloudFormation's own words."""

from __future__ import annotations

import pytest

from pipeline.decide.causes import is_the_accounts_own


@pytest.mark.parametrize(
    "reason",
    [
        (
            'Resource handler returned message: "Unreserved concurrency is below 10" (RequestToken: 1, '
            "HandlerErrorCode: ServiceLimitExceeded)"
        ),
        "Table: Cannot exceed quota (Service: DynamoDb, Status Code: 400) LimitExceededException",
        "Files: You have attempted to create more buckets than allowed (Service: S3, Status Code: 400, TooManyBuckets)",
        (
            "Key: User: arn:aws:sts::1:assumed-role/TidegateExecution/AWSCloudFormation is not authorized to perform: "
            "kms:CreateKey with an explicit deny in a service control policy (HandlerErrorCode: AccessDenied)"
        ),
        "Api: User: x is not authorized to perform: y because no service control policy allows the y action",
        "Pool: The AWS Access Key Id needs a subscription for the service (SubscriptionRequiredException)",
        "Fn: Your account is currently blocked and not recognized as a valid account",
        "Fn: Your account has been suspended",
    ],
)
def test_quotas_the_organization_and_closed_accounts_are_the_accounts_own_fault(reason: str) -> None:
    assert is_the_accounts_own(reason)


@pytest.mark.parametrize(
    "reason",
    [
        "",
        'Resource handler returned message: "no such runtime" (HandlerErrorCode: InvalidRequest)',
        (
            "Key: User: x is not authorized to perform: kms:CreateKey because no identity-based policy allows it "
            "(HandlerErrorCode: AccessDenied)"
        ),
        "Key: User: x is not authorized to perform: y with an explicit deny in a permissions boundary",
        "Table: forms already exists (HandlerErrorCode: AlreadyExists)",
        "Fn: did not stabilize (HandlerErrorCode: NotStabilized)",
        "AccountLimits: the release's own resource of that name failed",
    ],
)
def test_everything_else_is_held_against_the_release(reason: str) -> None:
    assert not is_the_accounts_own(reason)
