"""Floor 3, adapters: the boto3 Session that integration tests get. Never the runner's own credentials."""

from __future__ import annotations

from typing import Any

from pipeline.adapters.aws.session import Aws, Identity, account_of_arn
from pipeline.errors import WrongAccount

__all__ = ["tester_session"]


def tester_session(*, via: str, role: str, external_id: str, region: str) -> Any:
    """A boto3.Session as `role`, which `via` (a role of the Tools account) may assume; it renews itself.

    WrongAccount where AssumeRole answers for another account than the role's.
    """
    import boto3
    from botocore.credentials import RefreshableCredentials
    from botocore.session import get_session

    aws = Aws(max_connections=4)
    tools = Identity(role_arn=via, session_name="tidegate-test")

    def assume() -> dict[str, str]:
        answer = aws.call(
            tools,
            "sts",
            region,
            "assume_role",
            RoleArn=role,
            RoleSessionName="tidegate-test",
            ExternalId=external_id,
        )
        return _credentials(answer, role)

    botocore_session = get_session()
    # botocore offers no public way to give a session credentials that renew themselves.
    botocore_session._credentials = RefreshableCredentials.create_from_metadata(
        metadata=assume(), refresh_using=assume, method="sts-assume-role"
    )
    return boto3.Session(botocore_session=botocore_session, region_name=region)


def _credentials(answer: dict[str, Any], role: str) -> dict[str, str]:
    """In the words of botocore's RefreshableCredentials."""
    landed = account_of_arn(str(answer["AssumedRoleUser"]["Arn"]))
    if landed != account_of_arn(role):
        raise WrongAccount(
            f"AssumeRole for account {account_of_arn(role)} answered for {landed or 'no account'}",
            state="no test was run with these credentials",
        )
    found = answer["Credentials"]
    return {
        "access_key": str(found["AccessKeyId"]),
        "secret_key": str(found["SecretAccessKey"]),
        "token": str(found["SessionToken"]),
        "expiry_time": found["Expiration"].isoformat(),
    }
