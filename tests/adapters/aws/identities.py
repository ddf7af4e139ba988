"""Identities, and an endpoint that plays along."""

from __future__ import annotations

from pipeline.adapters.aws.session import Identity
from tests.adapters.aws import fake_endpoint as fake
from tests.adapters.aws.fake_endpoint import Reply, Request

REGION = "us-east-1"
ME = "arn:aws:iam::111111111111:user/me"
PROMOTE = Identity(role_arn="arn:aws:iam::222222222222:role/TidegatePromote")


def deploy(account: str) -> Identity:
    return Identity(
        role_arn=f"arn:aws:iam::{account}:role/tidegate/TidegateDeploy",
        external_id=f"x-{account}",
        session_name="intake@1.4.0 to acme/us-east-1",
        via=PROMOTE,
    )


def usual(request: Request) -> Reply:
    match request.action:
        case "AssumeRole":
            return fake.assumed(request)
        case "GetCallerIdentity":
            return fake.caller(ME)
        case _:
            return fake.nothing(request)
