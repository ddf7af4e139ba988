"""Starting, finding and ending a local AWS."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.adapters.local.front import process
from pipeline.errors import LocalAwsFailed
from tests.local_aws import Front, error_of

pytestmark = pytest.mark.local_aws


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "home"
    yield place
    process.down(place)


def _listening(pid: int) -> set[str]:
    """Local addresses (hex, as in /proc/net/tcp) on which the process listens."""
    sockets = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        target = str(entry.readlink())
        if target.startswith("socket:["):
            sockets.add(target[8:-1])
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in sockets:
                found.add(fields[1])
    return found


def test_starting_twice_finds_the_first(home: Path) -> None:
    first = process.up(home)
    assert process.up(home) == first
    assert process.status(home) == first
    with pytest.raises(LocalAwsFailed):
        process.up(home, first.port + 1)


def test_it_starts_quickly(home: Path) -> None:
    process.up(home)
    process.down(home)
    started = time.monotonic()
    process.up(home)
    # 0.3 s on an idle machine; the bar is wide because tests share processors.
    assert time.monotonic() - started < 10


@pytest.mark.skipif(not Path("/proc/self/net/tcp").exists(), reason="needs Linux's /proc")
def test_it_listens_on_the_loopback_address_only(home: Path) -> None:
    running = process.up(home)
    assert _listening(running.pid) == {f"0100007F:{running.port:04X}"}


def test_secrets_are_for_their_owner_only(home: Path) -> None:
    process.up(home)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "credentials.json").stat().st_mode) == 0o600
    secret = json.loads((home / "credentials.json").read_text())["secret_access_key"]
    assert secret not in (home / "front.log").read_text()


def test_everything_is_there_again_after_a_restart(home: Path) -> None:
    front = Front(home=home, running=process.up(home))
    before = process.environment(home)
    account = front.create_account("kept")
    session = front.assume(account)
    s3 = front.client(session, "s3")
    s3.create_bucket(Bucket=f"kept-{account}")
    s3.put_object(Bucket=f"kept-{account}", Key="a", Body=b"kept")
    template = {"Resources": {"T": {"Type": "AWS::SNS::Topic"}}}
    front.client(session, "cloudformation").create_stack(StackName="kept", TemplateBody=json.dumps(template))
    assert process.down(home) is True
    assert process.status(home) is None

    again = Front(home=home, running=process.up(home))
    assert process.environment(home) == before
    session = again.assume(account)
    found = again.client(session, "s3").get_object(Bucket=f"kept-{account}", Key="a")["Body"].read()
    stack = again.client(session, "cloudformation").describe_stacks(StackName="kept")["Stacks"][0]
    assert (found, stack["StackStatus"]) == (b"kept", "CREATE_COMPLETE")
    organizations = again.client(again.admin(), "organizations")
    assert [found["Name"] for found in organizations.list_accounts()["Accounts"]] == ["management", "kept"]


def test_accounts_can_still_be_entered_after_the_process_was_killed(home: Path) -> None:
    front = Front(home=home, running=process.up(home))
    account = front.create_account("survivor")
    os.kill(front.running.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while process.status(home) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    again = Front(home=home, running=process.up(home))
    assert error_of(again.assume, account) == "OK"


def test_a_process_that_only_has_the_same_number_is_never_ended(home: Path) -> None:
    running = process.up(home)
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        kept = json.loads((home / "running.json").read_text())
        (home / "running.json").write_text(json.dumps({**kept, "pid": bystander.pid}))
        assert process.status(home) is None
        assert process.down(home) is False
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()
        os.kill(running.pid, signal.SIGTERM)
        os.waitpid(running.pid, 0)


def test_there_is_no_environment_while_nothing_runs(home: Path) -> None:
    with pytest.raises(LocalAwsFailed) as caught:
        process.environment(home)
    assert caught.value.remedy == "release local up"
    assert process.down(home) is False


def test_the_callers_own_aws_settings_do_not_reach_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = process.up(home)
    own = process.environment(home)
    process.down(home)
    # The worst case: the admin's key in the environment would be root for ministack.
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, own[name])
    monkeypatch.setenv("MINISTACK_ACCOUNT_ID", "123456789012")
    front = Front(home=home, running=process.up(home))
    identity = front.client(front.admin(), "sts").get_caller_identity()
    assert identity["Arn"].endswith(":user/admin")
    assert front.running.port == first.port
