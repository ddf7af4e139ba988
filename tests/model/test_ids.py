"""Names are checked where they are made."""

from __future__ import annotations

import pytest
from hypothesis import given

from pipeline.model.canonical import canonical
from pipeline.model.ids import ReleaseName, TargetId, account_id, digest, is_version, stack_name
from tests.model.strategies import release_names, target_ids


@given(release=release_names)
def test_a_release_survives_its_text(release: ReleaseName) -> None:
    assert ReleaseName.parse(str(release)) == release


@given(target=target_ids)
def test_a_target_survives_its_text(target: TargetId) -> None:
    assert TargetId.parse(str(target)) == target


@pytest.mark.parametrize(
    "text",
    ["", "intake", "@1.0.0", "intake@", "intake@1.0", "Intake@1.0.0", "intake@01.0.0", "intake@1.0.0+b"],
)
def test_what_is_not_a_release_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a"):
        ReleaseName.parse(text)


@pytest.mark.parametrize("text", ["", "acme", "acme/", "/us-east-1", "acme/useast1", "acme/us-east-1/x"])
def test_what_is_not_a_target_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a target"):
        TargetId.parse(text)


@pytest.mark.parametrize(
    "text", ["", "12345678901", "1234567890123", "12345678901x", "\N{FULLWIDTH DIGIT ZERO}12345678901"]
)
def test_what_is_not_an_account_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="12-digit"):
        account_id(text)


@pytest.mark.parametrize("text", ["", "sha256:", "a" * 63, "A" * 64, "sha512:" + "a" * 64])
def test_what_is_not_a_digest_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a sha256 digest"):
        digest(text)


def test_names_that_are_good() -> None:
    assert account_id("012345678901") == "012345678901"
    assert digest("a" * 64) == digest("sha256:" + "a" * 64) == "sha256:" + "a" * 64
    assert is_version("1.4.0-rc.1")
    assert stack_name("intake") == "svc-intake"
    assert [TargetId(owner, "us-east-1").is_client for owner in ("acme", "@intake", "~pool-1")] == [
        True,
        False,
        False,
    ]


def test_canonical_json_is_one_text_for_one_value() -> None:
    assert canonical({"b": [1, None, True], "a": "é"}) == b'{"a":"\\u00e9","b":[1,null,true]}'
    with pytest.raises(TypeError, match="float"):
        canonical({"a": [{"b": 0.5}]})
