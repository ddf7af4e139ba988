"""Floor 3, config: JSON Schemas of the files, so that editors can complete and check them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from pipeline.config.tables import FleetFile, ReleaseFile
from pipeline.model.policy import WaveSize

__all__ = ["schema"]


def schema(file: Literal["fleet", "release"]) -> dict[str, Any]:
    """Draft 2020-12. It states shapes and types; what needs two entries or the disk is checked on loading."""
    kind = FleetFile if file == "fleet" else ReleaseFile
    body = kind.model_json_schema(by_alias=True, schema_generator=_AsWritten)
    return {"$schema": GenerateJsonSchema.schema_dialect, **_without_null(body), "title": f"{file}.toml"}


def _without_null(node: Any) -> Any:
    """TOML has no null: what may be absent simply has no default."""
    if isinstance(node, dict):
        return {k: _without_null(v) for k, v in node.items() if not (k == "default" and v is None)}
    return [_without_null(item) for item in node] if isinstance(node, list) else node


class _AsWritten(GenerateJsonSchema):
    """Defaults as a person would write them in the file: "2h", "rest", an empty table."""

    def encode_default(self, dft: Any) -> Any:
        match dft:
            case timedelta():
                return _duration(dft)
            case WaveSize():
                return str(dft)
            case BaseModel():
                return {}
            case list():
                return [self.encode_default(item) for item in dft]
            case _:
                return super().encode_default(dft)


def _duration(length: timedelta) -> str:
    seconds = int(length.total_seconds())
    for unit, name in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds and seconds % unit == 0:
            return f"{seconds // unit}{name}"
    return f"{seconds}s"
