"""Room: adapters/local/front. What AWS's policy engine knows and ministack's does not: wraps, installed once.

Each wrap adds facts or refuses; none ever turns a refusal of ministack's evaluator into a permission.
Wrapped, in this process only: `_resolve_condition_key` (missing condition keys), `enforce` (resource names of
Organizations), `evaluate_resource_policy` (the caller's own name across accounts), `resolve_credential` (no root
credential, no session of a suspended account), and in `variables.py` the matching of statements.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from pipeline.adapters.local.front.cloud import Cloud
from pipeline.adapters.local.front.facts import RequestFacts, current_facts
from pipeline.adapters.local.front.variables import install_variables

__all__ = ["install", "principal_arn"]

_UNKNOWN = object()
_ROOT = re.compile(r"arn:aws:iam::(\d{12}):root")
_SESSION = re.compile(r"arn:aws:sts::(\d{12}):assumed-role/([^/]+)/.+")
_OWN_AUTHORIZATION = ("execute-api:Invoke", "lambda:InvokeFunctionUrl")
_ACCOUNT = re.compile(r"\d{12}")


def install(cloud: Cloud) -> None:
    """Wrap ministack's evaluator; called once, before any of its services is imported."""
    _wrap_condition_keys(cloud)
    install_variables()
    _wrap_enforce(cloud)
    _wrap_resource_policies()
    _wrap_credentials(cloud)


# --- condition keys ----------------------------------------------------------------------------------


def _wrap_condition_keys(cloud: Cloud) -> None:
    from ministack.core import iam_evaluator as evaluator

    original = evaluator._resolve_condition_key

    def resolve(key: str, context: Any) -> Any:
        found = _condition_value(cloud, key.lower(), context)
        return original(key, context) if found is _UNKNOWN else found

    evaluator._resolve_condition_key = resolve


def _condition_value(cloud: Cloud, key: str, context: Any) -> Any:
    """The value of a global or service condition key, None for absent, _UNKNOWN to ask ministack.

    Sources: IAM user guide, "AWS global condition context keys"; service authorization reference for
    CloudFormation and S3.
    """
    match key:
        case "aws:securetransport":
            # AWS has TLS everywhere; loopback stands for it here.
            return "true"
        case "aws:principalarn":
            return principal_arn(context.principal_arn)
        case "aws:principalisawsservice":
            return "false"
        case "aws:principalorgid":
            return _organization_of(cloud, context.principal_account)
        case "aws:principalorgpaths":
            path = cloud.path_of(context.principal_account)
            return [path] if path else None
        case "aws:resourceaccount" | "s3:resourceaccount":
            return _owner(context)
        case "aws:resourceorgid":
            return _organization_of(cloud, _owner(context))
        case "aws:resourceorgpaths":
            path = cloud.path_of(_owner(context))
            return [path] if path else None
        case _:
            return _request_value(key, current_facts(), context.action)


def _request_value(key: str, facts: RequestFacts, action: str) -> Any:
    service = action.partition(":")[0]
    match key:
        case "cloudformation:templateurl" if service == "cloudformation":
            return facts.form.get("TemplateURL")
        case "cloudformation:rolearn" if service == "cloudformation":
            return facts.form.get("RoleARN")
        case "cloudformation:changesetname" if service == "cloudformation":
            return facts.form.get("ChangeSetName")
        case "cloudformation:stackpolicyurl" if service == "cloudformation":
            return facts.form.get("StackPolicyURL")
        case "s3:if-none-match" if service == "s3":
            return facts.headers.get("if-none-match")
        case "s3:if-match" if service == "s3":
            return facts.headers.get("if-match")
        case _:
            return _UNKNOWN


def _organization_of(cloud: Cloud, account_id: str) -> str | None:
    known = cloud.organization.state_of(account_id) is not None
    return cloud.organization.organization_id if known else None


def _owner(context: Any) -> str:
    """The account that owns the resource: in its ARN, or for a bucket whoever made it."""
    parts = context.resource_arn.split(":", 5)
    if len(parts) == 6 and _ACCOUNT.fullmatch(parts[4]):
        return str(parts[4])
    if context.resource_arn.startswith("arn:aws:s3:::"):
        from ministack.services import s3

        bucket = context.resource_arn.removeprefix("arn:aws:s3:::").partition("/")[0]
        return s3._bucket_owner_account(bucket) or str(context.principal_account)
    return str(context.principal_account)


def principal_arn(arn: str) -> str:
    """What aws:PrincipalArn holds: for a role session the role's own ARN, path included."""
    session = _SESSION.fullmatch(arn)
    if session is None:
        return arn
    from ministack.services import iam

    account, name = session.groups()
    role = iam._roles.get_scoped(account, None, name) or {}
    return str(role.get("Arn") or f"arn:aws:iam::{account}:role/{name}")


# --- enforcement -------------------------------------------------------------------------------------


def _wrap_enforce(cloud: Cloud) -> None:
    from ministack.core import iam_evaluator as evaluator

    original = evaluator.enforce

    def enforce(
        access_key_id: str, iam_action: str, service: str, region: str, resource_arn: str = "*", **named: Any
    ) -> Any:
        if service == "s3" and not access_key_id and iam_action in ("s3:CreateBucket", "s3:ListAllMyBuckets"):
            return evaluator.AuthError("AccessDenied", "Access Denied")
        if not access_key_id and iam_action in _OWN_AUTHORIZATION:
            # A bearer token is not an AWS credential: the API or function URL judges it by itself.
            evaluator._anonymous.set(True)
        checked = _resource(cloud, service, resource_arn)
        return original(access_key_id, iam_action, service, region, resource_arn=checked, **named)

    evaluator.enforce = enforce


def _resource(cloud: Cloud, service: str, resource_arn: str) -> str:
    """The resource a request is checked on, where ministack names none or a made-up one."""
    facts = current_facts()
    if service == "organizations":
        return _organizations_resource(cloud, facts)
    named = facts.form.get("ChangeSetName", "")
    if service == "cloudformation" and resource_arn == "*" and named.startswith("arn:"):
        from ministack.services import cloudformation

        found = cloudformation._change_sets.get(named)
        return str(found["StackId"]) if found else named
    return resource_arn


def _organizations_resource(cloud: Cloud, facts: RequestFacts) -> str:
    """The resource of an Organizations action (service authorization reference, AWS Organizations)."""
    organization, payload = cloud.organization, facts.payload
    prefix = f"arn:aws:organizations::{cloud.management_id}"
    for member in ("AccountId", "ResourceId", "ChildId", "ParentId", "OrganizationalUnitId"):
        named = payload.get(member)
        if not isinstance(named, str):
            continue
        if _ACCOUNT.fullmatch(named):
            return f"{prefix}:account/{organization.organization_id}/{named}"
        if named.startswith("ou-"):
            return f"{prefix}:ou/{organization.organization_id}/{named}"
        if named.startswith("r-"):
            return f"{prefix}:root/{organization.organization_id}/{named}"
    # Actions without a resource type are checked on "*".
    return "*"


def _wrap_resource_policies() -> None:
    """Across accounts ministack evaluates a bucket's policy for the caller's account; AWS for the caller."""
    from ministack.core import iam_evaluator as evaluator

    original = evaluator.evaluate_resource_policy

    def evaluate(doc: Any, ctx: Any, *args: Any, **named: Any) -> Any:
        account = _ROOT.fullmatch(ctx.principal_arn)
        caller = evaluator._request_caller_arn.get()
        if account and f":{account.group(1)}:" in caller:
            ctx = dataclasses.replace(ctx, principal_arn=caller)
        return original(doc, ctx, *args, **named)

    evaluator.evaluate_resource_policy = evaluate


# --- credentials -------------------------------------------------------------------------------------


def _wrap_credentials(cloud: Cloud) -> None:
    """No root: neither an account number, nor the word `test`, nor a header that names no key at all."""
    from ministack.core import iam_evaluator as evaluator

    original = evaluator.resolve_credential

    def resolve(access_key_id: str, *args: Any, **named: Any) -> Any:
        if access_key_id and evaluator.is_root_access_key(access_key_id):
            return _refused(evaluator)
        if not access_key_id and not evaluator._anonymous.get() and evaluator._signed_request.get() is None:
            return _refused(evaluator)
        found = original(access_key_id, *args, **named)
        account = getattr(found, "account_id", None)
        if account and cloud.organization.state_of(account) == "SUSPENDED":
            return _refused(evaluator)
        return found

    evaluator.resolve_credential = resolve


def _refused(evaluator: Any) -> Any:
    return evaluator.CredentialResolutionError(
        "InvalidClientTokenId", "The security token included in the request is invalid."
    )
