"""The pre-flight decides whose fault a finding is, who is passed over, and whether anybody may begin at all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.decide.planning import effect_line
from pipeline.decide.preflight import (
    CHANGE_SETS_OF_A_STACK,
    Blame,
    Cleared,
    Finding,
    Kind,
    Reading,
    Refused,
    blame_of,
    decide,
    findings_of,
    needs_room,
    notes_of,
    touched_at,
)
from pipeline.model import event as e
from pipeline.model.ids import TargetId
from pipeline.model.inspection import AlarmSeen, DriftStatus, ResourceDrift, Room
from pipeline.model.plan import EffectGroup, EffectKind, Plan, WaveKind
from pipeline.model.policy import AlarmsBefore
from pipeline.model.stack import DEPLOYABLE, IN_PROGRESS, ResourceChange, StackStatus
from tests.decide.runs import a_plan, a_wave, planned, t

S = StackStatus
SERVICE = TargetId("@intake", "us-east-1")
PLAN = a_plan(
    a_wave("@intake", kind=WaveKind.SERVICE),
    a_wave("ann", "ann/eu-west-1", kind=WaveKind.CANARY),
    replace(a_wave("bea", "cat", "dan", "eve"), max_skipped=2),
)
UNREACHABLE = (Kind.UNREACHABLE, "the account is closed")


def readings(plan: Plan = PLAN, **by_owner: Reading) -> list[Reading]:
    """One for each target; those that are named by their owner look as given."""
    return [
        replace(by_owner.get(target.id.owner.replace("@", "at_"), Reading(target=target)), target=target)
        for target in plan.targets
    ]


def a_reading(**seen: Any) -> Reading:
    return replace(Reading(target=planned(t("bea"))), **seen)


def found(plan: Plan = PLAN, **seen: Any) -> list[tuple[Kind, str]]:
    return [(f.kind, f.sentence) for f in findings_of(plan, a_reading(**seen))]


# --- one target ------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", sorted(S))
def test_only_a_stack_that_a_person_alone_can_leave_is_undeployable(status: S) -> None:
    fine = status in DEPLOYABLE | IN_PROGRESS | {S.REVIEW_IN_PROGRESS, S.DELETE_COMPLETE}
    sentence = f"its stack svc-intake is in {status}, which only a person can leave"
    assert found(status=status) == ([] if fine else [(Kind.UNDEPLOYABLE, sentence)])


def test_a_stack_that_somebody_is_changing_is_noted_and_waited_for() -> None:
    reading = a_reading(status=S.UPDATE_IN_PROGRESS)
    assert notes_of(PLAN, reading) == (
        "its stack is in UPDATE_IN_PROGRESS by somebody else's hand, and will be waited for",
    )


def test_a_change_set_of_somebody_elses_stands_in_the_way_and_ours_do_not() -> None:
    names = ("tg-" + "0" * 32, "fix-by-bob")
    assert found(status=S.UPDATE_COMPLETE, change_sets=names) == [
        (Kind.FOREIGN_CHANGE_SET, "somebody else's change sets stand on svc-intake: fix-by-bob")
    ]


def test_a_stack_with_no_room_for_another_change_set_is_a_matter_of_quota() -> None:
    names = tuple(f"tg-{n}" for n in range(CHANGE_SETS_OF_A_STACK))
    assert found(change_sets=names) == [
        (Kind.QUOTA, "1000 change sets stand on svc-intake, and AWS takes no more")
    ]
    assert found(change_sets=names[1:]) == []


@pytest.mark.parametrize("status", sorted(DriftStatus))
def test_only_what_was_changed_or_deleted_is_drift(status: DriftStatus) -> None:
    drift = ResourceDrift(logical_id="Forms", status=status, properties=("/BillingMode",))
    what = {DriftStatus.MODIFIED: "changed", DriftStatus.DELETED: "deleted"}.get(status)
    sentence = f"Forms, which this release touches, was {what} by hand (/BillingMode)"
    assert found(drift=(drift,)) == ([(Kind.DRIFT, sentence)] if what else [])


def test_drift_that_could_not_be_found_out_is_noted() -> None:
    drift = tuple(ResourceDrift(logical_id=n, status=s) for n, s in
                  (("A", DriftStatus.UNKNOWN), ("B", DriftStatus.NOT_CHECKED)))  # fmt: skip
    assert notes_of(PLAN, a_reading(drift=drift)) == (
        "nobody can tell whether these were changed by hand: A",
    )


def test_alarms_that_ring_before_anything_was_deployed_block_or_are_recorded_as_the_plan_says() -> None:
    alarms = (AlarmSeen(name="a", state="ALARM"), AlarmSeen(name="b", state="OK"))
    sentence = "in ALARM before anything was deployed: a"
    recording = replace(PLAN, alarms_before=AlarmsBefore.RECORD)
    assert found(alarms=alarms) == [(Kind.ALARM, sentence)]
    assert notes_of(PLAN, a_reading(alarms=alarms)) == ()
    assert found(recording, alarms=alarms) == []
    assert notes_of(recording, a_reading(alarms=alarms)) == (sentence,)


def test_an_alarm_that_is_gone_is_a_finding_and_one_without_data_a_note() -> None:
    alarms = (AlarmSeen(name="gone", state=""), AlarmSeen(name="quiet", state="INSUFFICIENT_DATA"))
    assert found(alarms=alarms) == [
        (Kind.ALARM_MISSING, "its stack has alarms that are not there any more: gone")
    ]
    assert notes_of(PLAN, a_reading(alarms=alarms)) == ("without data before anything was deployed: quiet",)


def test_a_full_account_takes_no_new_stack() -> None:
    assert found(room=Room(stacks=1999, limit=2000)) == []
    assert found(room=Room(stacks=2000, limit=2000)) == [
        (Kind.QUOTA, "its account has 2000 stacks in this Region and may have 2000")
    ]


@pytest.mark.parametrize(
    ("effect", "status", "needed"),
    [
        (EffectKind.CREATE, None, True),
        (EffectKind.CREATE, S.DELETE_COMPLETE, True),
        (EffectKind.CREATE, S.REVIEW_IN_PROGRESS, False),
        (EffectKind.UPDATE, S.UPDATE_COMPLETE, False),
        (EffectKind.NOTHING, None, False),
    ],
)
def test_room_is_asked_for_only_where_a_stack_is_to_be_created(
    effect: EffectKind, status: S | None, needed: bool
) -> None:
    assert needs_room(replace(planned(t("bea")), effect=effect), status) is needed


# --- what a release touches ------------------------------------------------------------------------

CHANGES = st.builds(
    ResourceChange,
    logical_id=st.from_regex(r"[A-Z][A-Za-z0-9]{0,9}(/[A-Z][a-z]{0,5})?", fullmatch=True),
    resource_type=st.sampled_from(["AWS::Lambda::Function", "Custom::Form", "AWS::CloudFormation::Stack"]),
    action=st.sampled_from(["Add", "Modify", "Remove", "Import", "Dynamic", "SyncWithActual"]),
    replacement=st.sampled_from(["", "True", "False", "Conditional"]),
)


@given(st.lists(CHANGES, max_size=6))
def test_every_line_of_a_plan_tells_what_it_touches(changes: list[ResourceChange]) -> None:
    lines = tuple(effect_line(change) for change in changes)
    group = EffectGroup(effect=EffectKind.UPDATE, effect_digest=None, targets=(t("bea"),), changes=lines)
    standing = {c.logical_id for c in changes if c.action not in ("Add", "Import")}
    assert touched_at(replace(PLAN, groups=(group,)), t("bea")) == tuple(sorted(standing))
    assert touched_at(replace(PLAN, groups=(group,)), t("cat")) == ()


@pytest.mark.parametrize("line", ["Unknown Inner/? ()", "Modify", "something else altogether"])
def test_a_line_that_cannot_be_read_touches_everything(line: str) -> None:
    group = EffectGroup(effect=EffectKind.UPDATE, effect_digest=None, targets=(t("bea"),), changes=(line,))
    assert touched_at(replace(PLAN, groups=(group,)), t("bea")) is None


# --- all of them -----------------------------------------------------------------------------------


def test_a_fleet_in_order_is_cleared_without_a_word() -> None:
    assert decide(PLAN, readings()) == Cleared(passed_over=(), notes=())


def test_a_client_is_passed_over_for_its_own_accounts_fault_with_the_reason() -> None:
    bea = a_reading(troubles=(UNREACHABLE,))
    assert decide(PLAN, readings(bea=bea)) == Cleared(
        passed_over=(e.PassedOver(target=t("bea"), reason="the account is closed"),), notes=()
    )


def test_no_region_of_a_client_gets_ahead_of_another_that_has_to_stay() -> None:
    plan = a_plan(a_wave("bob", kind=WaveKind.CANARY), a_wave("ann", "ann/eu-west-1", "cat"))
    seen = readings(plan)
    seen[2] = replace(seen[2], status=S.ROLLBACK_COMPLETE)
    why = "its stack svc-intake is in ROLLBACK_COMPLETE, which only a person can leave"
    assert decide(plan, seen) == Cleared(
        passed_over=(
            e.PassedOver(target=t("ann"), reason=f"together with ann/eu-west-1: {why}"),
            e.PassedOver(target=t("ann/eu-west-1"), reason=why),
        ),
        notes=(),
    )


def test_more_than_a_wave_may_pass_over_refuse_the_release_and_everything_is_told() -> None:
    broken = a_reading(troubles=(UNREACHABLE,))
    two = decide(PLAN, readings(bea=broken, cat=broken))
    assert isinstance(two, Cleared)
    assert decide(PLAN, readings(bea=broken, cat=broken, dan=broken)) == Refused(
        integrity=False,
        problem="3 of 4 targets of wave-2 cannot be deployed to, and only 2 may be passed over",
        details=tuple(f"{name}/us-east-1: the account is closed" for name in ("bea", "cat", "dan")),
    )


def test_a_canary_of_which_nobody_is_left_refuses_the_release() -> None:
    refused = decide(PLAN, readings(ann=a_reading(troubles=(UNREACHABLE,))))
    assert isinstance(refused, Refused)
    assert refused.problem == "nobody of canary can be deployed to, so nothing would be tried"


def test_the_services_own_account_is_never_passed_over() -> None:
    refused = decide(PLAN, readings(at_intake=a_reading(troubles=(UNREACHABLE,))))
    assert refused == Refused(
        integrity=False,
        problem="@intake/us-east-1: the account is closed",
        details=("@intake/us-east-1: the account is closed",),
    )


def test_a_refusal_that_no_account_can_be_blamed_for_refuses_the_release() -> None:
    bad = a_reading(troubles=((Kind.REFUSED, "ValidationError: no such thing"),))
    other = a_reading(troubles=(UNREACHABLE,))
    refused = decide(PLAN, readings(bea=bad, cat=other))
    assert refused == Refused(
        integrity=False,
        problem="bea/us-east-1: ValidationError: no such thing",
        details=("bea/us-east-1: ValidationError: no such thing", "cat/us-east-1: the account is closed"),
    )


@pytest.mark.parametrize("kind", [Kind.ARTIFACT, Kind.WRONG_ACCOUNT])
def test_what_is_damaged_comes_before_everything_else(kind: Kind) -> None:
    bad, other = a_reading(troubles=((kind, "not as recorded"),)), a_reading(troubles=(UNREACHABLE,))
    refused = decide(PLAN, readings(bea=bad, at_intake=other))
    assert refused == Refused(
        integrity=True,
        problem="before the first wave, bea/us-east-1: not as recorded",
        details=("@intake/us-east-1: the account is closed", "bea/us-east-1: not as recorded"),
    )


def test_a_note_of_many_targets_is_one_line() -> None:
    quiet = a_reading(alarms=(AlarmSeen(name="errors", state="INSUFFICIENT_DATA"),))
    cleared = decide(PLAN, [replace(quiet, target=target) for target in PLAN.targets])
    assert isinstance(cleared, Cleared)
    first = ", ".join(str(target.id) for target in PLAN.targets[:5])
    assert cleared.notes == (f"{first} and 2 more: without data before anything was deployed: errors",)


def test_a_pre_flight_that_left_somebody_out_is_none() -> None:
    with pytest.raises(ValueError, match="every target"):
        decide(PLAN, readings()[1:])


# --- laws ------------------------------------------------------------------------------------------

TROUBLES = st.lists(st.tuples(st.sampled_from(sorted(Kind)), st.sampled_from(["one", "two"])), max_size=2)
SEEN = st.builds(
    lambda troubles, status, alarms: a_reading(troubles=tuple(troubles), status=status, alarms=alarms),
    st.one_of(st.just([]), st.just([]), st.just([]), TROUBLES),
    st.one_of(st.none(), st.sampled_from(sorted(S)), st.just(S.UPDATE_COMPLETE)),
    st.sampled_from([(), (AlarmSeen(name="a", state="ALARM"),), (AlarmSeen(name="a", state=""),)]),
)


@given(
    st.lists(SEEN, min_size=len(PLAN.targets), max_size=len(PLAN.targets)),
    st.sampled_from(sorted(AlarmsBefore)),
)
def test_a_finding_is_never_passed_over_in_silence_and_the_releases_own_never_at_all(
    seen: list[Reading], policy: AlarmsBefore
) -> None:
    plan = replace(PLAN, alarms_before=policy)
    looked = [replace(reading, target=target) for reading, target in zip(seen, plan.targets, strict=True)]
    found = [finding for reading in looked for finding in findings_of(plan, reading)]
    outcome = decide(plan, looked)
    if isinstance(outcome, Refused):
        assert list(outcome.details) == [str(finding) for finding in found]
        assert outcome.integrity == any(blame_of(f) is Blame.INTEGRITY for f in found)
        return
    assert {blame_of(finding) for finding in found} <= {Blame.ACCOUNT}
    away = {passed.target: passed.reason for passed in outcome.passed_over}
    assert all(away.values())
    for finding in found:
        assert finding.sentence in away[finding.target]
    assert {target.owner for target in away} == {finding.target.owner for finding in found}
    assert all(target.is_client for target in away)
    for wave in plan.waves:
        gone = [target for target in wave.targets if target in away]
        assert len(gone) <= wave.max_skipped
        assert wave.kind is WaveKind.WAVE or not gone or len(gone) < len(wave.targets)


def test_every_kind_has_one_to_blame_and_the_services_account_is_the_releases_own() -> None:
    blames = {kind: blame_of(Finding(target=t("bea"), kind=kind, sentence="")) for kind in Kind}
    assert {kind for kind, blame in blames.items() if blame is Blame.INTEGRITY} == {
        Kind.ARTIFACT,
        Kind.WRONG_ACCOUNT,
    }
    assert {kind for kind, blame in blames.items() if blame is Blame.RELEASE} == {Kind.REFUSED}
    own = {blame_of(Finding(target=SERVICE, kind=kind, sentence="")) for kind in Kind}
    assert own == {Blame.RELEASE, Blame.INTEGRITY}
