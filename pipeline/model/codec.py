"""Floor 1, frozen dataclasses to canonical JSON and back, strictly. No effects.

Used for what Tidegate itself writes and reads again: plans, events, tick states. A field that is missing, unknown
or of the wrong type is a ValueError with its path; files that people write go through `pipeline.config` instead.
datetime: ISO 8601 in UTC. timedelta: whole milliseconds.

What is hashed and kept is written sparsely: a field that equals its default is left out, and read back as that
default. A field that a later version adds then changes neither the digest of an old plan nor the chain of an old
journal. The price is a promise: every field added has a default, and a default never changes its meaning.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Hashable, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar

from pipeline.model.canonical import Json

__all__ = ["decode", "from_json", "sparse_json", "to_json"]

T = TypeVar("T")


def to_json(value: object) -> Json:
    """A dataclass becomes an object with every field, a tuple an array. TypeError for what has no form here."""
    return _encode(value, sparse=False)


def sparse_json(value: object) -> Json:
    """As `to_json`, without the fields that equal their defaults: for what is hashed and kept."""
    return _encode(value, sparse=True)


def _encode(value: object, *, sparse: bool) -> Json:
    if isinstance(value, StrEnum):
        return value.value
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, tuple):
        return [_encode(item, sparse=sparse) for item in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds")
    if isinstance(value, timedelta):
        return round(value / timedelta(milliseconds=1))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _encode_dataclass(value, sparse=sparse)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _encode_dataclass(value: object, *, sparse: bool) -> Json:
    kind: Any = type(value)
    silent = _defaults(kind) if sparse else {}
    told: dict[str, Json] = {}
    for name in _names(kind):
        inner = getattr(value, name)
        if name not in silent or silent[name] != inner:
            told[name] = _encode(inner, sparse=sparse)
    return told


@cache
def _names(kind: Hashable) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(typing.cast("Any", kind)))


@cache
def _defaults(kind: Hashable) -> dict[str, object]:
    found: dict[str, object] = {}
    for field in dataclasses.fields(typing.cast("Any", kind)):
        if field.default is not dataclasses.MISSING:
            found[field.name] = field.default
        elif field.default_factory is not dataclasses.MISSING:
            found[field.name] = field.default_factory()
    return found


def from_json(kind: type[T], content: bytes) -> T:
    """ValueError for anything but exactly the JSON of `kind`."""
    try:
        raw = json.loads(content)
    except (UnicodeDecodeError, RecursionError) as fault:
        raise ValueError(f"not JSON: {fault}") from fault
    return decode(kind, raw)


def decode(kind: type[T], raw: object, path: str = "") -> T:
    """The typed value of already parsed JSON; ValueError with the path of the first fault."""
    return typing.cast("T", _decode(kind, raw, path))


def _decode(kind: Any, raw: object, path: str) -> object:
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return _decode_optional(kind, raw, path)
    if origin is tuple:
        return _decode_tuple(typing.get_args(kind), raw, path)
    kind = getattr(kind, "__supertype__", kind)  # NewType
    if dataclasses.is_dataclass(kind):
        return _decode_dataclass(typing.cast("type[Any]", kind), raw, path)
    return _decode_scalar(kind, raw, path)


def _decode_optional(kind: Any, raw: object, path: str) -> object:
    options = [option for option in typing.get_args(kind) if option is not type(None)]
    if raw is None and len(options) < len(typing.get_args(kind)):
        return None
    if len(options) != 1:
        raise TypeError(f"{kind} is a union that JSON cannot tell apart")
    return _decode(options[0], raw, path)


def _decode_tuple(items: tuple[Any, ...], raw: object, path: str) -> tuple[object, ...]:
    if not isinstance(raw, list):
        raise ValueError(f"{path or 'document'}: expected an array")
    if len(items) == 2 and items[1] is Ellipsis:
        return tuple(_decode(items[0], item, f"{path}[{n}]") for n, item in enumerate(raw))
    if len(raw) != len(items):
        raise ValueError(f"{path or 'document'}: expected {len(items)} items, found {len(raw)}")
    return tuple(
        _decode(kind, item, f"{path}[{n}]") for n, (kind, item) in enumerate(zip(items, raw, strict=True))
    )


def _decode_dataclass(kind: type[Any], raw: object, path: str) -> object:
    if not isinstance(raw, Mapping):
        raise ValueError(f"{path or 'document'}: expected an object")
    types_of = _fields_of(kind)
    unknown = sorted(set(raw) - set(types_of))
    if unknown:
        raise ValueError(f"{path + '.' if path else ''}{unknown[0]}: unknown field")
    values: dict[str, object] = {}
    for field in dataclasses.fields(kind):
        inner = f"{path}.{field.name}" if path else field.name
        if field.name in raw:
            values[field.name] = _decode(types_of[field.name], raw[field.name], inner)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ValueError(f"{inner}: missing")
    return kind(**values)


@cache
def _field_types(kind: Hashable) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _fields_of(kind: Any) -> dict[str, Any]:
    return _field_types(kind)


def _decode_scalar(kind: Any, raw: object, path: str) -> object:
    where = path or "document"
    if kind is datetime and isinstance(raw, str):
        moment = datetime.fromisoformat(raw)
        if moment.tzinfo is None:
            raise ValueError(f"{where}: a time without its offset")
        return moment
    if kind is timedelta and isinstance(raw, int) and not isinstance(raw, bool):
        return timedelta(milliseconds=raw)
    if isinstance(kind, type) and issubclass(kind, StrEnum) and isinstance(raw, str):
        return kind(raw)
    if kind is bool and isinstance(raw, bool):
        return raw
    if kind is int and isinstance(raw, int) and not isinstance(raw, bool):
        return raw
    if kind is str and isinstance(raw, str):
        return raw
    raise ValueError(f"{where}: expected {getattr(kind, '__name__', kind)}, found {type(raw).__name__}")
