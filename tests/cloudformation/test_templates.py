"""The templates Tidegate deploys: valid against AWS's own schemas, within its limits, and no wider than they say."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

import pipeline.demo
from pipeline.cloudformation import MAX_BODY_BYTES, RoleName, Template, template_body
from pipeline.decide.template_text import parse_template
from tests.cloudformation.policies import (
    ACCOUNT,
    MANAGEMENT,
    TOOLS,
    allows,
    body,
    resolved,
    role_statements,
    trust,
)

ROLES = [
    (Template.MANAGEMENT, "Accounts"),
    (Template.TOOLS, "Build"),
    (Template.TOOLS, "Test"),
    (Template.TOOLS, "Promote"),
    (Template.TARGET, "Deploy"),
    (Template.TARGET, "Execution"),
    (Template.TARGET, "Observe"),
    (Template.TARGET, "Protect"),
    (Template.TARGET, "Repair"),
    (Template.TEST, "Deploy"),
    (Template.TEST, "Execution"),
    (Template.TEST, "Tester"),
    (Template.TEST, "Clean"),
]
STACK = f"arn:aws:cloudformation:eu-west-1:{ACCOUNT}:stack/svc-intake/9c2f"
OWN_STACK = f"arn:aws:cloudformation:us-east-1:{ACCOUNT}:stack/tidegate-target/9c2f"
EXECUTION = f"arn:aws:iam::{ACCOUNT}:role/TidegateExecution"
IN_TEST = ["o-aaaaaaaaaa/r-aaaa/ou-aaaa-test/ou-aaaa-pool/"]
IN_CLIENTS = ["o-aaaaaaaaaa/r-aaaa/ou-aaaa-clients/"]


def role_arn(name: str, account: str = ACCOUNT) -> str:
    return f"arn:aws:iam::{account}:role/{name}"


# --- the texts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("template", Template)
def test_cfn_lint_finds_nothing_to_say(template: Template) -> None:
    from cfnlint.api import lint_all

    # Rules that begin with I only inform; those that begin with E or W find faults.
    found = [m for m in lint_all(template_body(template)) if not m.rule.id.startswith("I")]
    assert found == []


@pytest.mark.parametrize("template", Template)
def test_a_template_fits_into_a_request_and_uses_no_yaml_alias(template: Template) -> None:
    text = template_body(template)

    assert len(text.encode("ascii")) <= MAX_BODY_BYTES
    # CloudFormation refuses aliases: "YAML aliases are not allowed in CloudFormation templates".
    kinds = (yaml.AliasEvent, yaml.ScalarEvent, yaml.MappingStartEvent, yaml.SequenceStartEvent)
    events = [event for event in yaml.parse(text) if isinstance(event, kinds)]
    assert [event.anchor for event in events if event.anchor is not None] == []


@pytest.mark.parametrize(("template", "logical_id"), ROLES)
def test_a_role_keeps_within_the_quotas_of_iam(template: Template, logical_id: str) -> None:
    """10,240 characters for all inline policies of a role, 2,048 for its trust policy; white space not counted."""
    role = resolved(template, RequireBoundary="true")[logical_id]["Properties"]
    inline = sum(len(json.dumps(p["PolicyDocument"], separators=(",", ":"))) for p in role["Policies"])
    trusting = len(json.dumps(role["AssumeRolePolicyDocument"], separators=(",", ":")))

    assert (inline <= 10_240, trusting <= 2_048) == (True, True), (inline, trusting)


def test_every_role_has_the_name_that_the_engine_knows() -> None:
    named = {resolved(template)[logical_id]["Properties"]["RoleName"] for template, logical_id in ROLES}

    assert named == {role.value for role in RoleName} - {RoleName.ACCESS.value}


@pytest.mark.parametrize(("template", "logical_id"), ROLES)
def test_no_allow_statement_uses_for_all_values(template: Template, logical_id: str) -> None:
    """ForAllValues is true where the key is absent, so that an Allow with it allows too much."""
    statements = role_statements(template, logical_id) + trust(template, logical_id)
    allowed = [s for s in statements if s["Effect"] == "Allow"]

    assert [s for s in allowed if "ForAllValues" in json.dumps(s)] == []


@pytest.mark.parametrize("logical_id", ["Deploy", "Execution"])
def test_a_test_account_deploys_exactly_as_a_clients_account_does(logical_id: str) -> None:
    target, test = (body(t)["Resources"][logical_id]["Properties"] for t in (Template.TARGET, Template.TEST))

    assert test["Policies"] == target["Policies"]


def test_the_cleaning_role_and_the_testers_role_exist_in_test_accounts_only() -> None:
    def roles(template: Template) -> set[str]:
        kinds = body(template)["Resources"].values()
        return {r["Properties"]["RoleName"] for r in kinds if r["Type"] == "AWS::IAM::Role"}

    assert [t for t in Template if {"TidegateClean", "TidegateTester"} & roles(t)] == [Template.TEST]
    assert "TidegateRepair" not in roles(Template.TEST)


# --- who is trusted --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "logical_id", "caller"),
    [
        (Template.TARGET, "Deploy", "TidegatePromote"),
        (Template.TARGET, "Observe", "TidegatePromote"),
        (Template.TEST, "Deploy", "TidegateTest"),
        (Template.TEST, "Tester", "TidegateTest"),
        (Template.TEST, "Clean", "TidegateTest"),
    ],
)
def test_an_accounts_role_opens_to_one_role_of_tools_with_the_external_id(
    template: Template, logical_id: str, caller: str
) -> None:
    assert trust(template, logical_id) == [
        {
            "Sid": "PromoteStageOfTools" if caller == "TidegatePromote" else "TestStageOfTools",
            "Effect": "Allow",
            "Principal": {"AWS": role_arn(caller, TOOLS)},
            "Action": "sts:AssumeRole",
            "Condition": {
                "StringEquals": {
                    "sts:ExternalId": "external-id-of-this-account",
                    "aws:PrincipalOrgID": "o-aaaaaaaaaa",
                }
            },
        }
    ]


def test_the_external_id_is_never_shown() -> None:
    for template in (Template.TARGET, Template.TEST):
        whole = body(template)
        assert whole["Parameters"]["ExternalId"]["NoEcho"] is True
        assert "ExternalId" not in json.dumps(whole["Outputs"])


def test_without_named_persons_there_is_no_repair_role() -> None:
    assert body(Template.TARGET)["Resources"]["Repair"]["Condition"] == "HasRepair"


# --- the deploy role -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "action",
    [
        "DescribeStacks",
        "DescribeStackEvents",
        "ListStackResources",
        "GetTemplate",
        "DescribeChangeSet",
        "ListChangeSets",
        "DeleteChangeSet",
        "ExecuteChangeSet",
        "ContinueUpdateRollback",
    ],
)
def test_the_deploy_role_may_what_the_engine_does_on_stacks_of_services_only(action: str) -> None:
    statements = role_statements(Template.TARGET, "Deploy")

    assert allows(statements, f"cloudformation:{action}", STACK)
    assert not allows(statements, f"cloudformation:{action}", OWN_STACK)


@pytest.mark.parametrize(
    "action",
    [
        "cloudformation:DeleteStack",
        "cloudformation:CreateStack",
        "cloudformation:UpdateStack",
        "cloudformation:CancelUpdateStack",
        "cloudformation:RollbackStack",
        "cloudformation:SetStackPolicy",
        "cloudformation:UpdateTerminationProtection",
        "dynamodb:GetItem",
        "iam:CreateRole",
        "kms:Decrypt",
        "organizations:ListAccounts",
        "s3:DeleteObject",
        "s3:PutObject",
        "sts:AssumeRole",
    ],
)
def test_the_deploy_role_may_nothing_else(action: str) -> None:
    for template in (Template.TARGET, Template.TEST):
        statements = role_statements(template, "Deploy")
        for resource in (STACK, "*", "arn:aws:s3:::some-bucket/key", role_arn("svc-x")):
            assert not allows(statements, action, resource)


def test_the_deploy_role_invokes_the_checks_that_a_release_ships_and_no_other_function() -> None:
    for template in (Template.TARGET, Template.TEST):
        statements = role_statements(template, "Deploy")
        functions = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:"
        assert allows(statements, "lambda:InvokeFunction", f"{functions}svc-intake-SmokeForms-1A2B")
        for name in ("svc-intake-Form-1A2B", "Smoke", "tidegate-Smoke", "other-Smoke-1"):
            assert not allows(statements, "lambda:InvokeFunction", functions + name)


def test_deletion_of_a_stack_is_denied_outright_and_not_only_left_out() -> None:
    denied = [s for s in role_statements(Template.TARGET, "Deploy") if s["Effect"] == "Deny"]

    assert any("cloudformation:DeleteStack" in s["Action"] and s["Resource"] == "*" for s in denied)


def test_a_change_set_takes_its_template_from_the_artifacts_and_its_role_from_tidegate() -> None:
    statements = role_statements(Template.TARGET, "Deploy")
    bucket = f"tidegate-artifacts-{TOOLS}-us-east-1"
    good = f"https://s3.us-east-1.amazonaws.com/{bucket}/sha256/{'a' * 64}"

    def may(url: str | None, role: str | None) -> bool:
        given: dict[str, Any] = {"cloudformation__templateurl": url, "cloudformation__rolearn": role}
        return allows(statements, "cloudformation:CreateChangeSet", STACK, **given)

    assert may(good, EXECUTION)
    assert not may(good, None)
    assert not may(good, role_arn("Admin"))
    assert not may(None, EXECUTION)
    assert not may(
        f"https://s3.us-east-1.amazonaws.com/elsewhere/x.amazonaws.com/{bucket}/sha256/a", EXECUTION
    )
    assert not may(f"https://s3.us-east-1.amazonaws.com/{bucket}/releases/intake/1.0.0.json", EXECUTION)


def test_only_the_execution_role_is_passed_and_only_to_cloudformation() -> None:
    statements = role_statements(Template.TARGET, "Deploy")
    cloudformation, lambdas = "cloudformation.amazonaws.com", "lambda.amazonaws.com"

    assert allows(statements, "iam:PassRole", EXECUTION, iam__passedtoservice=cloudformation)
    assert not allows(statements, "iam:PassRole", EXECUTION, iam__passedtoservice=lambdas)
    assert not allows(statements, "iam:PassRole", role_arn("Admin"), iam__passedtoservice=cloudformation)


# --- the execution role ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("organizations:LeaveOrganization", "*"),
        ("account:CloseAccount", "*"),
        ("sts:AssumeRole", role_arn("TidegatePromote", TOOLS)),
        ("iam:CreateUser", f"arn:aws:iam::{ACCOUNT}:user/x"),
        ("iam:CreateAccessKey", f"arn:aws:iam::{ACCOUNT}:user/x"),
        ("iam:CreateRole", role_arn("Admin")),
        ("iam:PutRolePolicy", role_arn("TidegateDeploy")),
        ("iam:DeleteRole", role_arn("OrganizationAccountAccessRole")),
        ("iam:PassRole", role_arn("TidegateExecution")),
        ("cloudformation:DeleteStack", OWN_STACK),
        ("dynamodb:GetItem", f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/forms"),
        ("s3:GetObject", "arn:aws:s3:::a-clients-bucket/form"),
        ("s3:PutObject", f"arn:aws:s3:::tidegate-artifacts-{TOOLS}-us-east-1/sha256/x"),
        ("logs:GetLogEvents", "*"),
        ("sqs:ReceiveMessage", "*"),
        ("ssm:PutParameter", f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/other/key"),
    ],
)
def test_the_execution_role_reaches_neither_data_nor_tidegate_nor_the_organisation(
    action: str, resource: str
) -> None:
    for template in (Template.TARGET, Template.TEST):
        assert not allows(role_statements(template, "Execution"), action, resource)


def test_what_a_person_has_tagged_as_protected_is_not_deleted_by_any_release() -> None:
    statements = role_statements(Template.TARGET, "Execution")
    table = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/forms"
    protected: dict[str, Any] = {"aws__resourcetag/tidegate__protected": "true"}

    assert allows(statements, "dynamodb:DeleteTable", table)
    assert not allows(statements, "dynamodb:DeleteTable", table, **protected)


def test_where_the_boundary_is_required_no_role_is_made_without_it() -> None:
    free = role_statements(Template.TARGET, "Execution")
    bound = role_statements(Template.TARGET, "Execution", RequireBoundary="true")
    boundary = f"arn:aws:iam::{ACCOUNT}:policy/TidegateBoundary"

    assert allows(free, "iam:CreateRole", role_arn("svc-intake-Role-1"))
    assert not allows(bound, "iam:CreateRole", role_arn("svc-intake-Role-1"))
    assert allows(bound, "iam:CreateRole", role_arn("svc-intake-Role-1"), iam__permissionsboundary=boundary)
    assert not allows(bound, "iam:DeleteRolePermissionsBoundary", role_arn("svc-intake-Role-1"))


_DATA = frozenset(
    {
        "dynamodb:BatchWriteItem",
        "dynamodb:DeleteItem",
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:Query",
        "dynamodb:Scan",
        "dynamodb:UpdateItem",
    }
)
"""The registry lists them for global tables and imports, which copy data; a template with those is refused by IAM."""


def _sample_types() -> set[str]:
    folder = Path(pipeline.demo.__file__).parent / "sample"
    found = {"AWS::SSM::Parameter"}
    for path in folder.glob("*/*.yaml"):
        resources = parse_template(path.read_text(encoding="utf-8"), path.name)["Resources"]
        found |= {resource["Type"] for resource in resources.values()}
    return found


_GENERAL = [
    "AWS::CloudWatch::CompositeAlarm",
    "AWS::KMS::Alias",
    "AWS::Lambda::Alias",
    "AWS::Lambda::Version",
    "AWS::Lambda::Url",
    "AWS::Logs::LogGroup",
    "AWS::S3::Bucket",
    "AWS::SNS::Topic",
    "AWS::StepFunctions::StateMachine",
]
_KINDS = sorted({*_sample_types(), *_GENERAL} - {"AWS::S3::Bucket"})


@cache
def _registry() -> dict[str, dict[str, Any]]:
    """CloudFormation's registry schemas of those types, as cfn-lint ships them: what each handler calls."""
    import cfnlint

    folder = Path(cfnlint.__file__).parent / "data" / "schemas" / "resources"
    named = re.compile(r'"typeName":\s*"(?:' + "|".join(map(re.escape, _KINDS)) + ')"')
    texts = (path.read_text(encoding="utf-8") for path in folder.glob("*.json"))
    schemas = (json.loads(text) for text in texts if named.search(text))
    return {schema["typeName"]: schema for schema in schemas if "handlers" in schema}


@pytest.mark.parametrize("kind", _KINDS)
def test_the_execution_role_suffices_for_what_cloudformation_says_it_calls(kind: str) -> None:
    schema = _registry().get(kind)
    if schema is None:
        pytest.skip(f"the registry does not tell what {kind} calls")
    handlers = schema["handlers"]
    needed = {p for rule in handlers.values() for p in rule.get("permissions", ())} - _DATA
    statements = role_statements(Template.TARGET, "Execution")
    resources = (
        "*",
        role_arn("svc-intake-FormRole-1"),
        role_arn("aws-service-role/x"),
        f"arn:aws:iam::{ACCOUNT}:policy/svc-intake-1",
        f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/tidegate/svc-intake/release",
        f"arn:aws:s3:::tidegate-artifacts-{TOOLS}-us-east-1/sha256/x",
        STACK,
    )
    elsewhere = ("codedeploy:", "elasticfilesystem:", "s3files:", "kinesis:", "firehose:", "s3tables:")
    unmet = {
        p
        for p in needed
        if ":" in p and not p.startswith(elsewhere) and not any(allows(statements, p, r) for r in resources)
    }

    # Managed policies and groups of users are no part of a service.
    assert {p for p in unmet if not p.startswith(("iam:", "s3:"))} == set()
    assert {p for p in unmet if p.startswith("iam:") and "User" not in p and "Group" not in p} == set()


_NEVER_READ = frozenset(
    {
        "cognito-idp:DescribeUserPoolClient",  # answers with the client's secret
        "cognito-idp:ListUserPoolClientSecrets",
        "iam:PassRole",
        "kms:Decrypt",
        "s3:getObject",
        "sns:ListSubscriptionsByTopic",  # answers with e-mail addresses
    }
)
"""Registry read handlers list them; without them, drift of what needs them cannot be told, and is not guessed."""


@pytest.mark.parametrize("kind", _KINDS)
def test_the_observing_role_suffices_for_comparing_a_resource_with_its_template(kind: str) -> None:
    schema = _registry().get(kind)
    if schema is None:
        pytest.skip(f"the registry does not tell what {kind} calls")
    needed = set(schema["handlers"].get("read", {}).get("permissions", ())) - _NEVER_READ
    statements = role_statements(Template.TARGET, "Observe")
    mark = f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/tidegate/svc-intake/release"
    resources = ("*", role_arn("svc-intake-FormRole-1"), mark)

    assert {p for p in needed if not any(allows(statements, p, r) for r in resources)} == set()
    assert {p for p in _NEVER_READ if any(allows(statements, p, r) for r in resources)} == set()


def test_the_execution_role_makes_and_changes_buckets_without_touching_what_is_in_them() -> None:
    statements = role_statements(Template.TARGET, "Execution")
    bucket = "arn:aws:s3:::svc-intake-documents-1"
    needed = [
        "CreateBucket",
        "DeleteBucket",
        "PutEncryptionConfiguration",
        "PutBucketVersioning",
        "PutBucketPublicAccessBlock",
        "PutBucketOwnershipControls",
        "PutBucketPolicy",
        "PutLifecycleConfiguration",
        "PutBucketNotification",
        "PutBucketTagging",
        "GetBucketPolicy",
        "GetEncryptionConfiguration",
    ]

    assert [a for a in needed if not allows(statements, f"s3:{a}", bucket)] == []
    for action in ("GetObject", "PutObject", "DeleteObject", "DeleteObjectVersion"):
        assert not allows(statements, f"s3:{action}", f"{bucket}/form")


# --- the roles of the Tools account ----------------------------------------------------------------


_ARTIFACT = f"arn:aws:s3:::tidegate-artifacts-{TOOLS}-us-east-1/sha256/x"
_MANIFEST = f"arn:aws:s3:::tidegate-artifacts-{TOOLS}-us-east-1/releases/intake/1.0.0.json"
_KEY = "arn:aws:made-up:::ReleaseKey"
_JOURNAL = "arn:aws:made-up:::JournalKey"


def test_the_build_role_writes_once_and_signs_and_enters_no_account() -> None:
    statements = role_statements(Template.TOOLS, "Build")

    assert allows(statements, "s3:PutObject", _ARTIFACT, s3__if_none_match="*")
    assert allows(statements, "s3:PutObject", _MANIFEST, s3__if_none_match="*")
    assert not allows(statements, "s3:PutObject", _ARTIFACT)
    assert allows(statements, "s3:GetObject", _ARTIFACT)
    assert allows(statements, "kms:Sign", _KEY)
    assert not allows(statements, "kms:Sign", _JOURNAL)
    for action in (
        "sts:AssumeRole",
        "cloudformation:DescribeStacks",
        "organizations:ListAccounts",
        "s3:DeleteObject",
        "s3:DeleteObjectVersion",
        "s3:PutObjectRetention",
        "kms:ScheduleKeyDeletion",
        "iam:CreateRole",
    ):
        assert not allows(statements, action, "*")
        assert any(s["Effect"] == "Deny" and s["Resource"] == "*" for s in statements)


def test_the_test_role_enters_test_accounts_and_no_other() -> None:
    statements = role_statements(Template.TOOLS, "Test")

    for name in ("TidegateDeploy", "TidegateTester", "TidegateClean"):
        assert allows(statements, "sts:AssumeRole", role_arn(name), aws__resourceorgpaths=IN_TEST)
        # A condition key keeps its letters, so the absent key is the account outside every organisation.
        assert not allows(statements, "sts:AssumeRole", role_arn(name), aws__resourceorgpaths=IN_CLIENTS)
        assert not allows(statements, "sts:AssumeRole", role_arn(name))
    for name in ("OrganizationAccountAccessRole", "TidegateExecution", "TidegateRepair", "Admin"):
        assert not allows(statements, "sts:AssumeRole", role_arn(name), aws__resourceorgpaths=IN_TEST)
    assert allows(statements, "sts:AssumeRole", role_arn("TidegateAccounts", MANAGEMENT))
    for action in ("kms:Sign", "s3:PutObject", "s3:DeleteObject", "cloudformation:DeleteStack"):
        assert not allows(statements, action, _ARTIFACT, s3__if_none_match="*")


def test_the_promote_role_reads_releases_and_cannot_make_one() -> None:
    statements = role_statements(Template.TOOLS, "Promote")

    assert allows(statements, "s3:GetObject", _MANIFEST)
    assert allows(statements, "kms:Verify", _KEY)
    assert allows(statements, "kms:Verify", _JOURNAL)
    assert allows(statements, "kms:Sign", _JOURNAL)
    assert allows(statements, "s3:PutObject", _ARTIFACT, s3__if_none_match="*")
    assert not allows(statements, "s3:PutObject", _MANIFEST, s3__if_none_match="*")
    for action in ("kms:Sign", "s3:DeleteObject", "iam:PassRole", "organizations:MoveAccount"):
        assert not allows(statements, action, _KEY)
    for name in ("TidegateDeploy", "TidegateObserve"):
        assert allows(statements, "sts:AssumeRole", role_arn(name))
    for name in ("TidegateClean", "TidegateTester", "TidegateRepair", "OrganizationAccountAccessRole"):
        assert not allows(statements, "sts:AssumeRole", role_arn(name))


def test_only_the_build_role_may_sign_whatever_its_account_allows() -> None:
    policy = resolved(Template.TOOLS)["ReleaseKey"]["Properties"]["KeyPolicy"]["Statement"]

    assert allows(policy, "kms:Sign", aws__principalarn=role_arn("TidegateBuild", TOOLS))
    assert not allows(policy, "kms:Sign", aws__principalarn=role_arn("TidegatePromote", TOOLS))
    assert allows(policy, "kms:Verify", aws__principalarn=role_arn("TidegatePromote", TOOLS))


def test_only_who_promotes_may_sign_the_journal_and_never_the_build() -> None:
    key = resolved(Template.TOOLS)["JournalKey"]
    policy = key["Properties"]["KeyPolicy"]["Statement"]

    assert (key["DeletionPolicy"], key["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert allows(policy, "kms:Sign", aws__principalarn=role_arn("TidegatePromote", TOOLS))
    for name in ("TidegateBuild", "TidegateTest", "Admin"):
        assert not allows(policy, "kms:Sign", aws__principalarn=role_arn(name, TOOLS))
        assert allows(policy, "kms:Verify", aws__principalarn=role_arn(name, TOOLS))


# --- the management account ------------------------------------------------------------------------


def test_the_accounts_role_prepares_test_accounts_and_reaches_no_other() -> None:
    statements = role_statements(Template.MANAGEMENT, "Accounts")
    access = role_arn("OrganizationAccountAccessRole")

    assert allows(statements, "organizations:CreateAccount")
    assert allows(statements, "sts:AssumeRole", access, aws__resourceorgpaths=IN_TEST)
    assert not allows(statements, "sts:AssumeRole", access, aws__resourceorgpaths=IN_CLIENTS)
    assert not allows(statements, "sts:AssumeRole", access)
    for action in ("CloseAccount", "LeaveOrganization", "RemoveAccountFromOrganization", "AttachPolicy"):
        assert not allows(statements, f"organizations:{action}")


def test_the_accounts_role_moves_accounts_between_the_root_and_the_units_of_test_only() -> None:
    statements = role_statements(Template.MANAGEMENT, "Accounts")
    prefix = f"arn:aws:organizations::{MANAGEMENT}"

    def may(resource: str) -> bool:
        return allows(statements, "organizations:MoveAccount", f"{prefix}:{resource}")

    assert may(f"account/o-aaaaaaaaaa/{ACCOUNT}")
    assert may("root/o-aaaaaaaaaa/r-aaaa")
    assert may("ou/o-aaaaaaaaaa/ou-aaaa-pool")
    assert not may("ou/o-aaaaaaaaaa/ou-aaaa-clients")


# --- the cleaning role, the tester, the person -------------------------------------------------------


def test_the_cleaning_role_deletes_stacks_of_services_and_nothing_of_tidegate() -> None:
    statements = role_statements(Template.TEST, "Clean")

    assert allows(statements, "cloudformation:DeleteStack", STACK)
    assert not allows(statements, "cloudformation:DeleteStack", OWN_STACK)
    for action in (
        "dynamodb:DeleteTable",
        "iam:DeleteRole",
        "sts:AssumeRole",
        "cloudformation:CreateChangeSet",
    ):
        assert not allows(statements, action, "*")


def test_the_observing_role_sees_stacks_and_alarms_and_never_data() -> None:
    statements = role_statements(Template.TARGET, "Observe")

    assert allows(statements, "cloudwatch:DescribeAlarms")
    assert allows(statements, "cloudformation:DescribeStacks", STACK)
    for action in ("dynamodb:Scan", "s3:GetObject", "kms:Decrypt", "logs:GetLogEvents", "sqs:ReceiveMessage"):
        assert not allows(statements, action)
    assert not allows(statements, "cloudformation:ExecuteChangeSet", STACK)


def test_a_person_with_the_repair_role_may_delete_a_stack_of_a_service_but_none_of_tidegate() -> None:
    statements = role_statements(Template.TARGET, "Repair")

    assert allows(statements, "cloudformation:DeleteStack", STACK)
    assert allows(statements, "cloudformation:ContinueUpdateRollback", STACK)
    assert not allows(statements, "cloudformation:DeleteStack", OWN_STACK)


# --- the artifact bucket -----------------------------------------------------------------------------


def test_the_bucket_of_artifacts_is_encrypted_versioned_private_and_outlives_its_stack() -> None:
    bucket = resolved(Template.TOOLS_REGION)["Artifacts"]

    assert (bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert bucket["Properties"] == {
        "BucketName": f"tidegate-artifacts-{TOOLS}-us-east-1",
        "BucketEncryption": {
            "ServerSideEncryptionConfiguration": [
                {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
            ]
        },
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        "PublicAccessBlockConfiguration": {
            "BlockPublicAcls": True,
            "BlockPublicPolicy": True,
            "IgnorePublicAcls": True,
            "RestrictPublicBuckets": True,
        },
        "VersioningConfiguration": {"Status": "Enabled"},
    }


def test_objects_are_written_once_read_by_the_organisation_and_never_deleted() -> None:
    statements = resolved(Template.TOOLS_REGION)["ArtifactsPolicy"]["Properties"]["PolicyDocument"][
        "Statement"
    ]
    listed = [s for s in statements if s["Sid"] == "ListedAccountsMayRead"]
    rest = [s for s in statements if s["Sid"] != "ListedAccountsMayRead"]
    everything = [*rest, {"Effect": "Allow", "Action": "*", "Resource": "*"}]
    artifact = "Artifacts.Arn/sha256/x"

    def may(action: str, **context: str) -> bool:
        return allows(everything, action, artifact, aws__securetransport="true", **context)

    assert may("s3:PutObject", s3__if_none_match="*")
    assert not may("s3:PutObject")
    assert not may("s3:DeleteObject")
    assert not may("s3:DeleteObjectVersion")
    assert not allows(everything, "s3:GetObject", artifact, aws__securetransport="false")
    assert allows(rest, "s3:GetObject", artifact, aws__principalorgid="o-aaaaaaaaaa")
    assert not allows(rest, "s3:GetObject", artifact, aws__principalorgid="o-bbbbbbbbbb")
    assert not allows(rest, "s3:GetObject", "Artifacts.Arn/releases/x", aws__principalorgid="o-aaaaaaaaaa")
    assert listed == [
        {
            "Sid": "ListedAccountsMayRead",
            "Effect": "Allow",
            "Principal": {"AWS": ["arn:aws:iam::444444444444:root"]},
            "Action": "s3:GetObject",
            "Resource": "Artifacts.Arn/sha256/*",
        }
    ]


@pytest.mark.parametrize("template", [Template.TARGET, Template.TEST])
@pytest.mark.parametrize("role", ["Deploy", "Execution"])
def test_a_template_with_a_macro_of_awss_own_can_be_deployed_and_one_of_anybody_elses_not(
    template: Template, role: str
) -> None:
    statements = role_statements(template, role)
    action = "cloudformation:CreateChangeSet"
    own = "arn:aws:cloudformation:eu-west-1:aws:transform/Serverless-2016-10-31"
    others = "arn:aws:cloudformation:eu-west-1:999999999999:transform/Anything"
    assert (allows(statements, action, own), allows(statements, action, others)) == (True, False)
