"""The sample's templates: valid for AWS by its own schemas, encrypted, kept, and shut to plain HTTP."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.demo import INTAKE_VERSIONS, project_files, version_of_intake

from .software import source_of
from .yaml_tags import template

SAMPLE = ("intake/client.yaml", "intake/service.yaml", "notify/client.yaml", "notify/service.yaml")
STATEFUL = {
    "AWS::Cognito::UserPool",
    "AWS::DynamoDB::Table",
    "AWS::KMS::Key",
    "AWS::Logs::LogGroup",
    "AWS::S3::Bucket",
    "AWS::SQS::Queue",
}
ENCRYPTED_BY = {
    "AWS::Logs::LogGroup": ("KmsKeyId",),
    "AWS::SQS::Queue": ("KmsMasterKeyId",),
    "AWS::DynamoDB::Table": ("SSESpecification", "KMSMasterKeyId"),
    "AWS::S3::Bucket": (
        "BucketEncryption",
        "ServerSideEncryptionConfiguration",
        0,
        "ServerSideEncryptionByDefault",
        "KMSMasterKeyID",
    ),
}


def resources(path: str, version: str = "1.3.0") -> dict[str, Any]:
    found: dict[str, Any] = template(source_of(path, version))["Resources"]
    return found


def of_type(path: str, kind: str) -> dict[str, Any]:
    return {name: each for name, each in resources(path).items() if each["Type"] == kind}


def all_templates() -> dict[str, bytes]:
    found = {
        f"{version}/{file.path}": file for version in INTAKE_VERSIONS for file in version_of_intake(version)
    }
    found |= {file.path: file for sample in (True, False) for file in project_files(sample)}
    named = ("client.yaml", "service.yaml")
    return {path: file.content for path, file in found.items() if path.endswith(named)}


def test_cfn_lint_finds_no_error_in_any_template(tmp_path: Path) -> None:
    from cfnlint.api import lint_file

    findings, seen = [], set()
    for path, content in all_templates().items():
        if content in seen:
            continue
        seen.add(content)
        written = tmp_path / path.replace("/", "-")
        written.write_bytes(content)
        findings += [(path, str(match)) for match in lint_file(written) if match.rule.id != "W3002"]
    # W3002 says that local code wants packaging: that is what `release build` is for.
    assert (findings, len(seen)) == ([], 6)


@pytest.mark.parametrize("path", SAMPLE)
def test_what_keeps_data_is_kept_when_its_stack_goes(path: str) -> None:
    for name, resource in resources(path).items():
        if resource["Type"] in STATEFUL:
            kept = (resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy"))
            assert kept == ("Retain", "Retain"), name


@pytest.mark.parametrize("path", SAMPLE)
def test_what_keeps_data_is_encrypted_with_a_key_of_the_account(path: str) -> None:
    for name, resource in resources(path).items():
        value = resource["Properties"]
        for step in ENCRYPTED_BY.get(resource["Type"], ()):
            value = value[step]
        if resource["Type"] in ENCRYPTED_BY:
            assert "Key" in str(value), name


@pytest.mark.parametrize("path", SAMPLE)
def test_every_bucket_and_queue_refuses_plain_http(path: str) -> None:
    guarded = set()
    for policy in (resources(path) | {}).values():
        if policy["Type"] in ("AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy"):
            properties = policy["Properties"]
            denies = [each for each in properties["PolicyDocument"]["Statement"] if each["Effect"] == "Deny"]
            assert [each["Condition"] for each in denies] == [{"Bool": {"aws:SecureTransport": "false"}}]
            guarded |= {each["Ref"] for each in properties.get("Queues", [properties.get("Bucket")])}
    assert guarded == {*of_type(path, "AWS::S3::Bucket"), *of_type(path, "AWS::SQS::Queue")}


@pytest.mark.parametrize("path", SAMPLE)
def test_no_role_may_do_everything_to_anything(path: str) -> None:
    for role in of_type(path, "AWS::IAM::Role").values():
        for policy in role["Properties"]["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                granted = statement.get("Fn::If", [None, statement])[1]
                assert "*" not in granted["Resource"]
                assert "*" not in "".join(granted["Action"])


@pytest.mark.parametrize("path", SAMPLE)
def test_every_stack_has_an_alarm_that_silence_does_not_set_off(path: str) -> None:
    alarms = of_type(path, "AWS::CloudWatch::Alarm").values()
    assert alarms
    assert {alarm["Properties"]["TreatMissingData"] for alarm in alarms} == {"notBreaching"}


def test_forms_need_a_signed_in_user() -> None:
    routes = {
        route["Properties"]["RouteKey"]: route["Properties"].get("AuthorizationType", "NONE")
        for route in of_type("intake/client.yaml", "AWS::ApiGatewayV2::Route").values()
    }
    assert routes == {"GET /status": "NONE", "GET /": "NONE", "POST /forms": "JWT"}


@pytest.mark.parametrize("service", ["intake", "notify"])
def test_only_the_organization_may_send_to_a_service(service: str) -> None:
    bus = resources(f"{service}/service.yaml")["Bus"]["Properties"]["Policy"]["Fn::If"]
    condition = bus[1]["Statement"][0]["Condition"]["StringEquals"]
    assert (bus[0], condition["aws:PrincipalOrgID"]) == ("AdmitsOrganization", {"Ref": "OrganizationId"})


def test_between_versions_only_what_is_not_stateful_changes() -> None:
    before, after = resources("intake/client.yaml", "1.0.0"), resources("intake/client.yaml", "1.3.0")
    changed = {name for name in before | after if before.get(name) != after.get(name)}
    assert changed == {"WelcomeRoute"}
