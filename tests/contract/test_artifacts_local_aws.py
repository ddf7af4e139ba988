"""The contract of artifact stores on local AWS, and a whole build there: S3 and KMS over the wire."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.adapters.aws.artifacts import S3Artifacts
from pipeline.adapters.aws.kms import KmsSigner, KmsVerifier
from pipeline.adapters.aws.session import AMBIENT, Aws
from pipeline.adapters.local.front import process
from pipeline.errors import ArtifactDamaged, IntegrityBroken
from pipeline.model.fleet import Tools
from pipeline.model.ids import Digest
from pipeline.model.release import artifact_key
from pipeline.ports import Artifacts
from stages.build import build
from stages.manifests import document_name, load_manifest, verify_release
from tests import local_aws
from tests.contract.artifacts_contract import REGIONS, ArtifactsContract, Overwrite
from tests.local_aws import Front
from tests.stages.workshop import Workshop, a_service

pytestmark = pytest.mark.local_aws
front = local_aws.front


def emptied(aws: Aws, bucket: str, region: str) -> None:
    found = aws.call(AMBIENT, "s3", region, "list_objects_v2", Bucket=bucket)
    for item in found.get("Contents", ()):
        aws.call(AMBIENT, "s3", region, "delete_object", Bucket=bucket, Key=item["Key"])


@pytest.fixture
def aws(front: Front, monkeypatch: pytest.MonkeyPatch) -> Aws:
    for name, value in process.environment(front.home).items():
        if value:
            monkeypatch.setenv(name, value)
        else:
            monkeypatch.delenv(name, raising=False)
    return Aws()


@pytest.fixture
def tools(aws: Aws) -> Iterator[Tools]:
    tools = Tools(account=aws.caller(AMBIENT)[0], region="us-east-1")
    for region in REGIONS:
        place: dict[str, Any] = {"CreateBucketConfiguration": {"LocationConstraint": region}}
        bucket = f"{tools.bucket_prefix}-{region}"
        aws.call(
            AMBIENT, "s3", region, "create_bucket", Bucket=bucket, **({} if region == "us-east-1" else place)
        )
    yield tools
    for region in REGIONS:
        emptied(aws, f"{tools.bucket_prefix}-{region}", region)
        aws.call(AMBIENT, "s3", region, "delete_bucket", Bucket=f"{tools.bucket_prefix}-{region}")


@pytest.fixture
def intruder(aws: Aws, tools: Tools) -> Overwrite:
    def overwrite(region: str, name: Digest, content: bytes) -> None:
        bucket = f"{tools.bucket_prefix}-{region}"
        aws.call(AMBIENT, "s3", region, "put_object", Bucket=bucket, Key=artifact_key(name), Body=content)

    return overwrite


class TestS3ArtifactsOnLocalAws(ArtifactsContract):
    @pytest.fixture
    def store(self, aws: Aws, tools: Tools) -> Artifacts:
        return S3Artifacts(aws, AMBIENT, tools)

    @pytest.fixture
    def overwrite(self, intruder: Overwrite) -> Overwrite:
        return intruder


def a_key(aws: Aws) -> str:
    made = aws.call(
        AMBIENT, "kms", "us-east-1", "create_key", KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY"
    )
    return str(made["KeyMetadata"]["Arn"])


def test_a_build_on_aws_is_signed_verified_and_made_once(
    aws: Aws, tools: Tools, intruder: Overwrite, tmp_path: Path
) -> None:
    key, other = a_key(aws), a_key(aws)
    store, verifier = S3Artifacts(aws, AMBIENT, tools), KmsVerifier(aws, AMBIENT)
    shop = Workshop(tmp_path / "unused", a_service(tmp_path / "src"), tmp_path / "src")
    ports = replace(shop.ports, artifacts=store, signer=KmsSigner(aws, AMBIENT, key), verifier=verifier)
    request = shop.request(bucket_prefix=tools.bucket_prefix, release_key=key)

    first = build(request, ports, shop.said.append)
    second = build(request, ports, shop.said.append)
    assert (first.uploads, first.already) == (3 * len(REGIONS) + 1, False)
    assert (second.uploads, second.already, second.manifest) == (0, True, first.manifest)

    release = first.manifest.release
    assert load_manifest(release, store, verifier, key) == (first.manifest, first.envelope_digest)
    with pytest.raises(IntegrityBroken, match="no signature on it was made by the pinned release key"):
        load_manifest(release, store, verifier, other)

    intruder("eu-west-1", first.manifest.spec, b"{}")
    with pytest.raises(ArtifactDamaged):
        verify_release(first.manifest, store, REGIONS)

    envelope = bytearray(store.get_document(document_name(release)) or b"")
    envelope[len(envelope) // 2] ^= 1
    bucket = f"{tools.bucket_prefix}-us-east-1"
    aws.call(
        AMBIENT,
        "s3",
        "us-east-1",
        "put_object",
        Bucket=bucket,
        Key=document_name(release),
        Body=bytes(envelope),
    )
    with pytest.raises(IntegrityBroken):
        load_manifest(release, store, verifier, key)
