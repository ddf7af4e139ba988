"""Floor 2, decide/judge: whether a judgement recomputed from its evidence is the one that was kept. Pure.

Verdicts and counts have to be equal. Numbers may differ in their last digits, because machines do not agree on the
last bit of a logarithm. Sentences repeat numbers and are not compared, and neither is the version of the judge: that
a later one comes to the same is what is wanted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from pipeline.model.canonical import Json
from pipeline.model.codec import to_json
from pipeline.model.judgement import Judgement

__all__ = ["differences"]

_CLOSE = 1e-4
_SKIPPED = frozenset({"reason", "notes", "version"})


def differences(kept: Judgement, again: Judgement) -> tuple[str, ...]:
    """`metrics[0].p: 0.001 was kept, 0.2 comes out`; empty where the two are the same."""
    return tuple(_compared(to_json(kept), to_json(again), ""))


def _compared(kept: Json, again: Json, path: str) -> Iterator[str]:
    if isinstance(kept, Mapping) and isinstance(again, Mapping):
        for key in sorted(kept.keys() | again.keys()):
            if key not in _SKIPPED:
                yield from _compared(kept.get(key), again.get(key), f"{path}.{key}" if path else key)
    elif isinstance(kept, list) and isinstance(again, list) and len(kept) == len(again):
        for place, (left, right) in enumerate(zip(kept, again, strict=True)):
            yield from _compared(left, right, f"{path}[{place}]")
    elif kept != again and not _close(kept, again):
        yield f"{path}: {_told(kept)} was kept, {_told(again)} comes out"


def _told(value: Json) -> str:
    return f"{len(value)} entries" if isinstance(value, list) else str(value)


def _close(kept: Json, again: Json) -> bool:
    if not isinstance(kept, str) or not isinstance(again, str):
        return False
    try:
        return math.isclose(float(kept), float(again), rel_tol=_CLOSE, abs_tol=1e-12)
    except ValueError:
        return False
