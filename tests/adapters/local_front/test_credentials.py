"""Nobody gets in without a key that the front issued."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
import requests

from tests.local_aws import Front, error_of

pytestmark = pytest.mark.local_aws
_CALLS = (
    ("sts", "get_caller_identity"),
    ("iam", "list_users"),
    ("s3", "list_buckets"),
    ("dynamodb", "list_tables"),
    ("organizations", "list_accounts"),
    ("cloudformation", "list_stacks"),
    ("cloudwatch", "describe_alarms"),
)


def _session(key: str) -> boto3.Session:
    return boto3.Session(aws_access_key_id=key, aws_secret_access_key="any", region_name="us-east-1")


@pytest.mark.parametrize(("service", "operation"), _CALLS)
@pytest.mark.parametrize("key", ["123456789012", "test", "", "AKIAIOSFODNN7EXAMPLE"])
def test_a_key_that_was_not_issued_is_refused(front: Front, key: str, service: str, operation: str) -> None:
    if not key:
        key = front.client(front.admin(), "sts").get_caller_identity()["Account"]
    call = getattr(front.client(_session(key), service), operation)
    unknown = {"InvalidClientTokenId", "InvalidAccessKeyId", "UnrecognizedClientException"}
    assert error_of(call) in unknown


def test_an_account_number_in_a_presigned_address_is_refused(front: Front) -> None:
    account = front.create_account("presigned")
    made = front.client(_session(account), "s3").generate_presigned_url("list_buckets")
    assert requests.get(made, timeout=5).status_code == 403


def test_the_right_key_with_a_wrong_secret_is_refused(front: Front) -> None:
    credentials = front.admin().get_credentials()
    assert credentials is not None
    call = front.client(_session(credentials.access_key), "sts").get_caller_identity
    assert error_of(call) == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer word"}, {"Authorization": "Basic d29yZA=="}]
)
def test_a_request_without_a_signature_can_do_nothing(front: Front, headers: dict[str, str]) -> None:
    json_call = {"X-Amz-Target": "AWSOrganizationsV20161128.ListAccounts"}
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answers = [
        requests.post(front.endpoint, headers=headers | json_call, data="{}", timeout=5),
        requests.post(front.endpoint, headers=headers | form, data="Action=ListUsers", timeout=5),
        requests.put(f"{front.endpoint}/a-new-bucket", headers=headers, timeout=5),
        requests.get(front.endpoint, headers=headers, timeout=5),
    ]
    assert {answer.status_code for answer in answers} <= {400, 403}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/_ministack/reset"),
        ("POST", "/_ministack/config"),
        ("GET", "/_ministack/health"),
        ("GET", "/_localstack/health"),
        ("GET", "/_aws/ses"),
        ("GET", "/_aws/sqs/messages"),
    ],
)
def test_the_administration_is_closed(front: Front, method: str, path: str) -> None:
    answer: Any = requests.request(method, front.endpoint + path, timeout=5)
    assert answer.status_code == 403
