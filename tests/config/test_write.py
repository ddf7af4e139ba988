"""Values are written into fleet.toml without touching anything that stands around them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.config import load_fleet, set_value
from pipeline.errors import ConfigInvalid, NotFound, OperationFailed

FLEET = """\
# The fleet.   Keep it sorted.

[accounts]
email = "qa@example.com"   # ours

[[service]]
name    = "intake"         # the first
regions = ["us-east-1"]

[[client]]
name = "acme"
account = "" # filled in by bootstrap
regions = [
  "us-east-1",   # primary
  "eu-west-1",
]

[[client]]
name = "birch"
regions = ["us-east-1"]
"""


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    path = tmp_path / "fleet.toml"
    path.write_text(FLEET)
    return path


def test_an_account_id_is_put_into_its_client_and_all_else_stays(fleet: Path) -> None:
    set_value(fleet, "client", ("name", "acme"), "account", "012345670123")
    assert fleet.read_text() == FLEET.replace('account = "" #', 'account = "012345670123" #')
    assert [c.account for c in load_fleet(fleet).clients] == ["012345670123", None]


def test_a_key_that_was_not_there_is_added_to_the_entry_alone(fleet: Path) -> None:
    set_value(fleet, "service", ("name", "intake"), "account", "210987654321")
    changed = FLEET.replace(
        'regions = ["us-east-1"]\n\n[[client]]\nname = "acme"',
        'regions = ["us-east-1"]\naccount = "210987654321"\n\n[[client]]\nname = "acme"',
    )
    assert fleet.read_text() == changed


def test_a_table_that_was_not_there_is_made_at_the_end(fleet: Path) -> None:
    set_value(fleet, "tools", None, "management", "111122223333")
    set_value(fleet, "tools", None, "region", "eu-west-1")
    assert fleet.read_text() == FLEET + '\n[tools]\nmanagement = "111122223333"\nregion = "eu-west-1"\n'
    assert load_fleet(fleet).tools.management == "111122223333"


def test_writing_what_stands_there_already_leaves_the_file_alone(fleet: Path) -> None:
    before = fleet.stat().st_mtime_ns, fleet.stat().st_ino
    set_value(fleet, "accounts", None, "email", "qa@example.com")
    assert (fleet.stat().st_mtime_ns, fleet.stat().st_ino) == before


def test_the_permissions_of_the_file_survive_and_nothing_is_left_beside_it(fleet: Path) -> None:
    fleet.chmod(0o640)
    set_value(fleet, "tools", None, "account", "444455556666")
    assert fleet.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in fleet.parent.iterdir()] == ["fleet.toml"]


def test_windows_line_ends_and_byte_order_mark_survive(tmp_path: Path) -> None:
    path = tmp_path / "fleet.toml"
    path.write_bytes(
        b'\xef\xbb\xbf[accounts]\r\nemail = "qa@example.com"\r\n[tools]\r\nregion = "us-east-1"\r\n'
    )
    set_value(path, "tools", None, "region", "eu-west-1")
    assert path.read_bytes() == (
        b'\xef\xbb\xbf[accounts]\r\nemail = "qa@example.com"\r\n[tools]\r\nregion = "eu-west-1"\r\n'
    )


def test_a_symlinked_file_is_written_where_it_really_is(fleet: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "fleet.toml"
    link.symlink_to(fleet)
    set_value(link, "tools", None, "account", "444455556666")
    assert link.is_symlink()
    assert load_fleet(fleet).tools.account == "444455556666"


def test_an_unknown_entry_or_a_broken_file_changes_nothing(fleet: Path) -> None:
    with pytest.raises(NotFound):
        set_value(fleet, "client", ("name", "nobody"), "account", "012345670123")
    with pytest.raises(ConfigInvalid):
        set_value(fleet, "client", None, "account", "012345670123")
    assert fleet.read_text() == FLEET
    fleet.write_text("[accounts\n")
    with pytest.raises(ConfigInvalid):
        set_value(fleet, "tools", None, "account", "012345670123")
    assert fleet.read_text() == "[accounts\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_reported_and_the_file_stays(fleet: Path) -> None:
    fleet.parent.chmod(0o555)
    try:
        with pytest.raises(OperationFailed):
            set_value(fleet, "tools", None, "account", "012345670123")
    finally:
        fleet.parent.chmod(0o755)
    assert fleet.read_text() == FLEET
