"""`release test`: leased accounts, the real plugin, real xdist workers, and evidence without which nothing goes out."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable

import pytest

from tests.acceptance.company import Company, Service

pytestmark = [pytest.mark.local_aws, pytest.mark.processes, pytest.mark.xdist_group("acceptance-accounts")]

NewService = Callable[..., Service]
TESTS = """\
import os
import time

import pytest


@pytest.mark.parametrize("number", range(4))
def test_the_function_answers(number, record_property, tidegate_session, tidegate_account, tidegate_outputs):
    caller = tidegate_session.client("sts").get_caller_identity()
    assert caller["Account"] == tidegate_account
    record_property("worker", os.environ["PYTEST_XDIST_WORKER"])
    record_property("account", tidegate_account)
    record_property("mark", tidegate_outputs["TidegateRelease"].split(" ")[0])
    time.sleep(0.3)
"""


def test_each_worker_holds_its_own_account_and_all_of_them_come_back_clean(
    company: Company, service: NewService
) -> None:
    lamp = service()
    lamp.add_tests(TESTS)
    release = lamp.built("1.0.0")
    company.release("promote", release, code=8)
    tested = company.start("test", release, "--accounts", "2", "--json").answer(0)

    evidence = tested.json["evidence"]
    assert (evidence["release"], evidence["passed"], evidence["failed"]) == (release, 4, 0)
    assert len(set(evidence["accounts"])) == 2
    cases = _cases(evidence["junit"])
    assert {case["mark"] for case in cases} == {release}
    held = {(case["worker"], case["account"]) for case in cases}
    assert {worker for worker, _ in held} == {"gw0", "gw1"}
    assert {account for _, account in held} == set(evidence["accounts"])
    assert len(held) == 2

    rows = company.store().registry.rows("test")
    assert {row.state for row in rows if row.account in evidence["accounts"]} == {"Ready"}
    assert all(re.fullmatch(r"qa\+\d{8}-\d{3}@example\.com", row.email) for row in rows)
    for account in evidence["accounts"]:
        inside = company.front.client(company.front.assume(account), "cloudformation")
        stacks = inside.list_stacks()["StackSummaries"]
        left = {s["StackName"] for s in stacks if s["StackStatus"] != "DELETE_COMPLETE"}
        assert [name for name in left if name.startswith("svc-")] == []

    company.release("promote", release, "--until", "done")
    assert lamp.touched() == dict.fromkeys(lamp.targets(), 1)

    again = company.start("test", release, "--accounts", "1", "--json").answer(0)
    assert set(again.json["evidence"]["accounts"]) <= set(evidence["accounts"]), (
        "the pool's accounts are used again"
    )


def test_failing_tests_are_evidence_too_and_the_accounts_come_back(
    company: Company, service: NewService
) -> None:
    lamp = service()
    lamp.add_tests("def test_it_works(tidegate_account):\n    assert tidegate_account == 'nobody'\n")
    release = lamp.built("1.0.0")
    failed = company.start("test", release, "--accounts", "1").answer(1)
    assert "0 passed, 1 failed" in failed.err
    assert {row.state for row in company.store().registry.rows("test")} == {"Ready"}
    refused = company.release("promote", release, code=8)
    assert "1 failed, 0 passed" in refused.err
    assert [lamp.events(target) for target in lamp.targets()] == [[]] * 5


def test_a_release_that_cannot_be_deployed_is_not_proven(company: Company, service: NewService) -> None:
    lamp = service()
    lamp.add_tests(TESTS)
    release = lamp.built("1.0.0", broken_at=["*"])
    failed = company.start("test", release, "--accounts", "1").answer(1)
    assert "failed its tests" in failed.err
    assert {row.state for row in company.store().registry.rows("test")} == {"Ready"}
    company.release("promote", release, code=8)


def _cases(junit: str) -> list[dict[str, str]]:
    found = []
    for case in ET.parse(junit).getroot().iter("testcase"):
        found.append({p.attrib["name"]: p.attrib["value"] for p in case.iter("property")})
    return found
