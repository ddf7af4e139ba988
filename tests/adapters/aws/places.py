"""What the tests of the CloudFormation adapter share: one place, its ARNs, and the adapter over a script."""

from __future__ import annotations

from datetime import UTC, datetime

from pipeline.adapters.aws.faults import AwsRefused
from pipeline.adapters.aws.session import Aws, Identity
from pipeline.adapters.aws.stacks import CloudFormationStacks
from pipeline.model.ids import AccountId
from pipeline.ports import Place

PLACE = Place(AccountId("012345670123"), "eu-west-1")
CFN = "arn:aws:cloudformation:eu-west-1:012345670123"
STACK = f"{CFN}:stack/svc-intake/5b1c7d00-0000-4000-8000-000000000001"
CHANGE_SET = f"{CFN}:changeSet/tg-0123/5b1c7d00-0000-4000-8000-000000000002"
ELSEWHERE = STACK.replace("012345670123", "999999999999")
NOW = datetime(2026, 11, 23, tzinfo=UTC)
TOKEN = "0123456789abcdef0123456789abcdef"


def identity_of(place: Place) -> Identity:
    return Identity(role_arn=f"arn:aws:iam::{place.account}:role/TidegateDeploy", external_id="x1")


def stacks(aws: Aws) -> CloudFormationStacks:
    return CloudFormationStacks(aws, identity_of, bucket_prefix="tidegate-artifacts-222222222222")


def refusal(code: str, message: str) -> AwsRefused:
    return AwsRefused.of(f"cloudformation: {code}: {message}", code, message, ())
