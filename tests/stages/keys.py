"""An ECDSA P-256 key in this process: what KMS does, for tests. Signatures are random here, too."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

__all__ = ["KeyRing", "TestKey"]

_ALGORITHM = ec.ECDSA(utils.Prehashed(hashes.SHA256()))


class TestKey:
    """ports.Signer"""

    __test__ = False

    def __init__(self, key: str) -> None:
        self.key = key
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.signed = 0

    def sign(self, sha256: bytes) -> bytes:
        self.signed += 1
        return self.private.sign(sha256, _ALGORITHM)


class KeyRing:
    """ports.Verifier: verifies with the key of the name it is asked for, and with no other."""

    def __init__(self, *keys: TestKey) -> None:
        self.keys = {key.key: key for key in keys}

    def verify(self, key: str, sha256: bytes, signature: bytes) -> bool:
        try:
            self.keys[key].private.public_key().verify(signature, sha256, _ALGORITHM)
        except InvalidSignature:
            return False
        return True
