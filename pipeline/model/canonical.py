"""Floor 1, canonical JSON: one byte sequence for one value, so that digests can be compared. No effects.

Strings, integers, booleans, None, arrays and string-keyed objects only. Floats are refused: their text is not
the same everywhere. ASCII only, because GetTemplate's answer must compare equal after its way through AWS.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TypeAlias

__all__ = ["Json", "canonical", "sha256_hex"]

Json: TypeAlias = "bool | int | str | Sequence[Json] | Mapping[str, Json] | None"

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def canonical(value: Json) -> bytes:
    """Sorted keys, no white space, ASCII. TypeError for a float, which has no place in a digest."""
    _refuse_floats(value)
    return _ENCODER.encode(value).encode("ascii")


def sha256_hex(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


_PLAIN = frozenset({str, int, bool, type(None)})


def _refuse_floats(value: object) -> None:
    if type(value) in _PLAIN:
        return
    if isinstance(value, float):
        raise TypeError(f"a float ({value!r}) has no canonical JSON form; use an integer or a string")
    if isinstance(value, Mapping):
        for item in value.values():
            _refuse_floats(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _refuse_floats(item)
