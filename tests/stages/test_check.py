"""`release check`, first form."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.decide.findings import Finding
from pipeline.errors import BlockedByPolicy, ConfigInvalid, NotFound
from pipeline.model.release import Parameter
from stages.check import check_release, check_template, parameter_findings, refuse
from tests.stages.workshop import Workshop, a_service

KEPT = "DeletionPolicy: Retain, UpdateReplacePolicy: Retain"
QUEUE = f"Resources: {{Queue: {{Type: AWS::SQS::Queue, {KEPT}}}}}\n"
OPEN = "KmsMasterKeyId must be given, or SqsManagedSseEnabled be true"


def test_a_template_in_a_file_is_checked(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text(QUEUE)
    assert check_template(tmp_path / "t.yaml") == (
        Finding(where="t.yaml: Resources.Queue", rule="encryption", text=OPEN),
    )


def test_a_template_that_is_none_is_a_fault_not_a_finding(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text("Resources: {}")
    with pytest.raises(ConfigInvalid):
        check_template(tmp_path / "t.yaml")
    with pytest.raises(NotFound):
        check_template(tmp_path / "u.yaml")


def test_a_release_is_checked_as_it_will_be_deployed_with_what_is_nested_in_it(tmp_path: Path) -> None:
    shop = Workshop(tmp_path / "store", a_service(tmp_path / "src"), tmp_path / "src")
    (shop.folder / "inner.yaml").write_text(QUEUE)
    (shop.folder / "client.yaml").write_text(
        "Resources:\n"
        "  Inner: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: inner.yaml}}\n"
        "  Fn::Transform: {Name: AWS::Include, Parameters: {Location: part.txt}}\n"
    )
    (shop.folder / "part.txt").write_text("no template, only a part of one")
    found = check_release(shop.build().manifest, shop.artifacts)
    assert found == (
        Finding(where="client.yaml#Inner.TemplateURL: Resources.Queue", rule="encryption", text=OPEN),
    )
    with pytest.raises(BlockedByPolicy) as caught:
        refuse(found, "intake@1.0.0")
    assert caught.value.exit_code == 8
    assert caught.value.details == (f"client.yaml#Inner.TemplateURL: Resources.Queue: {OPEN} [encryption]",)


def test_a_release_without_findings_passes(tmp_path: Path) -> None:
    shop = Workshop(tmp_path / "store", a_service(tmp_path / "src"), tmp_path / "src")
    refuse(check_release(shop.build().manifest, shop.artifacts), "intake@1.0.0")


def test_a_parameter_that_nobody_gives_a_value_is_found() -> None:
    parameters = tuple(
        Parameter(name=name, type="String", default=default)
        for name, default in (("Client", None), ("Colour", None), ("Size", "3"), ("Odd", None))
    )
    found = parameter_findings(parameters, frozenset({"Client", "Colour"}), "client.yaml")
    assert [finding.where for finding in found] == ["client.yaml: Parameters.Odd"]
