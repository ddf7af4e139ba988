"""Floor 3, config: set one value in fleet.toml without touching anything else, comments and layout included.

The file is replaced in one step: whoever reads at the same time sees the old file or the new one.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from pipeline.config.faults import Fault, config_invalid, shown
from pipeline.config.toml import parse, read_text
from pipeline.errors import ConfigInvalid, NotFound, OperationFailed

__all__ = ["set_value"]

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def set_value(path: Path, table: str, selector: tuple[str, str] | None, key: str, value: str) -> None:
    """Write `key = "value"` into [table], or into the entry of [[table]] whose `selector[0]` is `selector[1]`.

    A [table] that is not there is made at the end. ConfigInvalid where the file cannot be read, NotFound where no
    such entry exists, OperationFailed where the file cannot be written. An equal value writes nothing.
    """
    text, faults = read_text(path, path.name)
    if text is None:
        raise config_invalid(faults)
    parsed, faults = parse(text, path.name)
    if parsed is None:
        raise config_invalid(faults)
    try:
        document = tomlkit.parse(text)
    except TOMLKitError as fault:
        raise config_invalid([Fault(file=path.name, at="", text=f"not TOML: {fault}")]) from fault
    entry = _table(document, table, path) if selector is None else _entry(document, table, selector, path)
    if entry.get(key) == value:
        return
    entry[key] = value
    written = tomlkit.dumps(document)
    if parse(written, path.name)[0] is None:
        raise OperationFailed(
            f"{path.name} would no longer be TOML with {key} set",
            state="the file is as it was",
            remedy=f"write {key} = {shown(value)} into it yourself",
        )
    _replace(path, written)


def _table(document: tomlkit.TOMLDocument, table: str, path: Path) -> MutableMapping[str, Any]:
    if table not in document:
        document[table] = tomlkit.table()
    found = document[table]
    if not isinstance(found, MutableMapping):
        raise _no_table(path, table)
    return found


def _entry(
    document: tomlkit.TOMLDocument, table: str, selector: tuple[str, str], path: Path
) -> MutableMapping[str, Any]:
    wanted_key, wanted = selector
    rows = document.get(table, [])
    if not isinstance(rows, list):
        raise _no_table(path, f"[{table}]")
    for row in rows:
        if isinstance(row, MutableMapping) and row.get(wanted_key) == wanted:
            return row
    raise NotFound(
        f"{path.name} has no [[{table}]] whose {wanted_key} is {shown(wanted)}",
        state="nothing was changed",
        remedy=f"add it to {path.name} first",
    )


def _no_table(path: Path, table: str) -> ConfigInvalid:
    return config_invalid(
        [Fault(file=path.name, at=table.strip("[]"), text=f"is not a table; write [{table}]")]
    )


def _replace(path: Path, text: str) -> None:
    target = path.resolve()  # a symlinked file is written where it really is
    temporary = ""
    try:
        number, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        mark = _BYTE_ORDER_MARK if target.read_bytes().startswith(_BYTE_ORDER_MARK) else b""
        with os.fdopen(number, "wb") as stream:
            stream.write(mark + text.encode())
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(target.stat().st_mode & 0o777)
        Path(temporary).replace(target)
    except OSError as fault:
        if temporary:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
        raise OperationFailed(
            f"{path.name} could not be written: {fault.strerror or fault}",
            state="the file is as it was",
            remedy="make the file and its folder writable and run the same command again",
        ) from fault
