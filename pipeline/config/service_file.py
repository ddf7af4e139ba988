"""Floor 3, config: release.toml, from a service's folder to the model's ServiceSpec, with every fault at once.

It looks whether the files it names exist and stay inside the folder; it never reads their content.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from pipeline.config.explain import check
from pipeline.config.faults import Fault, config_invalid, place, shown
from pipeline.config.judge_table import judge_faults, judge_policy
from pipeline.config.tables import ReleaseFile, WavesTable
from pipeline.config.toml import Parsed, read_toml
from pipeline.model.policy import (
    AlarmsBefore,
    CanaryPolicy,
    HealthPolicy,
    OnFail,
    OnFailPolicy,
    Pace,
    ServiceWavePolicy,
    WavePolicy,
)
from pipeline.model.release import Contract, ServiceSpec, TestPolicy

__all__ = ["RELEASE_FILE", "load_service", "read_service"]

RELEASE_FILE = "release.toml"
_GLOB = frozenset("*?[")

Found = tuple[tuple[str | int, ...], str]


def load_service(folder: Path) -> ServiceSpec:
    """The release.toml in `folder`. ConfigInvalid with every fault of the file."""
    spec, faults = read_service(folder, f"{folder.name}/{RELEASE_FILE}" if folder.name else RELEASE_FILE)
    if spec is None:
        raise config_invalid(faults)
    return spec


def read_service(folder: Path, label: str) -> tuple[ServiceSpec | None, list[Fault]]:
    parsed, faults = read_toml(folder / RELEASE_FILE, label)
    if parsed is None:
        return None, faults
    tables, faults = check(ReleaseFile, parsed, label)
    reported = {fault.at for fault in faults}
    found = (
        *_stacks(parsed),
        *_sizes(parsed),
        *judge_faults(parsed),
        *_approvals(tables),
        *_times(tables),
        *_files(parsed, folder),
    )
    for at, text in found:
        if place(at) not in reported:
            faults.append(Fault(file=label, at=place(at), text=text))
    if tables is None or faults:
        return None, faults
    return _spec(tables), []


# --- checks beyond one value -----------------------------------------------------------------------


def _stacks(parsed: Parsed) -> Iterator[Found]:
    stack = parsed.get("stack")
    if isinstance(stack, dict) and not stack.keys() & {"service", "client"}:
        yield ("stack",), 'names no stack; write [stack.client] with template = "client.yaml"'


def _sizes(parsed: Parsed) -> Iterator[Found]:
    waves = parsed.get("waves")
    sizes = waves.get("sizes") if isinstance(waves, dict) else None
    for number, size in enumerate(sizes[:-1] if isinstance(sizes, list) else ()):
        if size == "rest":
            yield (
                ("waves", "sizes", number),
                'found "rest" before the end; write it last, nothing is left after it',
            )

    seen: set[str] = set()
    for number, size in enumerate(sizes if isinstance(sizes, list) else ()):
        if isinstance(size, str) and size.startswith("ring:"):
            if size in seen:
                yield ("waves", "sizes", number), f"{shown(size)} has taken the whole ring before"
            seen.add(size)


def _approvals(tables: ReleaseFile | None) -> Iterator[Found]:
    seen: set[int] = set()
    for place_, number in enumerate(tables.waves.approvals if tables is not None else ()):
        if number in seen:
            yield ("waves", "approvals", place_), f"wave {number} is named before; name each once"
        seen.add(number)


def _times(tables: ReleaseFile | None) -> Iterator[Found]:
    if tables is None:
        return
    if tables.health.deadline <= timedelta(0):
        yield ("health", "deadline"), 'found "0s"; write how long a target may take, such as "2m"'
    for key, what in (
        ("approval_life", 'an approval holds, such as "24h"'),
        ("waiting_deadline", 'a run may wait for a person, such as "7d"'),
    ):
        if getattr(tables.waves, key) <= timedelta(0):
            yield ("waves", key), f'found "0s"; write how long {what}'


def _files(parsed: Parsed, folder: Path) -> Iterator[Found]:
    """Every path in the file that is a string: does it exist, and does it stay inside, symlinks followed?"""
    wanted = (
        (("stack", "service", "template"), "file"),
        (("stack", "client", "template"), "file"),
        (("contract", "openapi"), "file"),
        (("contract", "events"), "glob"),
        (("contract", "sdk"), "any"),
        (("contract", "tests"), "any"),
        (("test", "tests"), "any"),
    )
    for at, kind in wanted:
        value: object = parsed
        for key in at:
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, str) and value:
            why = _path_fault(folder, value, kind)
            if why:
                yield at, why


def _path_fault(folder: Path, value: str, kind: str) -> str:
    try:
        root = folder.resolve()
        if kind == "glob" and _GLOB & set(value):
            matches = list(folder.glob(value))
            if not matches:
                return f"no file matches {shown(value)}"
        else:
            matches = [folder / value]
            if not matches[0].exists():
                return f"there is no {shown(value)} in this folder"
            if kind == "file" and not matches[0].is_file():
                return f"{shown(value)} is not a file"
        if not all(match.resolve().is_relative_to(root) for match in matches):
            return f"{shown(value)} leads out of this folder; a release is made of its own folder only"
    except (
        OSError,
        ValueError,
        NotImplementedError,
        RuntimeError,
    ):  # too long, NUL, absolute glob, symlink loop
        return f"{shown(value)} cannot be looked up; write a path below this file's folder"
    return ""


# --- into the model --------------------------------------------------------------------------------


def _spec(tables: ReleaseFile) -> ServiceSpec:
    stack, contract, test, health = tables.stack, tables.contract, tables.test, tables.health
    return ServiceSpec(
        name=tables.service.name,
        build=tables.service.build,
        service_template=stack.service.template if stack.service else "",
        client_template=stack.client.template if stack.client else "",
        contract=Contract(
            openapi=contract.openapi, events=contract.events, sdk=contract.sdk, tests=contract.tests
        ),
        test=TestPolicy(accounts=test.accounts, tests=test.tests),
        health=HealthPolicy(
            url_output=health.url_output,
            path=health.path,
            expect=health.expect,
            alarms=health.alarms,
            deadline=health.deadline,
            smoke=health.smoke,
        ),
        waves=replace(_waves(tables.waves), judge=judge_policy(tables.judge)),
        rollback_safe=tables.rollback.safe,
    )


def _waves(table: WavesTable) -> WavePolicy:
    return WavePolicy(
        service=ServiceWavePolicy(bake=table.service.bake),
        canary=CanaryPolicy(
            clients=table.canary.clients,
            bake=table.canary.bake,
            min_requests=table.canary.min_requests,
            extend=table.canary.extend,
        ),
        sizes=tuple(table.sizes),
        bake=table.bake,
        tolerance=table.tolerance,
        max_skipped=table.max_skipped,
        max_in_flight=table.max_in_flight,
        pace=Pace(table.pace),
        on_fail=OnFailPolicy(
            service=OnFail(table.on_fail.service),
            canary=OnFail(table.on_fail.canary),
            wave=OnFail(table.on_fail.wave),
        ),
        approvals=tuple(table.approvals),
        approval_life=table.approval_life,
        waiting_deadline=table.waiting_deadline,
        alarms_before=AlarmsBefore(table.alarms_before),
        max_skew=table.max_skew,
        max_deferral=table.max_deferral,
        emergency_bake=table.emergency_bake,
    )
