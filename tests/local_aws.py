"""Fixtures for tests that talk to the local AWS front: import them into a conftest.py.

    from tests.local_aws import admin_session, front  # re-exported fixtures

Every pytest-xdist worker has a front of its own, in a temporary folder, on a free port of the loopback address.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from pipeline.adapters.local.front import process
from pipeline.adapters.simulated.organizations import DEFAULT_ROLE_NAME

__all__ = ["Front", "admin_session", "error_of", "front"]

_ONE_ATTEMPT = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """A running local AWS. Sessions of it need `endpoint_url`; `client` passes it and never retries."""

    home: Path
    running: process.Running

    @property
    def endpoint(self) -> str:
        """The address of the front."""
        return self.running.endpoint

    def admin(self, region: str = "us-east-1") -> boto3.Session:
        """A session of user admin in the management account."""
        found = process.environment(self.home)
        return boto3.Session(
            aws_access_key_id=found["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=found["AWS_SECRET_ACCESS_KEY"],
            region_name=region,
        )

    def client(self, session: boto3.Session, service: str, region: str | None = None) -> Any:
        """A client of this front."""
        return session.client(service, region_name=region, endpoint_url=self.endpoint, config=_ONE_ATTEMPT)

    def create_account(self, name: str) -> str:
        """A new account's id, once it is SUCCEEDED."""
        organizations = self.client(self.admin(), "organizations")
        email = f"{name}-{time.time_ns()}@example.com"
        status = organizations.create_account(Email=email, AccountName=name)["CreateAccountStatus"]
        while status["State"] == "IN_PROGRESS":
            time.sleep(0.05)
            status = organizations.describe_create_account_status(CreateAccountRequestId=status["Id"])[
                "CreateAccountStatus"
            ]
        assert status["State"] == "SUCCEEDED"
        return str(status["AccountId"])

    def assume(
        self,
        account_id: str,
        role: str = DEFAULT_ROLE_NAME,
        *,
        via: boto3.Session | None = None,
        external_id: str | None = None,
    ) -> boto3.Session:
        """A session in a role, by AssumeRole; `via` defaults to the admin."""
        more = {"ExternalId": external_id} if external_id else {}
        given = self.client(via or self.admin(), "sts").assume_role(
            RoleArn=f"arn:aws:iam::{account_id}:role/{role}", RoleSessionName="test", **more
        )["Credentials"]
        return boto3.Session(
            aws_access_key_id=given["AccessKeyId"],
            aws_secret_access_key=given["SecretAccessKey"],
            aws_session_token=given["SessionToken"],
            region_name="us-east-1",
        )


def error_of(call: Callable[..., Any], *args: Any, **named: Any) -> str:
    """The AWS error code that a call ends with, or OK."""
    try:
        call(*args, **named)
    except ClientError as fault:
        return str(fault.response["Error"]["Code"])
    return "OK"


@pytest.fixture(scope="session")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """A local AWS for the whole run of one worker."""
    home = tmp_path_factory.mktemp("local-aws")
    with process.running(home) as started:
        yield Front(home=home, running=started)


@pytest.fixture
def admin_session(front: Front) -> boto3.Session:
    """A boto3 session of user admin; give its clients `endpoint_url=front.endpoint`."""
    return front.admin()
