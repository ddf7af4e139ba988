"""Floor 3, adapters: signatures of manifests by an asymmetric KMS key (ECC_NIST_P256, SIGN_VERIFY).

The private key never leaves KMS; verifying asks KMS, too, with the key's ARN as pinned in configuration. It must
never take a key's name from what it verifies.

Source: KMS API reference, Sign and Verify: MessageType DIGEST, SigningAlgorithm ECDSA_SHA_256, signatures in DER;
Verify answers a bad signature with KMSInvalidSignatureException.
"""

from __future__ import annotations

import re

from pipeline.adapters.aws.faults import AwsRefused
from pipeline.adapters.aws.session import Aws, Identity
from pipeline.errors import ConfigInvalid, WrongAccount

__all__ = ["KmsSigner", "KmsVerifier"]

ALGORITHM = "ECDSA_SHA_256"
_KEY = re.compile(r"arn:aws[a-z-]*:kms:([a-z0-9-]+):([0-9]{12}):key/[A-Za-z0-9-]+")
MAX_SIGNATURE_BYTES = 6144
"""KMS takes no longer one; a P-256 signature in DER has at most 72 bytes."""


def _region(key: str) -> str:
    found = _KEY.fullmatch(key)
    if found is None:
        raise ConfigInvalid(
            f"release_key {key!r} is not the ARN of a KMS key",
            state="nothing was signed or trusted",
            remedy="write arn:aws:kms:REGION:ACCOUNT:key/ID in fleet.toml, [tools] release_key; "
            "release bootstrap tools writes it",
        )
    return found[1]


class KmsSigner:
    """The port `Signer`. key: the ARN that is pinned in configuration."""

    def __init__(self, aws: Aws, identity: Identity, key: str) -> None:
        self._aws = aws
        self._identity = identity
        self.key = key
        self._region = _region(key)

    def sign(self, sha256: bytes) -> bytes:
        answer = self._aws.call(
            self._identity,
            "kms",
            self._region,
            "sign",
            KeyId=self.key,
            Message=sha256,
            MessageType="DIGEST",
            SigningAlgorithm=ALGORITHM,
        )
        _check_key(self.key, str(answer.get("KeyId", "")))
        return bytes(answer["Signature"])


class KmsVerifier:
    """The port `Verifier`."""

    def __init__(self, aws: Aws, identity: Identity) -> None:
        self._aws = aws
        self._identity = identity

    def verify(self, key: str, sha256: bytes, signature: bytes) -> bool:
        region = _region(key)
        if not 0 < len(signature) <= MAX_SIGNATURE_BYTES or len(sha256) != 32:
            return False
        try:
            answer = self._aws.call(
                self._identity,
                "kms",
                region,
                "verify",
                KeyId=key,
                Message=sha256,
                MessageType="DIGEST",
                SigningAlgorithm=ALGORITHM,
                Signature=signature,
            )
        except AwsRefused as refusal:
            if refusal.aws_code == "KMSInvalidSignatureException":
                return False
            raise
        _check_key(key, str(answer.get("KeyId", "")))
        return answer.get("SignatureValid") is True


def _check_key(wanted: str, answered: str) -> None:
    if answered != wanted:
        raise WrongAccount(
            "KMS answered for another key than the pinned one",
            state="nothing was signed or trusted",
            remedy="check the endpoint this machine talks to (AWS_ENDPOINT_URL) and [tools] release_key",
        )
