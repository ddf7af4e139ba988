"""The simulated cloud from outside: faults of the wire, accounts that close, alarms over time, and the record."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pipeline.adapters.simulated.alarms import AlarmSeries
from pipeline.adapters.simulated.cloud import Break
from pipeline.adapters.simulated.faults import MUTATING, WIRE, Fault, FaultKind
from pipeline.adapters.simulated.stack_policy import denied_by
from pipeline.adapters.simulated.witness import Call
from pipeline.errors import (
    AccountUnusable,
    AnswerLost,
    ChangeSetBusy,
    ChangeSetGone,
    CredentialsRefused,
    QuotaReached,
    ReleaseError,
    Throttled,
    WrongAccount,
)
from pipeline.model.stack import ExecutionStatus, ResourceChange, StackStatus
from pipeline.ports import HealthReading
from tests.adapters.simulated.scene import ACME, FORM, ONE, STACK, TABLE, THREE, TWO, ZOE, Scene, scripted

S = StackStatus
SMOKE = ("SmokeForms", "AWS::Lambda::Function")
WELL = HealthReading(healthy=True, readable=True, reason="")


# --- the wire --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(FaultKind))
def test_a_call_takes_effect_exactly_where_its_fault_says_so(kind: FaultKind) -> None:
    scene = Scene()
    request = scene.request(ONE, creating=True)
    scene.made(request)
    scene.cloud.fault(Fault(kind=kind, call="execute_change_set"))

    with pytest.raises(WIRE[kind].error):
        scene.stacks.execute_change_set(ACME, STACK, request.name, request.token)
    assert len(scene.cloud.history) == int(WIRE[kind].applied)
    noted = scene.cloud.mutations[-1]
    assert (noted.applied, noted.result) == (WIRE[kind].applied, WIRE[kind].error.__name__)
    assert (noted.happening is not None) is WIRE[kind].applied


@pytest.mark.parametrize("kind", list(FaultKind))
def test_a_read_that_is_lost_has_lost_nothing(kind: FaultKind) -> None:
    scene = Scene()
    scene.cloud.fault(Fault(kind=kind, call="describe"))
    expected = Throttled if WIRE[kind].error is AnswerLost else WIRE[kind].error

    with pytest.raises(expected) as struck:
        scene.stacks.describe(ACME, STACK)
    assert type(struck.value) is expected


def test_an_answer_that_is_lost_hides_a_refusal_as_well() -> None:
    scene = Scene()
    request = scene.request(ONE, creating=True)
    scene.stacks.create_change_set(ACME, request)
    scene.cloud.fault(Fault(kind=FaultKind.LOST_APPLIED, call="execute_change_set"))

    with pytest.raises(AnswerLost):
        scene.stacks.execute_change_set(ACME, STACK, request.name, request.token)
    assert (scene.cloud.history, scene.cloud.mutations[-1].applied) == ((), False)


def test_every_mutating_method_of_the_port_is_in_the_table() -> None:
    scene = Scene()
    scene.breaks(TWO, "deploy", "rollback")
    scene.deploy(ONE, creating=True)
    scene.deploy(TWO)
    scene.continued()
    scene.stacks.delete_change_set(ACME, STACK, "tg-nobody")

    assert {call.call for call in scene.cloud.mutations} <= MUTATING


@pytest.mark.parametrize("kind", [FaultKind.SUSPENDED, FaultKind.PENDING_CLOSURE, FaultKind.MOVED])
def test_an_account_may_close_in_the_middle_and_open_again(kind: FaultKind) -> None:
    scene = Scene()
    now = scene.clock.now()
    hour = timedelta(hours=1)
    scene.cloud.fault(Fault(kind=kind, account=ACME.account, times=0, since=now + hour, until=now + 2 * hour))
    seen: list[bool] = []
    for _ in range(3):
        try:
            scene.stacks.describe(ACME, STACK)
            seen.append(True)
        except AccountUnusable:
            seen.append(False)
        assert scene.stacks.describe(ZOE, STACK) is None
        scene.clock.advance(hour)

    assert seen == [True, False, True]


def test_a_region_may_be_off_in_an_account_and_on_in_the_next() -> None:
    scene = Scene()
    scene.cloud.fault(Fault(kind=FaultKind.REGION_OFF, region=ZOE.region, times=0))

    assert scene.stacks.describe(ACME, STACK) is None
    with pytest.raises(AccountUnusable):
        scene.stacks.describe(ZOE, STACK)


def test_a_policy_of_the_organization_may_forbid_one_call_only() -> None:
    scene = Scene()
    scene.cloud.fault(Fault(kind=FaultKind.SCP, call="execute_change_set", account=ACME.account, times=0))
    request = scene.request(ONE, creating=True)
    scene.made(request)

    with pytest.raises(AccountUnusable):
        scene.stacks.execute_change_set(ACME, STACK, request.name, request.token)
    assert scene.stacks.list_change_sets(ACME, STACK) == (request.name,)


def test_a_quota_stops_one_account() -> None:
    scene = Scene()
    scene.cloud.fault(Fault(kind=FaultKind.QUOTA, call="create_change_set", account=ACME.account))

    with pytest.raises(QuotaReached):
        scene.stacks.create_change_set(ACME, scene.request(ONE, creating=True))


def test_a_page_that_fails_spoils_the_whole_reading() -> None:
    scene = Scene()
    scene.cloud.page = 2
    many = tuple((f"Part{n}", "AWS::SQS::Queue") for n in range(5))
    scene.cloud.release(scripted("1.0.0", *many))
    request = scene.request(ONE, creating=True)
    assert len(scene.made(request).changes) == 5
    assert scene.cloud.calls("describe_change_set") == 3
    scene.cloud.fault(Fault(kind=FaultKind.BROKEN, call="describe_change_set", nth=3))

    with pytest.raises(Throttled):
        scene.stacks.describe_change_set(ACME, STACK, request.name)


def test_calm_weather_ends_everything_that_was_ordered() -> None:
    scene = Scene()
    scene.cloud.weather(100)
    scene.cloud.fault(Fault(kind=FaultKind.EXPIRED, times=0))
    with pytest.raises(ReleaseError):
        scene.stacks.describe(ACME, STACK)
    scene.cloud.calm()

    assert [scene.stacks.describe(ACME, STACK) for _ in range(20)] == [None] * 20


# --- what others do --------------------------------------------------------------------------------


def test_somebody_acts_in_the_middle_of_a_run() -> None:
    scene = Scene()
    scene.deploy(ONE, creating=True)
    request = scene.request(TWO)
    scene.made(request)
    scene.cloud.later(timedelta(minutes=1), lambda: scene.cloud.by_hand(ACME, STACK, THREE))
    scene.clock.advance(timedelta(minutes=2))

    view = scene.stacks.describe_change_set(ACME, STACK, request.name)
    assert view.execution is ExecutionStatus.OBSOLETE
    assert [h.how for h in scene.cloud.history] == ["change set", "by hand"]


def test_a_change_set_may_vanish_under_ones_hands() -> None:
    scene = Scene()
    scene.deploy(ONE, creating=True)
    request = scene.request(TWO)
    scene.made(request)
    scene.cloud.vanish(ACME, STACK)

    with pytest.raises(ChangeSetGone):
        scene.stacks.execute_change_set(ACME, STACK, request.name, request.token)


def test_a_foreign_change_set_stands_beside_ours_until_one_is_executed() -> None:
    scene = Scene()
    scene.deploy(ONE, creating=True)
    scene.cloud.foreign_change_set(ACME, STACK, THREE, "hotfix")
    request = scene.request(TWO)
    scene.made(request)

    assert scene.stacks.list_change_sets(ACME, STACK) == ("hotfix", request.name)
    scene.stacks.execute_change_set(ACME, STACK, request.name, request.token)
    with pytest.raises(ChangeSetGone):
        scene.stacks.describe_change_set(ACME, STACK, "hotfix")


def test_a_foreign_change_set_may_make_a_stack_in_review_of_its_own() -> None:
    scene = Scene()
    scene.cloud.foreign_change_set(ACME, STACK, THREE, "mine")

    found = scene.stacks.describe(ACME, STACK)
    assert found is not None
    assert found.status is S.REVIEW_IN_PROGRESS


# --- alarms, and the release's own check -----------------------------------------------------------


def _states(scene: Scene, times: int) -> list[str]:
    seen = []
    for _ in range(times):
        seen.append(scene.cloud.alarms.states(ACME, STACK)["slow"])
        scene.clock.advance(timedelta(minutes=5))
    return seen


def test_a_series_begins_when_its_release_is_complete_and_ends_with_it() -> None:
    scene = Scene()
    states = ("OK", "ALARM", "INSUFFICIENT_DATA", "OK", "ALARM")
    scene.cloud.alarm(AlarmSeries(name="slow", states=states, template=ONE.template))
    scene.deploy(ONE, creating=True)

    assert _states(scene, 6) == [*states, "ALARM"]
    scene.deploy(THREE)
    assert "slow" not in scene.cloud.alarms.states(ACME, STACK)


def test_a_series_may_begin_at_any_moment_and_an_alarm_may_be_deleted() -> None:
    scene = Scene()
    scene.cloud.by_hand(ACME, STACK, ONE, S.CREATE_COMPLETE)
    begins = scene.clock.now() + timedelta(minutes=5)
    scene.cloud.alarm(AlarmSeries(name="slow", states=("ALARM", ""), begins=begins, composite=True))

    assert _states(scene, 3) == ["OK", "ALARM", ""]
    found = scene.cloud.alarms.read(ACME, STACK)
    assert found == HealthReading(healthy=False, readable=False, reason="slow is not there")


def test_an_ignored_alarm_does_not_count_and_an_account_may_be_meant() -> None:
    scene = Scene()
    scene.cloud.by_hand(ACME, STACK, ONE, S.CREATE_COMPLETE)
    scene.cloud.by_hand(ZOE, STACK, ONE, S.CREATE_COMPLETE)
    begins = scene.clock.now()
    scene.cloud.alarm(AlarmSeries(name="slow", states=("ALARM",), begins=begins, account=ACME.account))

    assert not scene.cloud.alarms.read(ACME, STACK).healthy
    assert scene.cloud.alarms.read(ACME, STACK, ("slow",)) == WELL
    assert scene.cloud.alarms.read(ZOE, STACK) == WELL
    assert dict(scene.cloud.alarms.states(ZOE, STACK)) == {f"{STACK}-errors": "OK"}


def test_a_releases_own_check_follows_what_runs() -> None:
    scene = Scene()
    for version in ("1.0.0", "2.0.0", "3.0.0"):
        scene.cloud.release(scripted(version, FORM, SMOKE))
    scene.cloud.breaks(Break(template=TWO.template, how="smoke"))
    scene.cloud.breaks(Break(template=THREE.template, how="no smoke"))
    seen = []
    for wanted in (ONE, TWO, THREE):
        scene.cloud.by_hand(ACME, STACK, wanted, S.UPDATE_COMPLETE)
        found = scene.cloud.smoke.call(ACME, STACK, "SmokeForms")
        seen.append((found.healthy, found.readable))

    assert seen == [(True, True), (False, True), (False, False)]
    assert not scene.cloud.smoke.call(ACME, STACK, "Nobody").readable


def test_a_check_that_cannot_be_called_is_not_readable_and_only_the_runners_own_faults_are_raised() -> None:
    scene = Scene()
    for kind in (FaultKind.THROTTLED, FaultKind.LOST_APPLIED, FaultKind.SUSPENDED):
        scene.cloud.fault(Fault(kind=kind, call="smoke"))
        assert not scene.cloud.smoke.call(ACME, STACK, "SmokeForms").readable
    for kind, error in (
        (FaultKind.EXPIRED, CredentialsRefused),
        (FaultKind.WRONG_ACCOUNT, WrongAccount),
    ):
        scene.cloud.fault(Fault(kind=kind, call="smoke"))
        with pytest.raises(error):
            scene.cloud.smoke.call(ACME, STACK, "SmokeForms")


# --- the record ------------------------------------------------------------------------------------


def test_every_mutating_call_is_on_record_with_its_token_fence_and_effect() -> None:
    scene = Scene()
    scene.cloud.fence = lambda: 7
    watched: list[Call] = []
    scene.cloud.watch = watched.append
    request = scene.request(ONE, creating=True)
    scene.stacks.create_change_set(ACME, request)
    scene.stacks.create_change_set(ACME, request)
    with pytest.raises(ChangeSetBusy):
        scene.stacks.execute_change_set(ACME, STACK, request.name, request.token)
    scene.clock.advance(timedelta(seconds=10))
    scene.stacks.execute_change_set(ACME, STACK, request.name, request.token)
    scene.stacks.delete_change_set(ACME, STACK, "tg-nobody")

    told = [(c.number, c.call, c.token, c.result, c.applied) for c in scene.cloud.mutations]
    assert told == [
        (1, "create_change_set", request.token, "ok", True),
        (2, "create_change_set", request.token, "ok", False),
        (3, "execute_change_set", request.token, "ChangeSetBusy", False),
        (4, "execute_change_set", request.token, "ok", True),
        (5, "delete_change_set", "", "ok", False),
    ]
    assert {(c.place, c.stack, c.fence) for c in scene.cloud.mutations} == {(ACME, STACK, 7)}
    assert [c.happening for c in scene.cloud.mutations if c.happening] == list(scene.cloud.history)
    assert tuple(watched) == scene.cloud.mutations
    assert scene.cloud.mutations_after(3) == scene.cloud.mutations[3:]


# --- stack policies ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "denied"),
    [
        ('{"Effect":"Allow","Action":"Update:*","Principal":"*","Resource":"*"}', False),
        ('{"Effect":"Allow","Action":"Update:Modify","Principal":"*","Resource":"*"}', True),
        ('{"Effect":"Allow","NotAction":"Update:Delete","Principal":"*","Resource":"*"}', True),
        (
            '{"Effect":"Allow","Action":"Update:*","Principal":"*","NotResource":"LogicalResourceId/Table"}',
            True,
        ),
        (
            (
                '{"Effect":"Allow","Action":"Update:*","Principal":"*","Resource":"*",'
                '"Condition":{"StringEquals":{"ResourceType":["AWS::S3::Bucket"]}}}'
            ),
            True,
        ),
        (
            (
                '{"Effect":"Allow","Action":"Update:*","Principal":"*","Resource":"*",'
                '"Condition":{"StringLike":{"ResourceType":"AWS::DynamoDB::*"}}}'
            ),
            False,
        ),
    ],
)
def test_a_stack_policy_denies_what_no_statement_allows(statement: str, denied: bool) -> None:
    removal = ResourceChange(logical_id="Table", resource_type=TABLE[1], action="Remove")

    assert bool(denied_by(f'{{"Statement":[{statement}]}}', (removal,))) is denied
    assert denied_by("", (removal,)) == ()
