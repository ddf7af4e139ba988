"""Room: adapters/local/front. Puts our parts around ministack's: its evaluator, its handlers, its door.

Imports ministack, so the environment must be set before this module is imported.
"""

from __future__ import annotations

import uuid
from html import escape
from typing import Any
from urllib.parse import parse_qs

from pipeline.adapters.local.front import evaluator
from pipeline.adapters.local.front.accounts import finish_new_accounts, prepare_admin, restore_roles
from pipeline.adapters.local.front.alarms import install_alarm_evaluation
from pipeline.adapters.local.front.changesets import guarded_cloudformation
from pipeline.adapters.local.front.cloud import Cloud
from pipeline.adapters.local.front.events import guarded_events
from pipeline.adapters.local.front.facts import Answer, Handler
from pipeline.adapters.local.front.gate import Gate
from pipeline.adapters.local.front.names import install_names
from pipeline.adapters.local.front.objects import CodeUnreadable, install_code_reading
from pipeline.adapters.local.front.organizations import answer

__all__ = ["application"]


def application(cloud: Cloud, mark: str) -> Gate:
    """The whole local AWS as one ASGI application."""
    import ministack.app as ministack

    evaluator.install(cloud)
    install_names()
    install_alarm_evaluation()
    handlers = ministack.SERVICE_HANDLERS
    handlers["organizations"] = _organizations(cloud)
    handlers["sts"] = _guarded_sts(cloud, handlers["sts"])
    handlers["cloudformation"] = guarded_cloudformation(handlers["cloudformation"])
    handlers["events"] = guarded_events(handlers["events"])
    handlers["lambda"] = _guarded_lambda(handlers["lambda"])

    async def start() -> None:
        await prepare_admin(cloud)
        if cloud.home.unsaved.exists():
            await restore_roles(cloud)
        cloud.home.unsaved.touch(mode=0o600)
        await finish_new_accounts(cloud)
        cloud.save()

    return Gate(ministack.app, origin=cloud.origin, mark=mark, start=start, enter_owner=_enter_owner_of_api)


def _enter_owner_of_api(api_id: str) -> None:
    """A call to an HTTP API carries no credentials, so ministack would look for it in one account only."""
    from ministack.core import responses
    from ministack.services import apigateway

    for (account_id, _, stored_id), _ in apigateway._apis.all_items():
        if stored_id == api_id:
            responses._request_account_id.set(account_id)
            return


def _organizations(cloud: Cloud) -> Handler:
    async def handle(
        _method: str, _path: str, headers: dict[str, str], body: bytes, _query: dict[str, Any]
    ) -> Answer:
        from ministack.core.responses import get_account_id

        # First the roles: an answer that says SUCCEEDED must not run ahead of them.
        await finish_new_accounts(cloud)
        return answer(cloud, get_account_id(), headers.get("x-amz-target", ""), body)

    return handle


def _guarded_sts(cloud: Cloud, original: Handler) -> Handler:
    async def handle(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> Answer:
        members = {**query, **parse_qs(body.decode("utf-8", errors="replace"))}
        if members.get("Action", [""])[-1] == "AssumeRole":
            await finish_new_accounts(cloud)
            role = members.get("RoleArn", [""])[-1]
            account = role.split(":")[4] if role.count(":") >= 5 else ""
            if account and not cloud.is_active(account):
                return _assume_refused(role)
        return await original(method, path, headers, body, query)

    return handle


def _assume_refused(role: str) -> Answer:
    """AWS does not say why: a closed, an unknown and an unwilling account look alike."""
    from ministack.core.iam_evaluator import caller_arn

    text = f"User: {caller_arn()} is not authorized to perform: sts:AssumeRole on resource: {role}"
    body = (
        '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>'
        f"<Code>AccessDenied</Code><Message>{escape(text)}</Message></Error>"
        f"<RequestId>{uuid.uuid4()}</RequestId></ErrorResponse>"
    )
    return 403, {"Content-Type": "text/xml"}, body.encode()


def _guarded_lambda(original: Handler) -> Handler:
    async def handle(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> Answer:
        install_code_reading()
        try:
            return await original(method, path, headers, body, query)
        except CodeUnreadable as refusal:
            code = "InvalidParameterValueException"
            document = f'{{"__type": "{code}", "Type": "User", "message": "{refusal}"}}'
            return 400, {"Content-Type": "application/json", "x-amzn-errortype": code}, document.encode()

    return handle
