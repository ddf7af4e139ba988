"""A table that a rollback lets go of comes back with its data: on the local AWS, through the command line."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import pytest

from pipeline.model import event as e
from pipeline.model.ids import TargetId
from pipeline.model.target_state import fold_target
from tests.acceptance.company import Company, Service

pytestmark = [pytest.mark.local_aws, pytest.mark.processes, pytest.mark.xdist_group("acceptance-orphans")]

NewService = Callable[..., Service]
CANARY = "ada/us-east-1"
ITEM = {"Id": {"S": "the only copy"}}
NAMES = pytest.mark.parametrize("literal", ["", "notes-of-{}"], ids=["a name made up", "a literal name"])


def tables_of(lamp: Service) -> dict[str, str]:
    """Physical id of the stack's own table by target; empty where the stack has none."""
    found = {}
    for target in lamp.targets():
        owner, _, region = target.partition("/")
        stack = lamp.company.inside(owner, "cloudformation", region)
        rows = stack.list_stack_resources(StackName=f"svc-{lamp.name}")["StackResourceSummaries"]
        ids = {r["LogicalResourceId"]: r["PhysicalResourceId"] for r in rows}
        found[target] = ids.get("Table", "")
    return found


def items_of(lamp: Service, tables: dict[str, str]) -> dict[str, list[object]]:
    return {target: _dynamodb(lamp, target).scan(TableName=name)["Items"] for target, name in tables.items()}


def every_table(lamp: Service, target: str) -> list[str]:
    """Every table of this service in the account, whoever owns it."""
    names: list[str] = _dynamodb(lamp, target).list_tables()["TableNames"]
    return [name for name in names if lamp.name in name]


def orphans_of(lamp: Service, target: str) -> dict[str, str]:
    owner, _, region = target.partition("/")
    entries = lamp.company.store().journal.read(e.target_stream(lamp.name, TargetId(owner, region)))
    return {o.logical_id: o.physical_id for o in fold_target(entries).orphans}


def _dynamodb(lamp: Service, target: str) -> Any:
    owner, _, region = target.partition("/")
    return lamp.company.inside(owner, "dynamodb", region)


def recalled(lamp: Service, literal: str) -> dict[str, str]:
    """1.0.0 everywhere; 1.1.0 added a table, in which a client wrote, and was taken back: its tables by target."""
    old = lamp.everywhere("1.0.0")
    release = lamp.everywhere("1.1.0", table=True, table_name=literal)
    tables = tables_of(lamp)
    for target, name in tables.items():
        _dynamodb(lamp, target).put_item(TableName=name, Item=ITEM)
    lamp.company.release("--yes", "rollback", release, "--all", "--reason", "recalled")
    assert set(lamp.observed().values()) == {old}
    assert tables_of(lamp) == dict.fromkeys(lamp.targets(), "")
    return tables


@NAMES
def test_a_recalled_table_comes_back_with_its_data(
    company: Company, service: NewService, literal: str
) -> None:
    lamp = service()
    name = literal.format(lamp.name)
    tables = recalled(lamp, name)
    assert {t: orphans_of(lamp, t) for t in tables} == {t: {"Table": n} for t, n in tables.items()}
    assert items_of(lamp, tables) == {target: [ITEM] for target in tables}

    release = lamp.proven("1.1.1", table=True, table_name=name)
    assert "Import Table (AWS::DynamoDB::Table)" in company.release("plan", release).out
    company.release("promote", release, "--until", "done")
    assert set(lamp.observed().values()) == {release}
    assert tables_of(lamp) == tables
    assert items_of(lamp, tables) == {target: [ITEM] for target in tables}
    assert {t: every_table(lamp, t) for t in tables} == {t: [n] for t, n in tables.items()}
    assert {t: orphans_of(lamp, t) for t in tables} == {t: {} for t in tables}

    company.release("--yes", "rollback", release, "--all", "--reason", "recalled again")
    assert {t: orphans_of(lamp, t) for t in tables} == {t: {"Table": n} for t, n in tables.items()}


@NAMES
def test_a_runner_killed_again_and_again_takes_each_table_back_in_once(
    company: Company, service: NewService, literal: str
) -> None:
    lamp = service()
    name = literal.format(lamp.name)
    tables = recalled(lamp, name)
    release = lamp.proven("1.1.1", table=True, table_name=name)
    seed = time.time_ns()
    moments = random.Random(seed)
    for _ in range(6):
        runner = company.start("promote", release, "--until", "done")
        runner.until("  ", or_its_end=True)
        time.sleep(moments.uniform(0, 1.5))
        runner.kill()
    company.release("promote", release, "--until", "done")
    assert set(lamp.observed().values()) == {release}, f"seed {seed}"
    assert tables_of(lamp) == tables, f"seed {seed}"
    assert items_of(lamp, tables) == {target: [ITEM] for target in tables}
    assert {t: every_table(lamp, t) for t in tables} == {t: [n] for t, n in tables.items()}
    imported = [
        target
        for target in tables
        for found in lamp.events(target)
        if (found["LogicalResourceId"], found["ResourceStatus"]) == ("Table", "IMPORT_COMPLETE")
    ]
    assert imported == list(tables), f"seed {seed}"
