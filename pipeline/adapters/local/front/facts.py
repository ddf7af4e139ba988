"""Room: adapters/local/front. What the request in hand says, for the checks that run deep inside its handling.

It reads requests and never answers one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

__all__ = [
    "CURRENT",
    "READ_BODIES",
    "Answer",
    "Handler",
    "RequestFacts",
    "current_facts",
    "read_facts",
    "signed_service",
]

# Status, headers, body: what ministack's handlers give; and the handler of one service.
Answer = tuple[int, dict[str, str], bytes]
Handler = Callable[[str, str, dict[str, str], bytes, dict[str, Any]], Awaitable[Answer]]

_SCOPE = re.compile(r"Credential=[^/\s]+/\d{8}/[^/]+/([^/]+)/aws4_request")
# Services whose small bodies are read before they are passed on; everything else streams through untouched.
READ_BODIES = frozenset({"cloudformation", "organizations", "sts", "iam"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFacts:
    """`headers` with lower-case names; `form` the query-protocol members; `payload` a JSON body's members."""

    service: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
    payload: Mapping[str, Any] = field(default_factory=dict)


CURRENT: ContextVar[RequestFacts | None] = ContextVar("tidegate_request_facts", default=None)


def current_facts() -> RequestFacts:
    """The facts of the request in hand; empty ones outside of a request."""
    return CURRENT.get() or RequestFacts()


def signed_service(headers: Mapping[str, str]) -> str:
    """The service a SigV4 Authorization header is signed for, or empty."""
    found = _SCOPE.search(headers.get("authorization", ""))
    return found.group(1) if found else ""


def read_facts(headers: Mapping[str, str], query: str, body: bytes) -> RequestFacts:
    """The facts of one request; a body that is neither a form nor JSON counts as empty."""
    content = headers.get("content-type", "")
    text = body.decode("utf-8", errors="replace")
    form = parse_qs(query, keep_blank_values=True)
    payload: dict[str, Any] = {}
    if "x-www-form-urlencoded" in content:
        form = {**form, **parse_qs(text, keep_blank_values=True)}
    elif "json" in content and text:
        try:
            decoded = json.loads(text)
        except json.JSONDecodeError:
            decoded = {}
        payload = decoded if isinstance(decoded, dict) else {}
    return RequestFacts(
        service=signed_service(headers),
        headers=headers,
        form={name: values[-1] for name, values in form.items()},
        payload=payload,
    )
