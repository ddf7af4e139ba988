"""What the guard blocks, and a person answers for: signed, for one client, and nobody else is touched by it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.company import Answer, Company, Service

pytestmark = [pytest.mark.local_aws, pytest.mark.xdist_group("acceptance-plans")]

NewService = Callable[..., Service]


def commands(blocked: Answer, client: str) -> list[list[str]]:
    """What the refused plan says a person may type for this client, without the command's name and the reason."""
    lines = [line.partition("to accept the loss: release ")[2] for line in blocked.err.splitlines()]
    words = [shlex.split(line) for line in lines if line]
    return [each[:-1] for each in words if each[each.index("--client") + 1] == client]


def test_one_client_loses_a_table_by_a_signed_waiver_and_the_others_are_left_alone(
    company: Company, service: NewService
) -> None:
    lamp = service()
    lamp.everywhere("1.0.0", table=True)
    release = lamp.proven("1.1.0")
    (command,) = commands(company.release("plan", release, code=8), "cat")
    table = command[command.index("--physical-id") + 1]

    waived = company.release(*command, "cat has moved its data elsewhere")
    planned = company.release("plan", release, "--json").json
    _opened_by_a_person(company, lamp)
    company.release("promote", release, "--until", "done")

    assert f"lets {release} pass over removal of Table until" in waived.out
    assert [t for wave in planned["waves"] for t in wave["targets"]] == ["cat/eu-west-1"]
    assert all("blocked by the guard" in each["reason"] for each in planned["skipped"])
    assert lamp.touched() == {t: 2 if t == "cat/eu-west-1" else 1 for t in lamp.targets()}
    dynamodb = company.inside("cat", "dynamodb", "eu-west-1")
    assert dynamodb.describe_table(TableName=table)["Table"]["TableStatus"] == "ACTIVE", "Retain keeps it"
    _taken_away(company)


def test_a_waiver_that_somebody_changed_stops_every_plan(company: Company, service: NewService) -> None:
    lamp = service()
    lamp.everywhere("1.0.0", table=True)
    release = lamp.proven("1.1.0")
    command, *_ = commands(company.release("plan", release, code=8), "cat")
    company.release(*command, "cat has moved its data elsewhere")
    (path,) = _waivers(company)
    document = json.loads(path.read_bytes())
    document["waiver"]["client"] = "ann"
    path.write_text(json.dumps(document))

    refused = company.release("plan", release, code=7)

    assert path.name in refused.err
    _taken_away(company)


def test_a_waiver_has_to_say_what_it_is_for(company: Company, service: NewService) -> None:
    words = ("waive", "lamp@1.0.0", "--resource", "Table", "--rule", "removal", "--reason", "because")
    assert "either --client NAME or --group DIGEST" in company.release(*words, code=2).err
    assert "physical id" in company.release(*words, "--client", "cat", code=2).err
    both = company.release(*words, "--client", "cat", "--group", "sha256:" + "0" * 64, code=2)
    assert "either --client NAME or --group DIGEST" in both.err
    unknown = ("--client", "cat", "--physical-id", "t", "--rule", "everything")
    assert "no rule that can be waived" in company.release(*words, *unknown, code=2).err
    assert _waivers(company) == []


def _opened_by_a_person(company: Company, lamp: Service) -> None:
    """The stack's own policy refuses what a waiver lets pass, until a person takes the table out of it."""
    stacks = company.inside("cat", "cloudformation", "eu-west-1")
    policy = json.loads(stacks.get_stack_policy(StackName=f"svc-{lamp.name}")["StackPolicyBody"])
    for statement in policy["Statement"]:
        if "Update:Delete" in statement["Action"] and statement["Effect"] == "Deny":
            statement["Resource"] = [r for r in statement["Resource"] if not r.endswith("/Table")]
    policy["Statement"] = [statement for statement in policy["Statement"] if statement["Resource"]]
    stacks.set_stack_policy(StackName=f"svc-{lamp.name}", StackPolicyBody=json.dumps(policy))


def _waivers(company: Company) -> list[Path]:
    return sorted((company.root / "waivers").glob("*.json"))


def _taken_away(company: Company) -> None:
    """The company is shared: a waiver that stays would be read by the plans of other tests."""
    for path in _waivers(company):
        path.unlink()
