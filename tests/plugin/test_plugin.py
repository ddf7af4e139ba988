"""The pytest plugin in real pytest processes: one account for each worker, and nothing where nobody asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from datetime import timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pipeline.adapters.local.clock import SystemClock
from pipeline.adapters.local.processes import holder_name
from pipeline.adapters.local.store import open_store
from pipeline.errors import TestsFailed as ProofFailed
from stages.integration import IntegrationRun, Outcome, TestAccount, run_integration_tests

pytestmark = pytest.mark.processes

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": ""}


@pytest.fixture(autouse=True)
def _imports_this_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTEST_ADDOPTS", "")
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)


def account(number: int) -> TestAccount:
    return TestAccount(
        name=f"test-20260516-{number:03d}",
        account=f"{number:012d}",
        region="eu-west-1",
        role=f"arn:aws:iam::{number:012d}:role/TidegateTester",
        external_id="secret-external-id",
        outputs=(("Url", f"https://{number}.example.com"),),
    )


def a_run(
    folder: Path, tests: str, accounts: int = 1, said: list[str] | None = None, **more: object
) -> IntegrationRun:
    place = folder / "service" / "tests"
    place.mkdir(parents=True)
    (place / "test_it.py").write_text(textwrap.dedent(tests), encoding="utf-8")
    lines: list[str] = [] if said is None else said
    limit = more.get("limit", timedelta(minutes=2))
    assert isinstance(limit, timedelta)
    return IntegrationRun(
        release="intake@1.0.0",
        folder=folder / "service",
        tests="tests",
        accounts=tuple(account(n + 1) for n in range(accounts)),
        via="arn:aws:iam::222222222222:role/TidegateTest",
        state=folder / "state.db",
        junit=folder / "evidence" / "junit.xml",
        limit=limit,
        said=lines.append,
    )


# --- workers and accounts ----------------------------------------------------------------------------


def test_every_worker_holds_an_account_of_its_own(tmp_path: Path) -> None:
    run = a_run(
        tmp_path,
        """
        import os, pathlib, time
        import pytest

        @pytest.mark.parametrize("number", range(6))
        def test_note(number, tidegate_account):
            folder = pathlib.Path(__file__).parent
            worker = os.environ["PYTEST_XDIST_WORKER"]
            (folder / f"{worker}-{tidegate_account}-{number}.seen").touch()
            time.sleep(0.3)
        """,
        accounts=3,
    )

    assert run_integration_tests(run) == Outcome(passed=6, failed=0, skipped=0)
    seen = {tuple(path.name.split("-")[:2]) for path in (run.folder / "tests").glob("*.seen")}
    assert len({worker for worker, _ in seen}) == len({held for _, held in seen}) == len(seen) == 3


def test_the_fixtures_give_the_account_its_region_and_its_outputs(tmp_path: Path) -> None:
    run = a_run(
        tmp_path,
        """
        def test_values(tidegate_account, tidegate_region, tidegate_outputs):
            assert tidegate_account == "000000000001"
            assert tidegate_region == "eu-west-1"
            assert tidegate_outputs == {"Url": "https://1.example.com"}
        """,
    )

    assert run_integration_tests(run) == Outcome(passed=1, failed=0, skipped=0)


def test_the_lease_is_held_while_the_worker_runs_and_given_back_afterwards(tmp_path: Path) -> None:
    run = a_run(
        tmp_path,
        """
        import os
        from datetime import timedelta
        from pathlib import Path
        import pytest
        from pipeline.adapters.local.clock import SystemClock
        from pipeline.adapters.local.store import open_store
        from pipeline.errors import LeaseHeld

        def test_held(tidegate_account):
            state = Path(__file__).parents[2] / "state.db"
            leases = open_store(state, SystemClock()).leases
            lease = leases.current("worker-account/000000000001")
            assert f":{os.getpid()}:" in lease.holder
            with pytest.raises(LeaseHeld):
                leases.take("worker-account/000000000001", "somebody else", timedelta(seconds=5))
        """,
    )

    assert run_integration_tests(run) == Outcome(passed=1, failed=0, skipped=0)
    leases = open_store(run.state, SystemClock()).leases
    assert leases.take("worker-account/000000000001", "next", timedelta(seconds=5)).fence == 2


def test_a_worker_takes_over_from_one_that_crashed_and_the_crash_is_a_failure(tmp_path: Path) -> None:
    run = a_run(
        tmp_path,
        """
        import os

        def test_crash(tidegate_account):
            os._exit(3)

        def test_after(tidegate_account):
            assert tidegate_account == "000000000001"
        """,
    )

    assert run_integration_tests(run) == Outcome(passed=1, failed=1, skipped=0)


def test_a_worker_without_an_account_fails_loudly(tmp_path: Path) -> None:
    run = a_run(
        tmp_path,
        """
        import pipeline.pytest_plugin as plugin

        plugin._PATIENCE_SECONDS = 0.5

        def test_needs_one(tidegate_account):
            raise AssertionError("never reached")
        """,
        said=(said := []),
    )
    # Another living process holds the only account.
    store = open_store(run.state, SystemClock())
    store.leases.take("worker-account/000000000001", holder_name(), timedelta(minutes=5))
    outcome = run_integration_tests(run)

    assert outcome == Outcome(passed=0, failed=1, skipped=0)
    assert any("no test account is free for this worker: all 1 are held" in line for line in said)


# --- outcomes ----------------------------------------------------------------------------------------


def test_each_test_is_counted_once_whatever_fails_in_it(tmp_path: Path) -> None:
    run = a_run(
        tmp_path,
        """
        import pytest

        @pytest.fixture
        def broken():
            raise RuntimeError("set-up")

        @pytest.fixture
        def untidy():
            yield
            raise RuntimeError("tear-down")

        def test_good(): pass
        def test_bad(): assert False
        def test_set_up(broken): pass
        def test_tear_down(untidy): pass
        @pytest.mark.skip
        def test_skipped(): pass
        @pytest.mark.xfail
        def test_expected_to_fail(): assert False
        """,
        accounts=2,
    )

    assert run_integration_tests(run) == Outcome(passed=1, failed=3, skipped=2)


def test_a_file_that_cannot_be_read_is_a_failure(tmp_path: Path) -> None:
    outcome = run_integration_tests(a_run(tmp_path, "import nothing_of_that_name\n"))

    assert outcome.passed == 0
    assert outcome.failed >= 1


def test_no_tests_at_all_are_no_proof(tmp_path: Path) -> None:
    assert run_integration_tests(a_run(tmp_path, "")) == Outcome(
        passed=0, failed=0, skipped=0, problem="no test was run"
    )


def test_a_missing_folder_is_said_before_anything_runs(tmp_path: Path) -> None:
    run = a_run(tmp_path, "")
    (run.folder / "tests" / "test_it.py").unlink()
    (run.folder / "tests").rmdir()

    with pytest.raises(ProofFailed, match="has no integration tests at tests"):
        run_integration_tests(run)


def test_a_run_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    run = a_run(
        tmp_path,
        """
        import time

        def test_for_ever():
            time.sleep(600)
        """,
        limit=timedelta(seconds=4),
    )
    outcome = run_integration_tests(run)

    assert (outcome.passed, outcome.problem != "") == (0, True)


def test_the_junit_report_lists_the_tests_and_nothing_is_written_beside_the_sources(tmp_path: Path) -> None:
    run = a_run(tmp_path, "def test_good(): pass\ndef test_bad(): assert False\n")
    run_integration_tests(run)
    cases = ElementTree.parse(run.junit).getroot().iter("testcase")

    assert sorted(str(case.get("name")) for case in cases) == ["test_bad", "test_good"]
    assert not (run.folder / ".pytest_cache").exists()


def test_no_secret_is_printed_and_no_secret_stays_on_disk(tmp_path: Path) -> None:
    said: list[str] = []
    run = a_run(
        tmp_path,
        """
        import json, os, stat

        def test_file():
            path = os.environ["TIDEGATE_TEST_RUN"]
            assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
            print("FILE", path)
            assert False

        def test_account(tidegate_account):
            assert False
        """,
        said=said,
    )
    run_integration_tests(run)
    path = next(Path(line.split()[1]) for line in said if line.startswith("FILE "))

    assert "secret-external-id" not in "\n".join(said)
    assert not path.exists()


# --- for everybody else --------------------------------------------------------------------------------


def test_without_the_variable_the_plugin_does_nothing_and_imports_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "test_plain.py").write_text(
        textwrap.dedent(
            """
            import sys

            def test_plain(request):
                heavy = ("boto3", "botocore", "pydantic", "typer", "pipeline.compose", "pipeline.adapters")
                assert [name for name in heavy if name in sys.modules] == []
                assert not request.config.pluginmanager.has_plugin("tidegate-tally")
                assert not request.config.pluginmanager.has_plugin("tidegate-guard")
            """
        ),
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:tidegate", "-p", "pipeline.pytest_plugin"]
    # Other installed plugins may import what they like.
    alone = {**ENVIRONMENT, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    alone.pop("TIDEGATE_TEST_RUN", None)
    done = subprocess.run(command, cwd=tmp_path, env=alone, capture_output=True, text=True, check=False)

    assert (done.returncode, "1 passed" in done.stdout) == (0, True), done.stdout


def test_a_test_that_needs_an_account_says_how_to_get_one(tmp_path: Path) -> None:
    (tmp_path / "test_needy.py").write_text("def test_needy(tidegate_account): pass\n", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:tidegate", "-p", "pipeline.pytest_plugin"]
    alone = {**ENVIRONMENT, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    alone.pop("TIDEGATE_TEST_RUN", None)
    done = subprocess.run(command, cwd=tmp_path, env=alone, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "these tests need a test account; run them with: release test RELEASE" in done.stdout


def test_the_run_file_names_everything_a_worker_needs_and_no_credentials(tmp_path: Path) -> None:
    copy = tmp_path / "copy.json"
    run = a_run(
        tmp_path,
        f"""
        import os, shutil

        def test_copy():
            shutil.copy(os.environ["TIDEGATE_TEST_RUN"], {str(copy)!r})
        """,
    )
    run_integration_tests(run)
    document = json.loads(copy.read_text(encoding="utf-8"))

    assert document["accounts"] == [
        {
            "name": "test-20260516-001",
            "account": "000000000001",
            "region": "eu-west-1",
            "role": "arn:aws:iam::000000000001:role/TidegateTester",
            "external_id": "secret-external-id",
            "outputs": {"Url": "https://1.example.com"},
        }
    ]
    assert sorted(document) == ["accounts", "format_version", "release", "results", "state", "via"]
