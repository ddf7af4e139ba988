"""Room: adapters/local/front. Reading a template or a code package out of S3 the way AWS does: as the caller.

ministack looks only into the caller's own buckets and asks for no permission; here the caller's policy and,
across accounts, the bucket's must both allow s3:GetObject.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import Any
from urllib.parse import unquote, urlsplit

from pipeline.adapters.local.front.evaluator import principal_arn

__all__ = ["ACTING_ROLE", "CodeUnreadable", "install_code_reading", "may_read", "template_location"]

# The execution role of the stack operation that runs, or empty. Templates are read as the caller, code as the role.
ACTING_ROLE: ContextVar[str] = ContextVar("tidegate_acting_role", default="")
_PATH_STYLE = re.compile(r"s3[.-](?:[a-z0-9-]+\.)?amazonaws\.com|127\.0\.0\.1(:\d+)?|localhost(:\d+)?")
_HOST_STYLE = re.compile(r"(?P<bucket>[a-z0-9.-]+)\.s3[.-](?:[a-z0-9-]+\.)?amazonaws\.com")


class CodeUnreadable(ValueError):
    """Lambda could not read the code package; the message is AWS's."""


def template_location(url: str) -> tuple[str, str] | None:
    """Bucket and key of a TemplateURL, path style or host style; None when it is no S3 address."""
    parts = urlsplit(url)
    path = unquote(parts.path.lstrip("/"))
    if _PATH_STYLE.fullmatch(parts.netloc):
        bucket, _, key = path.partition("/")
        return (bucket, key) if bucket and key else None
    found = _HOST_STYLE.fullmatch(parts.netloc)
    return (found["bucket"], path) if found and path else None


def may_read(bucket: str, key: str, role: str = "") -> bool:
    """Whether the role, or without one the caller, may read this object: own policies, and the bucket's."""
    from ministack.core import iam_evaluator as evaluator
    from ministack.core.responses import get_account_id, get_region
    from ministack.services import s3

    account = get_account_id()
    arn = role or evaluator.caller_arn()
    policies, limits = _policies_of(evaluator, role, account)
    context = evaluator.EvalContext(
        principal_arn=arn,
        principal_type="AssumedRole",
        principal_account=account,
        action="s3:GetObject",
        resource_arn=f"arn:aws:s3:::{bucket}/{key}",
        region=get_region(),
    )
    identity = evaluator.evaluate(context, policies, *limits)
    owner = s3._bucket_owner_account(bucket)
    policy = s3._bucket_policies.get_scoped(owner, None, bucket) if owner else None
    return bool(evaluator.combine_resource_policy(identity, context, policy, owner).decision == "Allow")


def _policies_of(evaluator: Any, role: str, account: str) -> tuple[Any, Any]:
    """Identity policies and limits of the execution role, or of the pinned caller."""
    if role:
        return evaluator._gather_role_policies(role.rpartition("/")[2], account), ()
    arn = principal_arn(evaluator.caller_arn())
    name = arn.rpartition("/")[2]
    if ":role/" in arn:
        return evaluator._gather_role_policies(name, account), ()
    return evaluator._gather_user_policies(name, account), ()


def install_code_reading() -> None:
    """Wrap the two functions through which ministack reads objects for other services; idempotent."""
    from ministack.core.responses import get_region, request_scope
    from ministack.services import lambda_svc, s3

    if s3._get_object_data.__module__ == __name__:
        return
    original = s3._get_object_data

    def read(bucket: str, key: str, version: str | None, role: str) -> bytes | None:
        owner = s3._bucket_owner_account(bucket)
        if owner is None or not may_read(bucket, key, role):
            return None
        with request_scope(owner, get_region()):
            found: bytes | None = original(bucket, key, version)
        return found

    def get_object(bucket_name: str, key: str, version_id: str | None = None) -> bytes | None:
        return read(bucket_name, key, version_id, "")

    def fetch_code(bucket: str, key: str, version_id: str | None = None) -> bytes:
        found = read(bucket, key, version_id, ACTING_ROLE.get())
        if found is None:
            raise CodeUnreadable(
                "Your access has been denied by S3, please make sure your request credentials have permission "
                f"to GetObject for {bucket}/{key}. S3 Error Code: AccessDenied. S3 Error Message: Access Denied"
            )
        return found

    s3._get_object_data = get_object
    lambda_svc._fetch_code_from_s3 = fetch_code
