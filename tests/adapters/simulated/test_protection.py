"""A simulated stack once it is protected: what CloudFormation refuses then, and what it lets a rollback do."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pipeline.adapters.simulated.clock import START, SimulatedClock
from pipeline.adapters.simulated.cloud import SimulatedCloud
from pipeline.adapters.simulated.faults import Fault, FaultKind
from pipeline.adapters.simulated.protection import SimulatedProtection
from pipeline.adapters.simulated.stack import ScriptedRelease
from pipeline.errors import AnswerLost, NotFound, RequestRefused
from pipeline.model.canonical import sha256_hex
from pipeline.model.ids import AccountId, Digest, digest
from pipeline.model.plan import Deployable
from pipeline.model.stack import Mark, StackStatus
from pipeline.ports import ChangeSetRequest, Place

ACME = Place(AccountId("012345670001"), "us-east-1")
STACK = "svc-intake"
FORM = ("Form", "AWS::Lambda::Function")
FORMS, FILES = ("Forms", "AWS::DynamoDB::Table"), ("Files", "AWS::S3::Bucket")
S = StackStatus


def _digest(text: str) -> Digest:
    return digest(sha256_hex(text.encode()))


def _release(cloud: SimulatedCloud, version: str, *resources: tuple[str, str]) -> Deployable:
    deployable = Deployable(
        release=f"intake@{version}",
        digest=_digest(f"release {version}"),
        commit="c" * 40,
        template=_digest(f"template {version}"),
    )
    mark = Mark(release=deployable.release, digest=deployable.digest, commit=deployable.commit)
    cloud.release(
        ScriptedRelease(
            template=deployable.template,
            mark=mark.text(),
            resources=(FORM, *resources),
            retained=tuple(name for name, _ in resources),
        )
    )
    return deployable


@pytest.fixture
def cloud() -> SimulatedCloud:
    return SimulatedCloud(SimulatedClock(START))


def deploy(cloud: SimulatedCloud, deployable: Deployable) -> StackStatus:
    there = cloud.stacks.describe(ACME, STACK)
    name = "tg-" + _digest(f"{cloud.clock.now()}").removeprefix("sha256:")[:32]
    request = ChangeSetRequest(
        stack=STACK,
        name=name,
        token=name.removeprefix("tg-"),
        creating=there is None,
        template=deployable.template,
        parameters=(),
        tags=(),
    )
    arn, stack_id = cloud.stacks.create_change_set(ACME, request)
    cloud.clock.sleep(timedelta(minutes=5))
    cloud.stacks.execute_change_set(ACME, stack_id, arn, request.token)
    cloud.clock.sleep(timedelta(hours=2))
    snapshot = cloud.stacks.describe(ACME, STACK)
    assert snapshot is not None
    return snapshot.status


def test_a_protected_table_cannot_be_removed_even_where_the_guard_is_not_asked(cloud: SimulatedCloud) -> None:
    first, without = _release(cloud, "1.0.0", FORMS), _release(cloud, "1.1.0")
    assert deploy(cloud, first) is S.CREATE_COMPLETE
    SimulatedProtection(cloud).protect(ACME, STACK)

    assert deploy(cloud, without) is S.UPDATE_ROLLBACK_COMPLETE
    assert cloud.runs(ACME, STACK) == "intake@1.0.0"


def test_what_a_release_added_can_be_let_go_of_until_the_next_release_stands(cloud: SimulatedCloud) -> None:
    first, second = _release(cloud, "1.0.0", FORMS), _release(cloud, "1.1.0", FORMS, FILES)
    third = _release(cloud, "1.2.0", FORMS, FILES, ("Keys", "AWS::KMS::Key"))
    protection = SimulatedProtection(cloud)
    deploy(cloud, first)
    protection.protect(ACME, STACK)
    deploy(cloud, second)
    protection.protect(ACME, STACK, frozenset({"Files"}))

    assert deploy(cloud, first) is S.UPDATE_COMPLETE

    deploy(cloud, third)
    protection.protect(ACME, STACK, frozenset({"Keys"}))
    assert deploy(cloud, second) is S.UPDATE_COMPLETE
    assert deploy(cloud, first) is S.UPDATE_ROLLBACK_COMPLETE


def test_a_protected_stack_cannot_be_deleted(cloud: SimulatedCloud) -> None:
    deploy(cloud, _release(cloud, "1.0.0", FORMS))
    SimulatedProtection(cloud).protect(ACME, STACK)

    with pytest.raises(RequestRefused, match="TerminationProtection"):
        cloud.deleted_by_hand(ACME, STACK)


def test_protecting_twice_writes_once(cloud: SimulatedCloud) -> None:
    deploy(cloud, _release(cloud, "1.0.0", FORMS))
    for _ in range(3):
        SimulatedProtection(cloud).protect(ACME, STACK)

    calls = [call.call for call in cloud.mutations if "protection" in call.call or "policy" in call.call]
    assert calls == ["set_stack_policy", "update_termination_protection"]


def test_an_answer_that_is_lost_is_no_harm(cloud: SimulatedCloud) -> None:
    deploy(cloud, _release(cloud, "1.0.0", FORMS))
    for call in ("set_stack_policy", "update_termination_protection"):
        cloud.fault(Fault(kind=FaultKind.LOST_APPLIED, call=call))
        with pytest.raises(AnswerLost):
            SimulatedProtection(cloud).protect(ACME, STACK)
    SimulatedProtection(cloud).protect(ACME, STACK)

    assert [call.call for call in cloud.mutations][-2:] == [
        "set_stack_policy",
        "update_termination_protection",
    ]


def test_a_stack_that_is_not_there_is_not_protected(cloud: SimulatedCloud) -> None:
    with pytest.raises(NotFound):
        SimulatedProtection(cloud).protect(ACME, STACK)
