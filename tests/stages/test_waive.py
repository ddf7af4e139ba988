"""`release waive`: signed, exact, for a while; and what happens to a file that somebody touched."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.decide.provenance import signed_digest
from pipeline.errors import ConfigInvalid, IntegrityBroken, OperationFailed, UsageError
from pipeline.model.ids import ReleaseName, digest
from pipeline.model.waiver import SignedWaiver, Waiver, waiver_bytes
from stages.waive import MAX_LIFE, read_waivers, verify_waivers, waive
from tests.stages.keys import KeyRing, TestKey

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEY = "arn:aws:kms:us-east-1:210987654321:key/22222222-2222-3333-4444-555555555555"
WAIVER = Waiver(
    release=ReleaseName("intake", "1.4.0"),
    client="acme",
    logical_id="Forms",
    physical_id="acme/forms",
    rule="removal",
    reason="acme has left",
    approver="arn:aws:iam::111111111111:user/ann",
    expires=NOW + timedelta(days=7),
)


@pytest.fixture
def key() -> TestKey:
    return TestKey(KEY)


def test_a_waiver_is_signed_written_and_read_again(tmp_path: Path, key: TestKey) -> None:
    path = waive(WAIVER, key, tmp_path / "waivers", NOW)

    (read,) = read_waivers(tmp_path / "waivers", KeyRing(key), KEY)
    assert (read.waiver, read.key) == (WAIVER, KEY)
    assert path.name.startswith("intake@1.4.0-acme-Forms-")
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_the_same_waiver_again_takes_the_place_of_the_first(tmp_path: Path, key: TestKey) -> None:
    assert waive(WAIVER, key, tmp_path, NOW) == waive(WAIVER, key, tmp_path, NOW)
    other = replace(WAIVER, client="", effect=digest("1" * 64), physical_id="*")
    waive(other, key, tmp_path, NOW)

    assert {each.waiver for each in read_waivers(tmp_path, KeyRing(key), KEY)} == {WAIVER, other}


def test_no_folder_is_no_waiver_and_needs_no_key(tmp_path: Path, key: TestKey) -> None:
    assert read_waivers(tmp_path / "waivers", KeyRing(key), "") == ()


def test_waivers_without_a_pinned_key_cannot_be_trusted(tmp_path: Path, key: TestKey) -> None:
    waive(WAIVER, key, tmp_path, NOW)

    with pytest.raises(UsageError):
        read_waivers(tmp_path, KeyRing(key), "")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("client", "globex"),
        ("physical_id", "acme/files"),
        ("rule", "replacement"),
        ("expires", "2099-01-01T00:00:00.000+00:00"),
        ("approver", "bob"),
        ("reason", "none of your business"),
    ],
)
def test_a_waiver_that_was_changed_is_found_out(tmp_path: Path, key: TestKey, field: str, value: str) -> None:
    path = waive(WAIVER, key, tmp_path, NOW)
    document = json.loads(path.read_bytes())
    document["waiver"][field] = value
    path.write_text(json.dumps(document))

    with pytest.raises(IntegrityBroken) as caught:
        read_waivers(tmp_path, KeyRing(key), KEY)
    assert caught.value.exit_code == 7
    assert path.name in caught.value.details[0]


def test_a_waiver_signed_by_another_key_or_by_nobody_is_found_out(tmp_path: Path, key: TestKey) -> None:
    waive(WAIVER, TestKey(KEY), tmp_path, NOW)
    with pytest.raises(IntegrityBroken):
        read_waivers(tmp_path, KeyRing(key), KEY)
    for signature in ("", "AAAA", "not base64"):
        unsigned = SignedWaiver(waiver=WAIVER, key=KEY, signature=signature)
        with pytest.raises(IntegrityBroken):
            verify_waivers((unsigned,), KeyRing(key), KEY)


def test_a_signature_over_the_same_text_as_something_else_is_none(key: TestKey) -> None:
    """The key signs heads of the journal as well: one kind of signature never passes for another."""
    import base64

    as_manifest = key.sign(signed_digest(waiver_bytes(WAIVER)))
    forged = SignedWaiver(waiver=WAIVER, key=KEY, signature=base64.b64encode(as_manifest).decode())

    with pytest.raises(IntegrityBroken):
        verify_waivers((forged,), KeyRing(key), KEY)


def test_every_file_that_is_no_waiver_is_told_at_once(tmp_path: Path, key: TestKey) -> None:
    path = waive(WAIVER, key, tmp_path, NOW)
    document = json.loads(path.read_bytes())
    (tmp_path / "a.json").write_text("{")
    (tmp_path / "b.json").write_text(json.dumps({**document, "surprise": 1}))
    (tmp_path / "c.json").write_text("[" * 100_000)
    (tmp_path / "d.json").write_bytes(b"\xff\xfe")
    (tmp_path / "notes.txt").write_text("is not looked at")

    with pytest.raises(ConfigInvalid) as caught:
        read_waivers(tmp_path, KeyRing(key), KEY)
    assert [line.split(":")[0].split("/")[-1] for line in caught.value.details] == [
        "a.json",
        "b.json",
        "c.json",
        "d.json",
    ]


@pytest.mark.parametrize("life", [timedelta(0), timedelta(days=-1), MAX_LIFE + timedelta(seconds=1)])
def test_a_waiver_lives_for_a_while_and_no_longer(tmp_path: Path, key: TestKey, life: timedelta) -> None:
    with pytest.raises(UsageError):
        waive(replace(WAIVER, expires=NOW + life), key, tmp_path, NOW)
    assert key.signed == 0


@pytest.mark.parametrize("rule", ["unknown", "unreadable", "anything", "property:", "property", "*"])
def test_what_cannot_be_waived_is_not_signed(tmp_path: Path, key: TestKey, rule: str) -> None:
    with pytest.raises(UsageError):
        waive(replace(WAIVER, rule=rule), key, tmp_path, NOW)
    assert (key.signed, list(tmp_path.iterdir())) == (0, [])


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path: Path, key: TestKey) -> None:
    (tmp_path / "waivers").write_text("a file stands in the way")

    with pytest.raises(OperationFailed):
        waive(WAIVER, key, tmp_path / "waivers", NOW)
