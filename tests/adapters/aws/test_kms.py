"""Signatures by KMS, as moto makes and checks them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest
from moto import mock_aws

from pipeline.adapters.aws.kms import KmsSigner, KmsVerifier
from pipeline.adapters.aws.session import AMBIENT, Aws
from pipeline.errors import ConfigInvalid, NotFound

SIGNED = hashlib.sha256(b"a manifest").digest()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield Aws()


def new_key(aws: Aws) -> str:
    made = aws.call(
        AMBIENT, "kms", "us-east-1", "create_key", KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY"
    )
    return str(made["KeyMetadata"]["Arn"])


def test_a_signature_of_the_pinned_key_holds(aws: Aws) -> None:
    key = new_key(aws)
    signature = KmsSigner(aws, AMBIENT, key).sign(SIGNED)
    assert KmsVerifier(aws, AMBIENT).verify(key, SIGNED, signature) is True


@pytest.mark.parametrize("what", ["other digest", "flipped", "other key", "empty", "too long", "no digest"])
def test_no_other_signature_holds(aws: Aws, what: str) -> None:
    key, other = new_key(aws), new_key(aws)
    signature = KmsSigner(aws, AMBIENT, key).sign(SIGNED)
    flipped = signature[:-1] + bytes([signature[-1] ^ 1])
    cases = {
        "other digest": (key, hashlib.sha256(b"another").digest(), signature),
        "flipped": (key, SIGNED, flipped),
        "other key": (other, SIGNED, signature),
        "empty": (key, SIGNED, b""),
        "too long": (key, SIGNED, b"0" * 7000),
        "no digest": (key, b"short", signature),
    }
    assert KmsVerifier(aws, AMBIENT).verify(*cases[what]) is False


def test_a_pin_that_is_no_key_arn_is_a_fault_of_the_configuration(aws: Aws) -> None:
    for pin in ("", "alias/tidegate-release", "arn:aws:kms:us-east-1:123456789012:alias/tidegate-release"):
        with pytest.raises(ConfigInvalid, match="not the ARN of a KMS key"):
            KmsVerifier(aws, AMBIENT).verify(pin, SIGNED, b"x")


def test_a_key_that_does_not_exist_verifies_nothing(aws: Aws) -> None:
    key = new_key(aws)
    signature = KmsSigner(aws, AMBIENT, key).sign(SIGNED)
    with pytest.raises(NotFound):
        KmsVerifier(aws, AMBIENT).verify(key.rpartition("/")[0] + "/0" * 1, SIGNED, signature)
