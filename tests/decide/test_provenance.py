"""The statement of a release, its envelope, and every way in which it can be broken."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.decide.provenance import (
    PAYLOAD_TYPE,
    envelope_bytes,
    open_manifest,
    signed_digest,
    statement_bytes,
)
from pipeline.errors import IntegrityBroken
from pipeline.model.ids import ReleaseName, digest
from pipeline.model.release import Artifact, BuiltStack, Manifest, Parameter

CODE, TEMPLATE, SPEC = digest("a" * 64), digest("b" * 64), digest("c" * 64)
MANIFEST = Manifest(
    release=ReleaseName("intake", "1.4.0"),
    digest=digest("d" * 64),
    commit="e" * 40,
    dirty=False,
    builder="urn:tidegate:builder:local",
    stacks=(
        BuiltStack(
            role="client",
            template=TEMPLATE,
            unmarked=digest("f" * 64),
            parameters=(Parameter(name="Client", type="String", default=None),),
            functions=(("Form", CODE),),
            resource_types=(("Form", "AWS::Lambda::Function"),),
        ),
    ),
    artifacts=(
        Artifact(digest=CODE, content=digest("1" * 64), size=3, purpose="client.yaml#Form.Code"),
        Artifact(digest=TEMPLATE, content=TEMPLATE, size=4, purpose="template:client"),
        Artifact(digest=SPEC, content=SPEC, size=5, purpose="spec"),
    ),
    inputs=(("client.yaml", "2" * 64),),
    spec=SPEC,
)


def sign(signed: bytes, key: bytes = b"pinned") -> bytes:
    """Stands for a signature: only who knows the key can make it."""
    return hashlib.sha256(key + signed).digest()


def check(signed: bytes, signature: bytes) -> bool:
    return signature == sign(signed)


def sealed(payload: bytes, key: bytes = b"pinned") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(envelope_bytes(payload, "pinned", sign(signed_digest(payload), key)))
    return found


def opened(envelope: dict[str, Any]) -> Manifest:
    return open_manifest(json.dumps(envelope).encode(), check, MANIFEST.release)


def test_a_manifest_comes_back_from_its_envelope_as_it_was() -> None:
    assert opened(sealed(statement_bytes(MANIFEST))) == MANIFEST


def test_the_statement_is_in_toto_v1_with_slsa_v1_provenance() -> None:
    statement = json.loads(statement_bytes(MANIFEST))
    definition = statement["predicate"]["buildDefinition"]
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    assert statement["subject"] == [
        {"name": "client.yaml#Form.Code", "digest": {"sha256": "a" * 64}},
        {"name": "template:client", "digest": {"sha256": "b" * 64}},
        {"name": "spec", "digest": {"sha256": "c" * 64}},
    ]
    assert definition["buildType"] == "urn:tidegate:build:1"
    assert definition["externalParameters"] == {"service": "intake", "version": "1.4.0", "spec": SPEC}
    assert definition["resolvedDependencies"] == [
        {"name": "source", "digest": {"gitCommit": "e" * 40}, "annotations": {"uncommittedChanges": False}},
        {"name": "client.yaml", "digest": {"sha256": "2" * 64}},
    ]
    assert statement["predicate"]["runDetails"] == {"builder": {"id": "urn:tidegate:builder:local"}}


def test_what_is_signed_is_dsse_s_pre_authentication_encoding() -> None:
    # The example of the DSSE specification, "DSSEv1 29 http://example.com/HelloWorld 11 hello world".
    encoded = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert signed_digest(b"hello world", "http://example.com/HelloWorld") == hashlib.sha256(encoded).digest()


def test_the_envelope_is_canonical_and_names_its_key_for_people() -> None:
    assert json.loads(envelope_bytes(b"{}", "arn:key", b"\x01")) == {
        "payload": "e30=",
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"keyid": "arn:key", "sig": "AQ=="}],
    }


def damaged() -> dict[str, bytes]:
    payload = statement_bytes(MANIFEST)
    good = sealed(payload)
    whole = json.dumps(good).encode()
    other = statement_bytes(replace(MANIFEST, digest=digest("9" * 64)))
    encoded = base64.b64encode(other).decode()
    statement = json.loads(payload)
    statement["subject"][0]["digest"]["sha256"] = "9" * 64
    contradicting = json.dumps(statement, sort_keys=True, separators=(",", ":")).encode()
    spaced = json.dumps(json.loads(payload), sort_keys=True).encode()
    cases: dict[str, Any] = {
        "truncated": whole[:-20],
        "empty": b"",
        "not utf-8": b"\xff" + whole,
        "no object": b"[]",
        "deeply nested": b"[" * 100_000,
        "payload swapped": {**good, "payload": encoded},
        "signature swapped": {**good, "signatures": sealed(other)["signatures"]},
        "unsigned": {**good, "signatures": []},
        "signature missing": {**good, "signatures": [{"keyid": "pinned"}]},
        "signature empty": {**good, "signatures": [{"keyid": "pinned", "sig": ""}]},
        "signatures no list": {**good, "signatures": {"sig": "x"}},
        "too many signatures": {**good, "signatures": good["signatures"] * 11},
        "signed by another key": sealed(payload, b"another"),
        "another payload type": {**good, "payloadType": "application/json"},
        "unknown field": {**good, "key": "x"},
        "payload missing": {"payloadType": PAYLOAD_TYPE, "signatures": good["signatures"]},
        "payload no base64": {**good, "payload": "§§§"},
        "payload a number": {**good, "payload": 5},
        "statement of another kind": sealed(b'{"_type": "x"}'),
        "statement no JSON": sealed(b"hello"),
        "subject contradicts the manifest": sealed(contradicting),
        "statement not canonical": sealed(spaced),
        "another release": sealed(statement_bytes(replace(MANIFEST, release=ReleaseName("intake", "1.5.0")))),
        "another service": sealed(statement_bytes(replace(MANIFEST, release=ReleaseName("notify", "1.4.0")))),
    }
    return {
        name: case if isinstance(case, bytes) else json.dumps(case).encode() for name, case in cases.items()
    }


DAMAGED = damaged()


@pytest.mark.parametrize("name", DAMAGED)
def test_a_manifest_that_is_damaged_swapped_or_unsigned_is_refused_with_exit_7(name: str) -> None:
    with pytest.raises(IntegrityBroken, match=r"the manifest of intake@1.4.0 cannot be trusted") as caught:
        open_manifest(DAMAGED[name], check, MANIFEST.release)
    assert (caught.value.exit_code, caught.value.state) == (7, "nothing was touched")


def test_the_key_that_an_envelope_names_is_never_believed() -> None:
    envelope = sealed(statement_bytes(MANIFEST), b"another")
    envelope["signatures"][0]["keyid"] = "pinned"
    with pytest.raises(IntegrityBroken, match="no signature on it was made by the pinned release key"):
        opened(envelope)


def read_or_refused(envelope: bytes) -> Manifest | None:
    try:
        return open_manifest(envelope, check, MANIFEST.release)
    except IntegrityBroken:
        return None


@given(st.data())
def test_no_flipped_bit_of_an_envelope_changes_what_is_read(data: st.DataObject) -> None:
    """Either it is refused, or (a bit of the keyid, which nobody believes) the manifest is the same."""
    payload = statement_bytes(MANIFEST)
    whole = bytearray(envelope_bytes(payload, "k", sign(signed_digest(payload))))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= 1 << data.draw(st.integers(0, 7))
    assert read_or_refused(bytes(whole)) in (None, MANIFEST)
