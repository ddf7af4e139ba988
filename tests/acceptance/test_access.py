"""Identities: everything goes through the shipped roles, each opens one account only, and none can delete a stack."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator

import pytest

from pipeline.model.ids import account_id
from tests.acceptance.company import Company, Service
from tests.local_aws import error_of

pytestmark = [pytest.mark.local_aws, pytest.mark.xdist_group("acceptance-runners")]

NewService = Callable[..., Service]


def test_a_client_that_does_not_trust_the_engine_is_passed_over_for_its_own_fault(
    company: Company, service: NewService
) -> None:
    lamp = service()
    release = lamp.proven("1.0.0")
    file = company.root / f"{lamp.name}.json"
    company.release("plan", release, "-o", str(file))
    with _untrusting(company, "cat"):
        company.release("promote", str(file), "--until", "done")
    (cat,) = (t for t in lamp.status("1.0.0")["targets"] if t["client"] == "cat")
    assert cat["state"] == "SKIPPED"
    assert company.accounts["cat"] in cat["reason"]
    assert "TidegateDeploy" in cat["reason"]
    events = company.release("history", release, "--json").json["events"]
    (looked,) = (event["event"] for event in events if event["type"] == "PreflightDone")
    assert [passed["target"] for passed in looked["passed_over"]] == [{"owner": "cat", "region": "eu-west-1"}]
    assert lamp.touched() == {**dict.fromkeys(lamp.targets(), 1), "cat/eu-west-1": 0}


def test_a_service_whose_every_client_is_locked_is_not_begun(company: Company, service: NewService) -> None:
    lamp = service(max_skipped=1)
    release = lamp.proven("1.0.0")
    file = company.root / f"{lamp.name}.json"
    company.release("plan", release, "-o", str(file))
    with _untrusting(company, "cat"), _untrusting(company, "dog"), _untrusting(company, "ada"):
        refused = company.release("promote", str(file), "--until", "done", code=8)
    assert f"{release} was not begun" in refused.err
    assert "no account was touched" in refused.err
    assert [client for client in ("ada", "cat", "dog") if f"{client}/" in refused.err] == [
        "ada",
        "cat",
        "dog",
    ]
    assert lamp.status("1.0.0")["run"]["state"] == "NONE"
    assert lamp.touched() == dict.fromkeys(lamp.targets(), 0)
    company.release("promote", str(file), "--until", "done")
    assert lamp.touched() == dict.fromkeys(lamp.targets(), 1)


def test_what_was_changed_by_hand_keeps_a_release_from_it(company: Company, service: NewService) -> None:
    lamp = service()
    old = lamp.everywhere("1.0.0")
    release = lamp.proven("1.1.0")
    resources = company.inside("dog", "cloudformation").list_stack_resources(StackName=f"svc-{lamp.name}")
    (name,) = (
        row["PhysicalResourceId"]
        for row in resources["StackResourceSummaries"]
        if row["LogicalResourceId"] == "Greeting"
    )
    company.inside("dog", "ssm").put_parameter(Name=name, Value="by hand", Type="String", Overwrite=True)
    company.release("promote", release, "--until", "done")
    (dog,) = (t for t in lamp.status("1.1.0")["targets"] if t["client"] == "dog")
    assert (dog["state"], dog["reason"]) == (
        "SKIPPED",
        "Greeting, which this release touches, was changed by hand (/Value)",
    )
    assert lamp.observed() == {**dict.fromkeys(lamp.targets(), release), "dog/us-east-1": old}


def test_one_clients_external_id_never_opens_anothers_role(company: Company) -> None:
    engine = company.front.assume(company.accounts["tools"], "TidegatePromote")
    keys = {name: _external_id(company, name) for name in ("ada", "bee")}
    assert keys["ada"] != keys["bee"]
    answers = {}
    for role_of in keys:
        for key_of in keys:
            arn = f"arn:aws:iam::{company.accounts[role_of]}:role/TidegateDeploy"
            sts = company.front.client(engine, "sts")
            answers[role_of, key_of] = error_of(
                sts.assume_role, RoleArn=arn, RoleSessionName="test", ExternalId=keys[key_of]
            )
    assert answers == {
        ("ada", "ada"): "OK",
        ("ada", "bee"): "AccessDenied",
        ("bee", "ada"): "AccessDenied",
        ("bee", "bee"): "OK",
    }


def test_the_deploying_role_can_neither_delete_a_stack_nor_touch_one_that_is_no_service(
    company: Company, service: NewService
) -> None:
    lamp = service()
    lamp.everywhere("1.0.0")
    engine = company.front.assume(company.accounts["tools"], "TidegatePromote")
    deploy = company.front.assume(
        company.accounts["ada"], "TidegateDeploy", via=engine, external_id=_external_id(company, "ada")
    )
    cloudformation = company.front.client(deploy, "cloudformation")
    assert error_of(cloudformation.describe_stacks, StackName=f"svc-{lamp.name}") == "OK"
    assert error_of(cloudformation.delete_stack, StackName=f"svc-{lamp.name}") == "AccessDenied"
    change = {"ChangeSetName": "tg-x", "ChangeSetType": "CREATE", "TemplateBody": "{}"}
    assert error_of(cloudformation.create_change_set, StackName="other", **change) == "AccessDenied"
    s3 = company.front.client(deploy, "s3")
    assert error_of(s3.list_buckets) == "AccessDenied"


def test_without_credentials_everything_that_needs_them_exits_4(
    company: Company, service: NewService
) -> None:
    release = service().proven("1.0.0")
    none = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_EC2_METADATA_DISABLED": "true"}
    wrong = {"AWS_ACCESS_KEY_ID": "AKIAWRONGWRONGWRONG1", "AWS_SECRET_ACCESS_KEY": "wrong"}
    for shell in (none, wrong):
        for command in (("plan", release), ("promote", release), ("fleet", "--live")):
            refused = company.release(*command, code=4, shell=shell)
            assert "nothing" in refused.err
        assert company.release("status", release, shell=shell).out
        assert company.release("history", release, shell=shell).out


def test_a_promotion_without_evidence_is_refused(company: Company, service: NewService) -> None:
    lamp = service()
    release = lamp.built("1.0.0")
    refused = company.release("promote", release, code=8)
    assert f"{release} did not pass `release test`" in refused.err
    assert f"release test {release}" in refused.err
    assert [lamp.events(target) for target in lamp.targets()] == [[]] * 5


def _external_id(company: Company, client: str) -> str:
    row = company.store().registry.by_account(account_id(company.accounts[client]))
    assert row is not None
    return row.external_id


@contextlib.contextmanager
def _untrusting(company: Company, client: str) -> Iterator[None]:
    iam = company.inside(client, "iam")
    before = iam.get_role(RoleName="TidegateDeploy")["Role"]["AssumeRolePolicyDocument"]
    nobody = {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    deny = {"Version": "2012-10-17", "Statement": [nobody]}
    iam.update_assume_role_policy(RoleName="TidegateDeploy", PolicyDocument=json.dumps(deny))
    try:
        yield
    finally:
        iam.update_assume_role_policy(RoleName="TidegateDeploy", PolicyDocument=json.dumps(before))
