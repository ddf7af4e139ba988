"""Plans: what they show, what they freeze, and that nothing else decides what promote does."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.acceptance.company import CLIENTS, Company, Service

pytestmark = [pytest.mark.local_aws, pytest.mark.xdist_group("acceptance-plans")]

NewService = Callable[..., Service]


def test_a_plan_groups_identical_effects_and_leaves_no_change_set_behind(
    company: Company, service: NewService
) -> None:
    lamp = service()
    lamp.everywhere("1.0.0")
    release = lamp.proven("1.1.0", sick_at=["cat"])
    shown = company.release("plan", release)
    assert "4 of 5 targets: the same 3 changes; 1 of 5 targets: 4 changes" in shown.out
    assert "4 changes at cat/eu-west-1\n  ~ Modify Alarm (AWS::CloudWatch::Alarm)" in shown.out
    assert "Modify Greeting (AWS::SSM::Parameter)" in shown.out
    planned = company.release("plan", release, "--json", "--detailed-exitcode", code=10).json
    assert [(wave["number"], wave["name"]) for wave in planned["waves"]] == [(1, "canary"), (2, "wave-2")]
    assert [len(group["targets"]) for group in planned["groups"]] == [4, 1]
    assert lamp.touched() == dict.fromkeys(lamp.targets(), 1)
    for target in lamp.targets():
        client, _, region = target.rpartition("/")
        cloudformation = company.inside(client, "cloudformation", region)
        left = cloudformation.list_change_sets(StackName=f"svc-{lamp.name}")["Summaries"]
        assert [each["Description"] for each in left] == [f"{lamp.name}@1.0.0 to {target}"], (
            "the executed one"
        )


def test_a_first_creation_is_shown_from_the_template_and_touches_no_account(
    company: Company, service: NewService
) -> None:
    lamp = service()
    planned = company.release("plan", lamp.proven("1.0.0"), "--json").json
    assert [group["effect"] for group in planned["groups"]] == ["create"]
    assert "Add Greeting (AWS::SSM::Parameter)" in planned["groups"][0]["changes"]
    assert [lamp.events(target) for target in lamp.targets()] == [[]] * 5


def test_a_plan_that_changes_nothing_exits_0_even_with_a_detailed_exit_code(
    company: Company, service: NewService
) -> None:
    lamp = service()
    release = lamp.everywhere("1.0.0")
    planned = company.release("plan", release, "--detailed-exitcode", "--json").json
    assert planned["has_changes"] is False


def test_suspended_and_pinned_clients_are_skipped_with_their_reasons(
    company: Company, service: NewService
) -> None:
    lamp = service()
    release = lamp.proven("1.0.0")
    fleet = company.root / "fleet.toml"
    before = fleet.read_text(encoding="utf-8")
    pin = f'pins = [{{ service = "{lamp.name}", reason = "an audit", until = "2999-01-01" }}]\n'
    changed = before.replace('name = "cat"\n', 'name = "cat"\nsuspended = true\n')
    fleet.write_text(changed.replace('name = "dog"\n', f'name = "dog"\n{pin}'), encoding="utf-8")
    try:
        shown = company.release("plan", release)
        planned = company.release("plan", release, "--json").json
        company.release("promote", release, "--until", "done")
    finally:
        fleet.write_text(before, encoding="utf-8")
    assert planned["skipped"] == [
        {"client": "cat", "region": "eu-west-1", "reason": "is suspended"},
        {"client": "dog", "region": "us-east-1", "reason": "is pinned until 2999-01-01: an audit"},
    ]
    assert "is pinned until 2999-01-01: an audit" in shown.out
    left_out = {"cat/eu-west-1": 0, "dog/us-east-1": 0}
    assert lamp.touched() == {**dict.fromkeys(lamp.targets(), 1), **left_out}


def test_a_plan_file_is_carried_out_whatever_the_fleet_says_by_then(
    company: Company, service: NewService
) -> None:
    lamp = service()
    release = lamp.proven("1.0.0")
    file = company.root / f"{lamp.name}.json"
    company.release("plan", release, "-o", str(file))
    fleet = company.root / "fleet.toml"
    before = fleet.read_text(encoding="utf-8")
    fleet.write_text(before.replace('name = "cat"\n', 'name = "cat"\nsuspended = true\n'), encoding="utf-8")
    try:
        company.release("promote", str(file), "--until", "done")
    finally:
        fleet.write_text(before, encoding="utf-8")
    assert lamp.touched() == dict.fromkeys(lamp.targets(), 1)


def test_an_edited_plan_is_refused(company: Company, service: NewService) -> None:
    lamp = service()
    release = lamp.proven("1.0.0")
    file = company.root / f"{lamp.name}.json"
    company.release("plan", release, "-o", str(file))
    document = json.loads(file.read_text(encoding="utf-8"))
    document["plan"]["waves"][1]["tolerance"] = 4
    file.write_text(json.dumps(document), encoding="utf-8")
    assert "this plan has been edited" in company.release("promote", str(file), code=7).err
    assert [lamp.events(target) for target in lamp.targets()] == [[]] * 5


def test_a_plan_whose_digest_was_edited_too_was_not_made_here(company: Company, service: NewService) -> None:
    from pipeline.model.canonical import canonical, sha256_hex

    lamp = service()
    file = company.root / f"{lamp.name}.json"
    company.release("plan", lamp.proven("1.0.0"), "-o", str(file))
    document = json.loads(file.read_text(encoding="utf-8"))
    document["plan"]["waves"][1]["tolerance"] = 4
    document["digest"] = f"sha256:{sha256_hex(canonical(document['plan']))}"
    file.write_text(json.dumps(document), encoding="utf-8")
    assert "was not made here" in company.release("promote", str(file), code=7).err


def test_a_plan_made_before_another_promotion_is_stale(company: Company, service: NewService) -> None:
    lamp = service()
    first = lamp.proven("1.0.0")
    file = company.root / f"{lamp.name}.json"
    company.release("plan", first, "-o", str(file))
    lamp.everywhere("1.1.0")
    stale = company.release("promote", str(file), code=9)
    assert "has been changed since the plan was made" in stale.err
    assert lamp.touched() == dict.fromkeys(lamp.targets(), 1)


def test_a_target_whose_effect_differs_from_the_plan_is_refused(
    company: Company, service: NewService
) -> None:
    lamp = service()
    lamp.everywhere("1.0.0")
    release = lamp.proven("1.1.0")
    file = company.root / f"{lamp.name}.json"
    company.release("plan", release, "-o", str(file))
    _meddle(company, lamp)
    refused = company.release("promote", str(file), "--until", "done", code=9)
    assert "the change set would do something else than the plan says" in refused.err
    assert lamp.observed()["cat/eu-west-1"] != release
    assert lamp.states("1.1.0")["cat/eu-west-1"] == "FAILED"


def _meddle(company: Company, lamp: Service) -> None:
    """Somebody takes the alarm out of one client's stack by hand."""
    cloudformation = company.inside("cat", "cloudformation", "eu-west-1")
    stack = f"svc-{lamp.name}"
    template = dict(cloudformation.get_template(StackName=stack)["TemplateBody"])
    del template["Resources"]["Alarm"]
    names = [
        p["ParameterKey"] for p in cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["Parameters"]
    ]
    cloudformation.update_stack(
        StackName=stack,
        TemplateBody=json.dumps(template),
        Parameters=[{"ParameterKey": name, "UsePreviousValue": True} for name in names],
        Capabilities=["CAPABILITY_IAM"],
    )
    cloudformation.get_waiter("stack_update_complete").wait(StackName=stack, WaiterConfig={"Delay": 1})


def test_what_would_delete_data_is_blocked_before_any_account_is_touched(
    company: Company, service: NewService
) -> None:
    lamp = service()
    lamp.everywhere("1.0.0", table=True)
    release = lamp.proven("1.1.0")
    blocked = company.release("plan", release, code=8)
    loss = "Table (AWS::DynamoDB::Table): would be let go of, and its data left without an owner"
    assert f"{', '.join(lamp.targets())}: {loss}" in blocked.err
    company.release("promote", release, code=8)
    assert lamp.touched() == dict.fromkeys(lamp.targets(), 1)


def test_every_client_gets_the_same_software_and_its_own_parameters(
    company: Company, service: NewService
) -> None:
    lamp = service()
    lamp.everywhere("1.0.0")
    for client, regions in CLIENTS.items():
        cloudformation = company.inside(client, "cloudformation", regions[0])
        stack = cloudformation.describe_stacks(StackName=f"svc-{lamp.name}")["Stacks"][0]
        assert {p["ParameterKey"]: p["ParameterValue"] for p in stack["Parameters"]}["Client"] == client
        assert {tag["Key"]: tag["Value"] for tag in stack["Tags"]} == {
            "tidegate:client": client,
            "tidegate:managed-by": "tidegate",
            "tidegate:service": lamp.name,
        }
        assert stack["RoleARN"].endswith(":role/TidegateExecution")
