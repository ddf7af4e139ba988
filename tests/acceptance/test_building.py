"""Built once: what is refused, what is uploaded, and that nothing damaged or swapped ever leaves the Tools account."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.acceptance.company import Company, Service
from tests.acceptance.software import Software

pytestmark = [pytest.mark.local_aws, pytest.mark.xdist_group("acceptance-plans")]

NewService = Callable[..., Service]


def test_a_dirty_tree_and_an_untagged_commit_are_refused_unless_said_otherwise(
    company: Company, service: NewService
) -> None:
    lamp = service()
    lamp.write(Software(version="1.0.0"))
    dirty = company.release("build", lamp.name, code=2)
    assert "the working tree has changes that are not committed" in dirty.err
    company.commit()
    untagged = company.release("build", lamp.name, code=2)
    assert "has no version tag" in untagged.err
    assert f"git tag {lamp.name}/1.0.0" in untagged.err
    assert company.release("history", code=None).out.count(lamp.name) == 0
    company.release("build", lamp.name, "--version", "1.0.0", "--allow-untagged")


def test_a_second_build_of_the_same_input_uploads_nothing_and_says_so(
    company: Company, service: NewService
) -> None:
    lamp = service()
    lamp.write(Software(version="1.0.0"))
    company.commit(f"{lamp.name}/1.0.0")
    first = company.release("build", lamp.name, "--json").json
    second = company.release("build", lamp.name, "--json").json
    assert first["uploads"] > 0
    assert second == {**first, "uploads": 0, "already": True}
    assert "was built before; nothing was uploaded" in company.release("build", lamp.name).out


def test_every_region_of_the_fleet_has_every_artifact_under_its_own_digest(
    company: Company, service: NewService
) -> None:
    release = service().built("1.0.0")
    listed = _manifest(company, release)["artifacts"]
    assert len(listed) >= 3
    for region in ("us-east-1", "eu-west-1"):
        s3 = company.inside("tools", "s3", region)
        for artifact in listed:
            key = f"sha256/{artifact['digest'].removeprefix('sha256:')}"
            assert (
                s3.head_object(Bucket=_bucket(company, region), Key=key)["ContentLength"] == artifact["size"]
            )


def test_a_version_that_exists_with_another_content_is_refused(company: Company, service: NewService) -> None:
    lamp = service()
    release = lamp.built("1.0.0")
    lamp.write(Software(version="1.0.0", table=True))
    company.commit()
    company.git("tag", "--force", f"{lamp.name}/1.0.0")
    refused = company.release("build", lamp.name, code=7)
    assert f"{release} exists already" in refused.err
    assert "nothing was uploaded" in refused.err


def test_a_damaged_artifact_stops_plan_and_promote_before_anything_is_touched(
    company: Company, service: NewService
) -> None:
    lamp = service()
    release = lamp.proven("1.0.0")
    zipped = next(a for a in _manifest(company, release)["artifacts"] if a.get("lambda_functions"))
    key = f"sha256/{zipped['digest'].removeprefix('sha256:')}"
    file = company.root / f"{lamp.name}.json"
    company.release("plan", release, "-o", str(file))
    with _replaced(company, "eu-west-1", key, b"another function"):
        for command in (
            ("plan", release),
            ("promote", release),
            ("promote", str(file)),
            ("build", lamp.name),
        ):
            refused = company.release(*command, code=7)
            assert zipped["digest"] in refused.err
            assert "nothing was touched" in refused.err
    assert [lamp.events(target) for target in lamp.targets()] == [[]] * 5


def test_a_missing_artifact_is_told_apart_from_a_damaged_one(company: Company, service: NewService) -> None:
    lamp = service()
    release = lamp.proven("1.0.0", table=True)
    template = next(a for a in _manifest(company, release)["artifacts"] if a["purpose"] == "template:client")
    key = f"sha256/{template['digest'].removeprefix('sha256:')}"
    with _replaced(company, "eu-west-1", key, None):
        refused = company.release("promote", release, code=7)
        assert f"{template['digest']} is not in the artifact bucket of eu-west-1" in refused.err
        assert "release build" in refused.err
        assert company.release("build", lamp.name, "--json").json["uploads"] == 1


@pytest.mark.parametrize("fault", ["unsigned", "resigned", "swapped"])
def test_a_manifest_that_nobody_signed_for_this_release_is_refused(
    company: Company, service: NewService, fault: str
) -> None:
    lamp = service()
    release, other = lamp.proven("1.0.0"), lamp.proven("1.1.0")
    envelope = json.loads(_document(company, release))
    if fault == "unsigned":
        envelope["signatures"] = []
    elif fault == "resigned":
        envelope["signatures"] = json.loads(_document(company, other))["signatures"]
    else:
        envelope = json.loads(_document(company, other))
    with _replaced(company, "us-east-1", _name(release), json.dumps(envelope).encode()):
        refused = company.release("promote", release, code=7)
        assert company.release("plan", release, code=7).err
    assert release in refused.err
    assert [lamp.events(target) for target in lamp.targets()] == [[]] * 5


def _bucket(company: Company, region: str) -> str:
    return f"tidegate-artifacts-{company.accounts['tools']}-{region}"


def _name(release: str) -> str:
    return f"releases/{release.replace('@', '/')}.json"


def _document(company: Company, release: str) -> bytes:
    s3 = company.inside("tools", "s3", "us-east-1")
    return bytes(s3.get_object(Bucket=_bucket(company, "us-east-1"), Key=_name(release))["Body"].read())


def _manifest(company: Company, release: str) -> dict[str, Any]:
    """What stands in the signed statement."""
    statement = json.loads(base64.b64decode(json.loads(_document(company, release))["payload"]))
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    found: dict[str, Any] = statement["predicate"]["buildDefinition"]["internalParameters"]["manifest"]
    return found


@contextlib.contextmanager
def _replaced(company: Company, region: str, key: str, content: bytes | None) -> Iterator[None]:
    """An administrator of the Tools account takes the bucket's policy away and meddles; put right afterwards."""
    s3, bucket = company.inside("tools", "s3", region), _bucket(company, region)
    policy = s3.get_bucket_policy(Bucket=bucket)["Policy"]
    before = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    s3.delete_bucket_policy(Bucket=bucket)
    if content is None:
        s3.delete_object(Bucket=bucket, Key=key)
    else:
        s3.put_object(Bucket=bucket, Key=key, Body=content)
    s3.put_bucket_policy(Bucket=bucket, Policy=policy)
    try:
        yield
    finally:
        s3.delete_bucket_policy(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key=key, Body=before)
        s3.put_bucket_policy(Bucket=bucket, Policy=policy)
