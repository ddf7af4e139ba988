"""Floor 3, adapters: every AWS call of Tidegate goes through here, signed for exactly one identity.

One botocore session and one client per service and Region serve all accounts: each request is signed with the
credentials of the identity it is made for, which a `before-sign` handler reads from a context variable. A client
without an identity signs nothing. This room must never build a client per account, and never let botocore's
DEBUG log, which prints secrets, reach a handler.
"""

from __future__ import annotations

import contextlib
import logging
import re
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from pipeline.adapters.aws.faults import CallSite, perhaps_applied, translated
from pipeline.errors import CredentialsRefused, UsageError, WrongAccount
from pipeline.model.ids import AccountId, account_id

__all__ = ["AMBIENT", "NEVER_RETRIED", "Aws", "Identity", "account_of_arn"]

NEVER_RETRIED = frozenset(
    {("organizations", "create_account"), ("organizations", "close_account"), ("lambda", "invoke")}
)
"""No idempotency token: a repeated call is a second account, or a function that runs twice. (API reference of
CreateAccount, CloseAccount, Invoke.)"""

_MARGIN = timedelta(minutes=5)
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::([0-9]{12}):role/(?:.+/)?([\w+=,.@-]+)")
_ASSUMED = re.compile(r"arn:aws[a-z-]*:sts::([0-9]{12}):assumed-role/([\w+=,.@-]+)/[\w+=,.@-]+")
_DEFAULT_REGION = "us-east-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who a call is made as. role_arn empty: the ambient credentials. via: whose credentials assume the role."""

    role_arn: str = ""
    external_id: str = ""
    session_name: str = "tidegate"
    via: Identity | None = None

    @property
    def account(self) -> str:
        """The role's account; empty for ambient credentials."""
        return _role(self.role_arn)[0] if self.role_arn else ""


AMBIENT = Identity()


def _role(arn: str) -> tuple[str, str]:
    found = _ROLE.fullmatch(arn)
    if found is None:
        raise UsageError(f"{arn!r} is not the ARN of a role", remedy="write arn:aws:iam::ACCOUNT:role/NAME")
    return found[1], found[2]


def account_of_arn(arn: str) -> str:
    """The fifth field of an ARN; empty where the text is no ARN."""
    parts = arn.split(":")
    return parts[4] if len(parts) >= 6 and parts[0] == "arn" else ""


class _Attempt:
    """What one call is signed with, and whether one of its attempts may have been applied unseen."""

    __slots__ = ("credentials", "uncertain")

    def __init__(self, credentials: Any) -> None:
        self.credentials = credentials
        self.uncertain = False


_attempt: ContextVar[_Attempt | None] = ContextVar("tidegate_attempt", default=None)


def _sign_for_identity(request: Any, **_: object) -> None:
    attempt = _attempt.get()
    if attempt is None:
        raise WrongAccount("an AWS request was about to be signed for no identity", state="it was not sent")
    signing = request.context.get("signing", {})
    # A copy: the endpoint rules may hand the same dictionary to another thread's request.
    request.context["signing"] = {**signing, "request_credentials": attempt.credentials}


def _note_lost_answers(
    exception: Exception | None, response_dict: Any, parsed_response: Any, **_: object
) -> None:
    attempt = _attempt.get()
    if attempt is None:
        return
    status = int(response_dict["status_code"]) if response_dict else 0
    error = parsed_response.get("Error", {}) if isinstance(parsed_response, dict) else {}
    if perhaps_applied(exception, status, str(error.get("Code", ""))):
        attempt.uncertain = True


class _Slot:
    """One identity's credentials. The lock makes a single flight of many threads that need them at once."""

    __slots__ = ("credentials", "expires", "lock")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.credentials: Any = None
        self.expires = datetime.min.replace(tzinfo=UTC)


@cache
def _models() -> Any:
    """botocore's service models, read and parsed once for the whole process."""
    from botocore.loaders import create_loader

    return create_loader()


class Aws:
    """Every call of every account through one botocore session. Safe to use from many threads.

    max_connections: size of each client's connection pool. call_timeout: seconds to wait for an answer.
    """

    def __init__(self, *, max_connections: int = 64, call_timeout: float = 25.0) -> None:
        from botocore.session import Session

        _keep_secrets_out_of_logs()
        self._session: Any = Session()
        self._session.register_component("data_loader", _models())
        self._max_connections = max_connections
        self._call_timeout = call_timeout
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str, bool], Any] = {}
        self._slots: dict[Identity, _Slot] = {}
        self._ambient_lock = threading.Lock()
        self._ambient_credentials: Any = None
        self._ambient_caller: tuple[AccountId, str] | None = None

    @property
    def clients(self) -> tuple[tuple[str, str], ...]:
        """(service, Region) of every client built so far: its length does not depend on how many accounts."""
        with self._lock:
            return tuple(sorted((service, region) for service, region, _ in self._clients))

    def call(
        self, identity: Identity, service: str, region: str, operation: str, **params: Any
    ) -> dict[str, Any]:
        """AWS's answer. operation: boto3's method name. Raises the typed errors of `faults.py`."""
        return self._send(identity, _site(identity, service, region, operation), params)

    def pages(
        self, identity: Identity, service: str, region: str, operation: str, **params: Any
    ) -> Iterator[dict[str, Any]]:
        """Every page of a listing, one call each, with the credentials looked at again before each."""
        site = _site(identity, service, region, operation)
        client = self._client(service, region)
        steps = iter(client.get_paginator(operation).paginate(**params))
        while True:
            with self._signed(self._credentials(identity, region), site):
                page = next(steps, None)
            if page is None:
                return
            yield page

    def caller(self, identity: Identity) -> tuple[AccountId, str]:
        """(account, ARN) by GetCallerIdentity: what AWS itself says the credentials are."""
        answer = self.call(identity, "sts", self._sts_region(_DEFAULT_REGION), "get_caller_identity")
        return account_id(str(answer["Account"])), str(answer["Arn"])

    # --- one call ------------------------------------------------------------------------------

    def _send(self, identity: Identity, site: CallSite, params: dict[str, Any]) -> dict[str, Any]:
        credentials = self._credentials(identity, site.region)
        try:
            return self._answer(credentials, site, params)
        except CredentialsRefused:
            # Refused, so without effect: once more with new ones, where a role can give new ones.
            renewed = self._renewed(identity, site.region, credentials)
            if renewed is credentials:
                raise
        return self._answer(renewed, site, params)

    def _answer(self, credentials: Any, site: CallSite, params: dict[str, Any]) -> dict[str, Any]:
        retried = (site.service, site.operation) not in NEVER_RETRIED
        client = self._client(site.service, site.region, retried=retried)
        with self._signed(credentials, site):
            answer: dict[str, Any] = getattr(client, site.operation)(**params)
        return answer

    @contextlib.contextmanager
    def _signed(self, credentials: Any, site: CallSite) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.parsers import ResponseParserError

        attempt = _Attempt(credentials)
        token = _attempt.set(attempt)
        try:
            yield
        except (BotoCoreError, ClientError, ResponseParserError) as error:
            # `from None`: botocore's own text may quote a session token.
            raise translated(error, site, uncertain=attempt.uncertain) from None
        finally:
            _attempt.reset(token)

    # --- clients -------------------------------------------------------------------------------

    def _client(self, service: str, region: str, *, retried: bool = True) -> Any:
        key = (service, region, retried)
        client = self._clients.get(key)
        if client is not None:
            return client
        with self._lock:
            if key not in self._clients:
                self._clients[key] = self._build(service, region, retried=retried)
            return self._clients[key]

    def _build(self, service: str, region: str, *, retried: bool) -> Any:
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        config = Config(
            connect_timeout=10,
            read_timeout=self._call_timeout,
            max_pool_connections=self._max_connections,
            retries={"mode": "standard", "total_max_attempts": 3 if retried else 1},
            tcp_keepalive=True,
            # The endpoint must not carry the ambient account's id: these requests are for many accounts.
            account_id_endpoint_mode="disabled",
            user_agent_extra="tidegate",
        )
        try:
            client = self._session.create_client(service, region_name=region, config=config)
        except BotoCoreError as error:
            site = CallSite(service=service, operation="create_client", region=region)
            raise translated(error, site, uncertain=False) from None
        # On the client, not on the session: botocore's own clients for SSO and profiles sign as they like.
        client.meta.events.register("before-sign", _sign_for_identity)
        client.meta.events.register("response-received", _note_lost_answers)
        _keep_secrets_out_of_logs()
        return client

    # --- credentials ---------------------------------------------------------------------------

    def _credentials(self, identity: Identity, region: str) -> Any:
        if not identity.role_arn:
            return self._ambient()
        slot = self._slot(identity)
        with slot.lock:
            if slot.credentials is None or datetime.now(UTC) >= slot.expires - _MARGIN:
                slot.credentials, slot.expires = self._assume(identity, region)
            return slot.credentials

    def _renewed(self, identity: Identity, region: str, refused: Any) -> Any:
        """New credentials in place of those that AWS refused; the same where nobody can renew them."""
        if not identity.role_arn:
            return refused
        slot = self._slot(identity)
        with slot.lock:
            if slot.credentials is refused:
                slot.credentials, slot.expires = self._assume(identity, region)
            return slot.credentials

    def _slot(self, identity: Identity) -> _Slot:
        with self._lock:
            return self._slots.setdefault(identity, _Slot())

    def _ambient(self) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError

        with self._ambient_lock:
            if self._ambient_credentials is None:
                site = CallSite(service="sts", operation="get_credentials", region="this machine")
                try:
                    self._ambient_credentials = self._session.get_credentials()
                except (BotoCoreError, ClientError) as error:
                    raise translated(error, site, uncertain=False) from None
            if self._ambient_credentials is None:
                raise CredentialsRefused(
                    "there are no AWS credentials",
                    state="nothing was sent to AWS",
                    remedy="set AWS_PROFILE or log in (aws sso login), then run the command again",
                )
            return self._ambient_credentials

    def _assume(self, identity: Identity, region: str) -> tuple[Any, datetime]:
        from botocore.credentials import Credentials

        base = identity.via or AMBIENT
        if not base.role_arn and self._is_ambient_role(identity):
            return self._ambient(), datetime.max.replace(tzinfo=UTC)
        site = CallSite(
            service="sts",
            operation="assume_role",
            region=self._sts_region(region),
            account=identity.account,
            assumed=bool(base.role_arn),
            hop=bool(base.role_arn or identity.external_id),
        )
        params = {"RoleArn": identity.role_arn, "RoleSessionName": _session_name(identity.session_name)}
        if identity.external_id:
            params["ExternalId"] = identity.external_id
        answer = self._send(base, site, params)
        _check_account(identity, str(answer.get("AssumedRoleUser", {}).get("Arn", "")))
        found = answer["Credentials"]
        credentials = Credentials(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])
        return credentials, found["Expiration"].astimezone(UTC)

    def _is_ambient_role(self, identity: Identity) -> bool:
        """Whether the ambient caller is this very role already; asked of AWS once."""
        if self._ambient_caller is None:
            self._ambient_caller = self.caller(AMBIENT)
        found = _ASSUMED.fullmatch(self._ambient_caller[1])
        return found is not None and (found[1], found[2]) == _role(identity.role_arn)

    def _sts_region(self, otherwise: str) -> str:
        """The Region of the user's own configuration: a regional endpoint, whose tokens are valid everywhere."""
        from botocore.exceptions import BotoCoreError

        with self._ambient_lock:
            try:
                return str(self._session.get_config_variable("region") or otherwise)
            except BotoCoreError as error:
                site = CallSite(service="sts", operation="get_configuration", region="this machine")
                raise translated(error, site, uncertain=False) from None


def _site(identity: Identity, service: str, region: str, operation: str) -> CallSite:
    return CallSite(
        service=service,
        operation=operation,
        region=region,
        account=identity.account,
        assumed=bool(identity.role_arn),
    )


def _session_name(wanted: str) -> str:
    """2 to 64 characters of the set that AssumeRole allows."""
    name = re.sub(r"[^\w+=,.@-]", "-", wanted, flags=re.ASCII)[:64]
    return name if len(name) >= 2 else f"tidegate-{name}"


def _check_account(identity: Identity, arn: str) -> None:
    found = _ASSUMED.fullmatch(arn)
    if found is None or found[1] != identity.account:
        there = f"account {found[1]}" if found else "no account at all"
        raise WrongAccount(
            f"AssumeRole for account {identity.account} answered for {there}",
            state="nothing was done with these credentials",
            remedy="check the endpoint this machine talks to (AWS_ENDPOINT_URL) and the role's ARN",
        )


def _keep_secrets_out_of_logs() -> None:
    """botocore logs whole requests, credentials and all, at DEBUG; INFO is the most anybody gets to see."""
    names = ("botocore", "boto3", "urllib3", "s3transfer")
    known = [n for n in logging.root.manager.loggerDict if n.startswith(tuple(f"{root}." for root in names))]
    for root in names:
        logger = logging.getLogger(root)
        if logger.getEffectiveLevel() < logging.INFO:
            logger.setLevel(logging.INFO)
    for name in known:
        logger = logging.getLogger(name)
        if 0 < logger.level < logging.INFO:
            logger.setLevel(logging.INFO)
