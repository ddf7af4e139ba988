"""The simulated cloud keeps AWS's rules, the unpleasant ones first."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.adapters.simulated.changes import Physical
from pipeline.adapters.simulated.clock import START, SimulatedClock
from pipeline.adapters.simulated.cloud import Break, SimulatedCloud, Temper
from pipeline.adapters.simulated.faults import Fault, FaultKind
from pipeline.adapters.simulated.stack import CloudTimes
from pipeline.adapters.simulated.witness import Happening
from pipeline.errors import (
    AccessRefused,
    AccountUnusable,
    AnswerLost,
    ChangeSetBusy,
    ChangeSetGone,
    CredentialsRefused,
    ExecutionTokenUsed,
    ReleaseError,
    RequestRefused,
    StackBusy,
    Throttled,
    WrongAccount,
)
from pipeline.model.canonical import sha256_hex
from pipeline.model.ids import AccountId, Digest, digest
from pipeline.model.plan import Deployable
from pipeline.model.stack import (
    DEPLOYABLE,
    IN_PROGRESS,
    ExecutionStatus,
    ResourceChange,
    StackStatus,
    effect_of,
)
from pipeline.ports import ChangeSetRequest, HealthReading, Place

ACME = Place(AccountId("012345670001"), "us-east-1")
ZOE = Place(AccountId("012345670002"), "eu-west-1")
STACK = "svc-intake"
S = StackStatus


def _digest(text: str) -> Digest:
    return digest(sha256_hex(text.encode()))


def _deployable(version: str) -> Deployable:
    return Deployable(
        release=f"intake@{version}",
        digest=_digest(f"release {version}"),
        commit="c" * 40,
        template=_digest(f"template {version}"),
        functions=(("Form", _digest(f"code {version}")),),
    )


ONE, TWO, THREE = (_deployable(version) for version in ("1.0.0", "2.0.0", "3.0.0"))
RESOURCES = (("Form", "AWS::Lambda::Function"), ("Table", "AWS::DynamoDB::Table"))
_MILD = Temper()
OUTPUTS = (("Url", "https://{account}.{region}.example.com/"),)


def _cloud(temper: Temper = _MILD) -> tuple[SimulatedCloud, SimulatedClock]:
    clock = SimulatedClock()
    cloud = SimulatedCloud(clock, temper)
    for deployable in (ONE, TWO, THREE):
        cloud.knows(deployable, RESOURCES, OUTPUTS)
    return cloud, clock


def _request(wanted: Deployable, number: int, *, creating: bool = False) -> ChangeSetRequest:
    token = f"{number:032x}"
    return ChangeSetRequest(
        stack=STACK,
        name=f"tg-{token}",
        token=token,
        creating=creating,
        template=wanted.template,
        parameters=wanted.parameters,
        tags=(),
    )


def _prepare(
    cloud: SimulatedCloud, clock: SimulatedClock, wanted: Deployable, number: int, *, creating: bool = False
) -> ChangeSetRequest:
    request = _request(wanted, number, creating=creating)
    cloud.stacks.create_change_set(ACME, request)
    clock.advance(timedelta(seconds=10))
    return request


def _deploy(
    cloud: SimulatedCloud, clock: SimulatedClock, wanted: Deployable, number: int, *, creating: bool = False
) -> list[StackStatus | None]:
    """Every status the stack shows until it stands still."""
    request = _prepare(cloud, clock, wanted, number, creating=creating)
    cloud.stacks.execute_change_set(ACME, STACK, request.name, request.token)
    shown: list[StackStatus | None] = []
    while True:
        snapshot = cloud.stacks.describe(ACME, STACK)
        status = None if snapshot is None else snapshot.status
        if not shown or shown[-1] is not status:
            shown.append(status)
        if status not in IN_PROGRESS:
            return shown
        clock.advance(timedelta(seconds=1))


def test_a_creation_goes_through_its_statuses_and_leaves_the_mark() -> None:
    cloud, clock = _cloud()

    assert _deploy(cloud, clock, ONE, 1, creating=True) == [S.CREATE_IN_PROGRESS, S.CREATE_COMPLETE]
    snapshot = cloud.stacks.describe(ACME, STACK)
    assert snapshot is not None
    assert snapshot.mark is not None
    assert (snapshot.mark.release, snapshot.mark.digest) == ("intake@1.0.0", ONE.digest)
    assert dict(snapshot.outputs)["Url"] == "https://012345670001.us-east-1.example.com/"
    assert cloud.stacks.template(ACME, STACK) == ONE.template
    assert cloud.stacks.function_digests(ACME, STACK, ["Form", "Other"]) == dict(ONE.functions)


def test_an_update_shows_its_cleanup_before_it_is_complete() -> None:
    cloud, clock = _cloud()
    _deploy(cloud, clock, ONE, 1, creating=True)

    assert _deploy(cloud, clock, TWO, 2) == [
        S.UPDATE_IN_PROGRESS,
        S.UPDATE_COMPLETE_CLEANUP_IN_PROGRESS,
        S.UPDATE_COMPLETE,
    ]
    assert cloud.runs(ACME, STACK) == "intake@2.0.0"


def test_a_failed_creation_deletes_itself_and_is_found_by_its_id_only() -> None:
    cloud, clock = _cloud()
    cloud.breaks(Break(template=ONE.template, how="deploy"))
    request = _request(ONE, 1, creating=True)
    _, stack_id = cloud.stacks.create_change_set(ACME, request)
    clock.advance(timedelta(seconds=10))
    cloud.stacks.execute_change_set(ACME, STACK, request.name, request.token)
    clock.advance(timedelta(minutes=5))

    assert cloud.stacks.describe(ACME, STACK) is None
    assert cloud.stacks.operation(ACME, STACK, request.token) is None
    snapshot = cloud.stacks.describe(ACME, stack_id)
    assert snapshot is not None
    assert snapshot.status is S.DELETE_COMPLETE
    operation = cloud.stacks.operation(ACME, stack_id, request.token)
    assert operation is not None
    assert operation.status is S.DELETE_COMPLETE
    assert operation.reason.startswith("The following resource(s) failed to create: [Form]")
    _, next_id = cloud.stacks.create_change_set(ACME, _request(TWO, 2, creating=True))
    assert next_id != stack_id


def test_a_failed_creation_that_cannot_be_deleted_stays_for_a_person() -> None:
    cloud, clock = _cloud()
    cloud.breaks(Break(template=ONE.template, how="deploy"))
    cloud.breaks(Break(template=ONE.template, how="rollback"))

    assert _deploy(cloud, clock, ONE, 1, creating=True) == [
        S.CREATE_IN_PROGRESS,
        S.DELETE_IN_PROGRESS,
        S.DELETE_FAILED,
    ]
    with pytest.raises(StackBusy, match="already exists"):
        cloud.stacks.create_change_set(ACME, _request(TWO, 2, creating=True))
    with pytest.raises(StackBusy):
        cloud.stacks.create_change_set(ACME, _request(TWO, 3))


def test_a_failed_update_rolls_itself_back_to_what_ran_before() -> None:
    cloud, clock = _cloud()
    _deploy(cloud, clock, ONE, 1, creating=True)
    cloud.breaks(Break(template=TWO.template, how="deploy", account=ACME.account))

    assert _deploy(cloud, clock, TWO, 2) == [
        S.UPDATE_IN_PROGRESS,
        S.UPDATE_ROLLBACK_IN_PROGRESS,
        S.UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS,
        S.UPDATE_ROLLBACK_COMPLETE,
    ]
    assert cloud.runs(ACME, STACK) == "intake@1.0.0"
    assert cloud.stacks.template(ACME, STACK) == ONE.template
    assert _deploy(cloud, clock, THREE, 3)[-1] is S.UPDATE_COMPLETE


def test_an_update_whose_rollback_fails_accepts_nothing_more() -> None:
    cloud, clock = _cloud()
    _deploy(cloud, clock, ONE, 1, creating=True)
    cloud.breaks(Break(template=TWO.template, how="deploy"))
    cloud.breaks(Break(template=TWO.template, how="rollback"))

    assert _deploy(cloud, clock, TWO, 2)[-1] is S.UPDATE_ROLLBACK_FAILED
    with pytest.raises(StackBusy):
        cloud.stacks.create_change_set(ACME, _request(THREE, 3))


def test_a_create_change_set_leaves_an_empty_stack_even_when_it_is_deleted() -> None:
    cloud, clock = _cloud()
    request = _prepare(cloud, clock, ONE, 1, creating=True)
    cloud.stacks.delete_change_set(ACME, STACK, request.name)

    snapshot = cloud.stacks.describe(ACME, STACK)
    assert snapshot is not None
    assert (snapshot.status, snapshot.outputs) == (S.REVIEW_IN_PROGRESS, ())
    with pytest.raises(StackBusy, match="does not exist"):
        cloud.stacks.create_change_set(ACME, _request(ONE, 2))
    assert _deploy(cloud, clock, ONE, 3, creating=True)[-1] is S.CREATE_COMPLETE


def test_a_change_set_is_made_only_after_a_while() -> None:
    cloud, clock = _cloud()
    request = _request(ONE, 1, creating=True)
    arn, stack_id = cloud.stacks.create_change_set(ACME, request)

    young = cloud.stacks.describe_change_set(ACME, STACK, request.name)
    assert (young.status, young.execution, young.changes) == (
        "CREATE_IN_PROGRESS",
        ExecutionStatus.UNAVAILABLE,
        (),
    )
    with pytest.raises(ChangeSetBusy):
        cloud.stacks.execute_change_set(ACME, STACK, request.name, request.token)
    with pytest.raises(ChangeSetBusy):
        cloud.stacks.delete_change_set(ACME, STACK, request.name)
    clock.advance(timedelta(seconds=10))
    ripe = cloud.stacks.describe_change_set(ACME, stack_id, arn)
    assert (ripe.status, ripe.execution) == ("CREATE_COMPLETE", ExecutionStatus.AVAILABLE)
    assert [(c.logical_id, c.action) for c in ripe.changes] == [("Form", "Add"), ("Table", "Add")]


def test_equal_updates_of_two_accounts_have_equal_effects_and_different_physical_ids() -> None:
    cloud, clock = _cloud()
    changes: list[tuple[ResourceChange, ...]] = []
    for place in (ACME, ZOE):
        cloud.by_hand(place, STACK, ONE, S.CREATE_COMPLETE)
        cloud.stacks.create_change_set(place, _request(TWO, 1))
        clock.advance(timedelta(seconds=10))
        changes.append(cloud.stacks.describe_change_set(place, STACK, _request(TWO, 1).name).changes)

    assert changes[0] != changes[1]
    assert effect_of(changes[0]) == effect_of(changes[1])


@pytest.mark.parametrize("number", range(6))
def test_a_change_set_without_changes_fails_with_one_of_the_two_texts(number: int) -> None:
    cloud, clock = _cloud()
    _deploy(cloud, clock, ONE, 100, creating=True)
    request = _prepare(cloud, clock, ONE, number)

    view = cloud.stacks.describe_change_set(ACME, STACK, request.name)
    assert (view.status, view.is_empty, view.execution) == ("FAILED", True, ExecutionStatus.UNAVAILABLE)
    with pytest.raises(ChangeSetBusy):
        cloud.stacks.execute_change_set(ACME, STACK, request.name, request.token)
    cloud.stacks.delete_change_set(ACME, STACK, request.name)
    assert cloud.stacks.list_change_sets(ACME, STACK) == ()


def test_other_parameters_are_a_change() -> None:
    cloud, clock = _cloud()
    _deploy(cloud, clock, ONE, 1, creating=True)
    request = _prepare(cloud, clock, replace(ONE, parameters=(("Colour", "#0a7"),)), 2)

    assert not cloud.stacks.describe_change_set(ACME, STACK, request.name).is_empty


def test_an_execution_drops_every_other_change_set_of_the_stack() -> None:
    cloud, clock = _cloud()
    _deploy(cloud, clock, ONE, 1, creating=True)
    late = _prepare(cloud, clock, TWO, 2)
    _deploy(cloud, clock, THREE, 3)

    assert cloud.stacks.list_change_sets(ACME, STACK) == ()
    with pytest.raises(ChangeSetGone):
        cloud.stacks.describe_change_set(ACME, STACK, late.name)
    with pytest.raises(ChangeSetGone):
        cloud.stacks.execute_change_set(ACME, STACK, late.name, late.token)
    assert cloud.runs(ACME, STACK) == "intake@3.0.0"


def test_a_change_set_of_a_stack_that_somebody_updated_by_hand_is_obsolete() -> None:
    cloud, clock = _cloud()
    _deploy(cloud, clock, ONE, 1, creating=True)
    request = _prepare(cloud, clock, TWO, 2)
    cloud.by_hand(ACME, STACK, THREE)
    clock.advance(timedelta(minutes=5))

    view = cloud.stacks.describe_change_set(ACME, STACK, request.name)
    assert view.execution is ExecutionStatus.OBSOLETE
    with pytest.raises(ChangeSetBusy):
        cloud.stacks.execute_change_set(ACME, STACK, request.name, request.token)


def test_a_busy_stack_takes_no_change_set() -> None:
    cloud, clock = _cloud()
    _deploy(cloud, clock, ONE, 1, creating=True)
    request = _prepare(cloud, clock, TWO, 2)
    cloud.stacks.execute_change_set(ACME, STACK, request.name, request.token)

    with pytest.raises(StackBusy, match="UPDATE_IN_PROGRESS"):
        cloud.stacks.create_change_set(ACME, _request(THREE, 3))
    with pytest.raises(ChangeSetBusy):
        cloud.stacks.delete_change_set(ACME, STACK, request.name)


def test_the_same_execution_asked_for_again_happens_once_and_is_answered_in_three_ways() -> None:
    answers: set[type[ReleaseError]] = set()
    for number in range(1, 30):
        cloud, clock = _cloud()
        _deploy(cloud, clock, ONE, number, creating=True)
        request = _request(ONE, number)
        with pytest.raises((ExecutionTokenUsed, ChangeSetBusy, ChangeSetGone)) as again:
            cloud.stacks.execute_change_set(ACME, STACK, request.name, request.token)
        answers.add(type(again.value))
        assert len(cloud.history) == 1

    assert answers == {ExecutionTokenUsed, ChangeSetBusy, ChangeSetGone}


def test_a_retried_change_set_with_the_same_token_is_the_same_change_set() -> None:
    cloud, _ = _cloud()
    first = cloud.stacks.create_change_set(ACME, _request(ONE, 1, creating=True))

    assert cloud.stacks.create_change_set(ACME, _request(ONE, 1, creating=True)) == first
    with pytest.raises(ChangeSetBusy):
        cloud.stacks.create_change_set(ACME, replace(_request(ONE, 1, creating=True), token="f" * 32))


def test_a_retried_change_set_may_be_refused_as_well() -> None:
    cloud, _ = _cloud(Temper(honours_client_token=False))
    cloud.stacks.create_change_set(ACME, _request(ONE, 1, creating=True))

    with pytest.raises(ChangeSetBusy, match="AlreadyExists"):
        cloud.stacks.create_change_set(ACME, _request(ONE, 1, creating=True))


def test_a_description_may_lag_behind_an_execution() -> None:
    cloud, clock = _cloud(Temper(times=CloudTimes(lag=timedelta(seconds=3))))
    cloud.by_hand(ACME, STACK, ONE, S.UPDATE_COMPLETE)
    request = _prepare(cloud, clock, TWO, 2)
    cloud.stacks.execute_change_set(ACME, STACK, request.name, request.token)

    before = cloud.stacks.describe(ACME, STACK)
    assert before is not None
    assert before.status is S.UPDATE_COMPLETE
    assert cloud.stacks.operation(ACME, STACK, request.token) is None
    clock.advance(timedelta(seconds=3))
    after = cloud.stacks.describe(ACME, STACK)
    assert after is not None
    assert after.status is S.UPDATE_IN_PROGRESS
    operation = cloud.stacks.operation(ACME, STACK, request.token)
    assert operation is not None
    assert (operation.status, operation.last_token) == (S.UPDATE_IN_PROGRESS, request.token)


def test_the_history_tells_what_took_effect_and_how_it_ended() -> None:
    cloud, clock = _cloud()
    _deploy(cloud, clock, ONE, 1, creating=True)
    cloud.breaks(Break(template=TWO.template, how="deploy"))
    _deploy(cloud, clock, TWO, 2)
    first, second = cloud.history

    assert first == Happening(
        place=ACME,
        stack=STACK,
        token=f"{1:032x}",
        before="",
        after="intake@1.0.0",
        outcome=S.CREATE_COMPLETE,
        at=START + timedelta(seconds=10),
        settled=first.settled,
        change_set=f"tg-{1:032x}",
        made=(
            Physical(resource_type="AWS::Lambda::Function", physical_id="form-012345670001"),
            Physical(resource_type="AWS::DynamoDB::Table", physical_id="table-012345670001"),
        ),
    )
    assert (second.before, second.after, second.outcome) == (
        "intake@1.0.0",
        "intake@2.0.0",
        S.UPDATE_ROLLBACK_COMPLETE,
    )
    assert first.at < first.settled < second.at < second.settled


def test_the_same_seed_gives_the_same_story_and_another_seed_another() -> None:
    def story(seed: int) -> tuple[Happening, ...]:
        cloud, clock = _cloud(Temper(seed=seed))
        _deploy(cloud, clock, ONE, 1, creating=True)
        _deploy(cloud, clock, TWO, 2)
        return cloud.history

    assert story(1) == story(1)
    assert story(1) != story(2)


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (FaultKind.THROTTLED, Throttled),
        (FaultKind.LOST_NOT_APPLIED, AnswerLost),
        (FaultKind.REFUSED, AccessRefused),
        (FaultKind.INVALID, RequestRefused),
        (FaultKind.SUSPENDED, AccountUnusable),
        (FaultKind.NO_CREDENTIALS, CredentialsRefused),
        (FaultKind.WRONG_ACCOUNT, WrongAccount),
    ],
)
def test_a_call_that_fails_has_no_effect(kind: FaultKind, error: type[ReleaseError]) -> None:
    cloud, clock = _cloud()
    request = _prepare(cloud, clock, ONE, 1, creating=True)
    cloud.fault(Fault(kind=kind, call="execute_change_set", account=ACME.account))

    with pytest.raises(error):
        cloud.stacks.execute_change_set(ACME, STACK, request.name, request.token)
    assert cloud.history == ()
    cloud.stacks.execute_change_set(ACME, STACK, request.name, request.token)
    assert len(cloud.history) == 1


def test_a_lost_answer_may_hide_an_execution_that_happened() -> None:
    cloud, clock = _cloud()
    request = _prepare(cloud, clock, ONE, 1, creating=True)
    cloud.fault(Fault(kind=FaultKind.LOST_APPLIED, call="execute_change_set"))

    with pytest.raises(AnswerLost):
        cloud.stacks.execute_change_set(ACME, STACK, request.name, request.token)
    assert [happening.after for happening in cloud.history] == ["intake@1.0.0"]


def test_a_fault_strikes_the_call_it_was_ordered_for_and_no_other() -> None:
    cloud, _ = _cloud()
    cloud.fault(Fault(kind=FaultKind.THROTTLED, call="describe", account=ACME.account, nth=2, times=2))

    def struck(place: Place) -> bool:
        try:
            cloud.stacks.describe(place, STACK)
        except Throttled:
            return True
        return False

    assert [struck(ACME) for _ in range(5)] == [False, True, True, False, False]
    assert [struck(ZOE) for _ in range(5)] == [False] * 5
    assert cloud.stacks.list_change_sets(ACME, STACK) == ()
    assert (cloud.calls(), cloud.calls("describe", ZOE.account)) == (11, 5)


def test_a_suspended_account_refuses_everything_for_ever() -> None:
    cloud, _ = _cloud()
    cloud.fault(Fault(kind=FaultKind.SUSPENDED, account=ACME.account, times=0))

    for _ in range(3):
        with pytest.raises(AccountUnusable):
            cloud.stacks.describe(ACME, STACK)
        with pytest.raises(AccountUnusable):
            cloud.alarms.read(ACME, STACK)
    assert cloud.stacks.describe(ZOE, STACK) is None


def test_bad_weather_spoils_about_as_many_calls_as_was_asked_for() -> None:
    cloud, _ = _cloud(Temper(seed=7, weather=20))
    spoilt = 0
    for _ in range(500):
        try:
            cloud.stacks.describe(ACME, STACK)
        except (Throttled, AnswerLost):
            spoilt += 1

    assert 60 < spoilt < 140


def test_a_stack_id_of_another_account_is_never_looked_at() -> None:
    cloud, _ = _cloud()
    _, stack_id = cloud.stacks.create_change_set(ACME, _request(ONE, 1, creating=True))

    with pytest.raises(WrongAccount):
        cloud.stacks.describe(ZOE, stack_id)


def test_health_and_alarms_follow_what_runs() -> None:
    cloud, clock = _cloud()
    cloud.breaks(Break(template=TWO.template, how="health", account=ACME.account))
    cloud.breaks(Break(template=TWO.template, how="alarm", account=ZOE.account))
    cloud.breaks(Break(template=THREE.template, how="no data"))
    url = "https://012345670001.us-east-1.example.com/"

    def readings() -> tuple[HealthReading, HealthReading, HealthReading]:
        return (
            cloud.health.call(url + "status", 200, ("*.example.com",)),
            cloud.alarms.read(ACME, STACK),
            cloud.alarms.read(ZOE, STACK),
        )

    well = HealthReading(healthy=True, readable=True, reason="")
    for place in (ACME, ZOE):
        cloud.by_hand(place, STACK, ONE, S.CREATE_COMPLETE)
    assert readings() == (well, well, well)
    for place in (ACME, ZOE):
        cloud.by_hand(place, STACK, TWO, S.UPDATE_COMPLETE)
    sick = HealthReading(healthy=False, readable=True, reason=f"{url}status answers 500, not 200")
    alarm = HealthReading(healthy=False, readable=True, reason="svc-intake-errors is in ALARM")
    assert readings() == (sick, well, alarm)
    for place in (ACME, ZOE):
        cloud.by_hand(place, STACK, THREE, S.UPDATE_COMPLETE)
    unread = HealthReading(healthy=False, readable=False, reason="svc-intake-errors has INSUFFICIENT_DATA")
    assert readings() == (well, unread, unread)
    clock.advance(timedelta(hours=1))
    assert readings() == (well, unread, unread)


def test_a_break_may_begin_late_and_end_early() -> None:
    cloud, clock = _cloud()
    cloud.breaks(
        Break(template=ONE.template, how="alarm", after=timedelta(minutes=10), until=timedelta(minutes=20))
    )
    cloud.by_hand(ACME, STACK, ONE, S.CREATE_COMPLETE)
    seen = []
    for _ in range(3):
        seen.append(cloud.alarms.read(ACME, STACK).healthy)
        clock.advance(timedelta(minutes=10))

    assert seen == [True, False, True]


def test_only_allowed_hosts_are_called_and_silence_is_not_health() -> None:
    cloud, _ = _cloud()
    cloud.by_hand(ACME, STACK, ONE, S.CREATE_COMPLETE)

    refused = cloud.health.call("https://012345670001.us-east-1.example.com/", 200, ("*.example.org",))
    silent = cloud.health.call("https://nobody.example.com/", 200, ("*.example.com",))
    assert [(r.healthy, r.readable) for r in (refused, silent)] == [(False, False)] * 2


def test_a_stack_may_run_other_code_than_was_deployed() -> None:
    cloud, _ = _cloud()
    cloud.breaks(Break(template=ONE.template, how="code"))
    cloud.by_hand(ACME, STACK, ONE, S.CREATE_COMPLETE)

    assert cloud.stacks.function_digests(ACME, STACK, ["Form"]) != dict(ONE.functions)


@pytest.mark.parametrize("status", sorted(set(S) - DEPLOYABLE - {S.REVIEW_IN_PROGRESS, S.DELETE_COMPLETE}))
def test_no_stack_is_updated_in_a_status_that_does_not_allow_it(status: StackStatus) -> None:
    cloud, _ = _cloud()
    cloud.by_hand(ACME, STACK, ONE, status)

    with pytest.raises(StackBusy, match=status):
        cloud.stacks.create_change_set(ACME, _request(TWO, 1))


def test_a_template_that_was_never_stored_is_refused() -> None:
    cloud, _ = _cloud()

    with pytest.raises(RequestRefused, match="TemplateURL"):
        cloud.stacks.create_change_set(ACME, _request(_deployable("9.9.9"), 1, creating=True))
