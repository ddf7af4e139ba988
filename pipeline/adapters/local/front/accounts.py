"""Room: adapters/local/front. What AWS puts into a new account: the access role; and the one person of this cloud.

Calls IAM inside the process, past the door that checks signatures, so that no root credential has to exist.
"""

from __future__ import annotations

import json
import re
from urllib.parse import urlencode

from pipeline.adapters.local.front.cloud import Cloud
from pipeline.adapters.local.front.home import Credentials

__all__ = ["call_iam", "finish_new_accounts", "prepare_admin", "restore_roles"]

_ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
_ADMIN = "admin"


async def call_iam(account_id: str, action: str, **members: str) -> tuple[int, str]:
    """One IAM call as the account itself: (HTTP status, XML)."""
    from ministack.app import SERVICE_HANDLERS
    from ministack.core.responses import request_scope

    body = urlencode({"Action": action, "Version": "2010-05-08", **members}).encode()
    headers = {"content-type": "application/x-www-form-urlencoded"}
    with request_scope(account_id, "us-east-1"):
        status, _, answer = await SERVICE_HANDLERS["iam"]("POST", "/", headers, body, {})
    text = answer.decode() if isinstance(answer, bytes) else str(answer)
    return int(status), text


async def finish_new_accounts(cloud: Cloud) -> None:
    """Put the access role into every account that has come to be (CreateAccount: RoleName).

    The role trusts the management account and has AdministratorAccess, as AWS makes it.
    """
    for account in cloud.organization.take_new_accounts():
        trust = _trust(cloud.management_id)
        await _ensure_role(account.account_id, account.role_name, trust)
        cloud.save()


async def restore_roles(cloud: Cloud) -> None:
    """Put back the access roles that a killed process could not keep; the organization itself is always kept."""
    for account in cloud.organization.access_roles():
        await _ensure_role(account.account_id, account.role_name, _trust(cloud.management_id))


async def prepare_admin(cloud: Cloud) -> None:
    """Make user `admin` of the management account with a key of its own, unless both exist."""
    kept = cloud.home.read_credentials()
    if kept is not None and await _has_key(cloud.management_id, kept.access_key_id):
        return
    account = cloud.management_id
    await _need(account, "CreateUser", UserName=_ADMIN)
    await _need(account, "AttachUserPolicy", UserName=_ADMIN, PolicyArn=_ADMINISTRATOR)
    answer = await _need(account, "CreateAccessKey", UserName=_ADMIN)
    made = Credentials(
        access_key_id=_text(answer, "AccessKeyId"), secret_access_key=_text(answer, "SecretAccessKey")
    )
    cloud.home.write(
        cloud.home.credentials,
        {"access_key_id": made.access_key_id, "secret_access_key": made.secret_access_key},
    )


async def _ensure_role(account_id: str, role_name: str, trust: str) -> None:
    await _need(account_id, "CreateRole", RoleName=role_name, AssumeRolePolicyDocument=trust)
    await _need(account_id, "AttachRolePolicy", RoleName=role_name, PolicyArn=_ADMINISTRATOR)


async def _need(account_id: str, action: str, **members: str) -> str:
    """A call that must succeed, or find its work done already."""
    status, answer = await call_iam(account_id, action, **members)
    if status >= 400 and "<Code>EntityAlreadyExists</Code>" not in answer:
        raise RuntimeError(f"IAM refused {action} while an account was prepared: HTTP {status}")
    return answer


async def _has_key(account_id: str, access_key_id: str) -> bool:
    _, answer = await call_iam(account_id, "ListAccessKeys", UserName=_ADMIN)
    return f"<AccessKeyId>{access_key_id}</AccessKeyId>" in answer


def _trust(management_id: str) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{management_id}:root"},
        "Action": "sts:AssumeRole",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _text(xml: str, name: str) -> str:
    found = re.search(f"<{name}>([^<]+)</{name}>", xml)
    if found is None:
        raise RuntimeError(f"IAM's answer has no {name}")
    return found.group(1)
