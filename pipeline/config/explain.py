"""Floor 3, config: pydantic's errors in our own words, each with its place and what to write instead."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pipeline.config.faults import Fault, nearest, place, shown
from pipeline.config.toml import Parsed

__all__ = ["check", "labelled"]

M = TypeVar("M", bound=BaseModel)

_EXAMPLES = {
    "name": '"acme"',
    "regions": '["us-east-1"]',
    "email": '"qa@example.com"',
    "template": '"client.yaml"',
    "days": '["mon", "tue"]',
    "from": '"06:00"',
    "to": '"10:00"',
    "timezone": '"America/New_York"',
    "service": '"intake"',
    "reason": '"waiting for their sign-off"',
    "until": '"2026-12-31"',
}
_TABLES = {
    "accounts": '[accounts] with email = "qa@example.com"',
    "stack": '[stack.client] with template = "client.yaml"',
}


def check(kind: type[M], parsed: Parsed, label: str) -> tuple[M | None, list[Fault]]:
    """The table, or None with every fault pydantic found."""
    try:
        return kind.model_validate(parsed), []
    except ValidationError as error:
        found = error.errors(include_url=False)
        return None, [_fault(kind, parsed, detail, label) for detail in found]


def labelled(parsed: Parsed, path: Sequence[str | int]) -> str:
    """` (acme)` for a place inside an entry that has a name, so that client[217] can be found; else empty."""
    if len(path) >= 2 and isinstance(path[1], int):
        entry = _value_at(parsed, path[:2])
        name = entry.get("name") if isinstance(entry, Mapping) else None
        if isinstance(name, str) and name.isprintable() and 0 < len(name) <= 32:
            return f" ({name})"
    return ""


def _fault(kind: type[BaseModel], parsed: Parsed, detail: ErrorDetails, label: str) -> Fault:
    path = tuple(part for part in detail["loc"] if part != "[key]")
    text = _text(kind, detail, path)
    return Fault(file=label, at=place(path), text=text + labelled(parsed, path))


def _text(kind: type[BaseModel], detail: ErrorDetails, path: tuple[str | int, ...]) -> str:
    key = str(path[-1]) if path else ""
    found = shown(detail["input"])
    match detail["type"]:
        case "fault":
            return detail["msg"].replace("{key}", key)
        case "missing":
            return _missing(path)
        case "extra_forbidden":
            return f"there is no such key here; {nearest(key, _keys_at(kind, path[:-1]))}"
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"found {found}; write a table"
        case "list_type":
            tables = f"; write [[{key}]]" if len(path) == 1 else "; write an array, such as [ ... ]"
            return f"found {found}{tables}"
        case "bool_type":
            return f"found {found}; write true or false"
        case "literal_error":
            return f"found {found}; write {detail.get('ctx', {}).get('expected', '')}".replace("'", '"')
        case "too_short":
            return "is empty; write at least one"
        case _:
            return f"found {found}; {detail['msg'].lower()}"


def _missing(path: tuple[str | int, ...]) -> str:
    key = str(path[-1])
    if key == "service" and len(path) == 1:
        return 'is missing; write [service] with name = "intake"'
    if len(path) == 1 and key in _TABLES:
        return f"is missing; write {_TABLES[key]}"
    return f"is missing; write {key} = {_EXAMPLES.get(key, '...')}"


def _keys_at(kind: type[BaseModel], path: Sequence[str | int]) -> tuple[str, ...]:
    current: Any = kind
    for part in path:
        current = _model_in(current)
        if isinstance(part, int) or current is None:
            continue
        fields = {field.alias or name: field.annotation for name, field in current.model_fields.items()}
        current = fields.get(part)
    model = _model_in(current)
    return tuple(field.alias or name for name, field in model.model_fields.items()) if model else ()


def _model_in(kind: Any) -> type[BaseModel] | None:
    """The model inside `list[X]`, `X | None` and the like; None where there is none."""
    inner = typing.get_args(kind)
    if not inner:
        return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None
    return next((m for m in map(_model_in, inner) if m is not None), None)


def _value_at(parsed: object, path: Sequence[str | int]) -> object:
    """None where the path leads nowhere."""
    for part in path:
        if isinstance(parsed, Mapping) and isinstance(part, str):
            parsed = parsed.get(part)
        elif isinstance(parsed, list) and isinstance(part, int) and part < len(parsed):
            parsed = parsed[part]
        else:
            return None
    return parsed
