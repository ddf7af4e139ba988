"""The look at every account before the first wave, on the simulated company."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.adapters.local.artifacts import FolderArtifacts
from pipeline.adapters.simulated.faults import Fault, FaultKind
from pipeline.adapters.simulated.inspection import SimulatedInspection
from pipeline.errors import (
    ArtifactMissing,
    BlockedByPolicy,
    CredentialsRefused,
    EvidenceMissing,
    IntegrityBroken,
    PlanStale,
    ReleaseError,
)
from pipeline.model import event as e
from pipeline.model.ids import AccountId, Digest, TargetId
from pipeline.model.inspection import DriftStatus, ResourceDrift
from pipeline.model.plan import Plan, WaveKind, plan_digest
from pipeline.model.release import artifact_key
from pipeline.model.run_state import Run, fold_run
from pipeline.model.stack import StackStatus
from pipeline.ports import Place
from stages.preflight import PreflightPorts, admit_looked_at, look, preflight
from stages.promote import Admission, admit
from tests.simulation import SERVICE, Company, digest_of

STACK = f"svc-{SERVICE}"
WHO = Admission(fence=1, actor="ann")
REGIONS = ("us-east-1", "eu-west-1")


class Scene:
    """A company of six clients that runs 1.0.0 everywhere and has a plan for 1.1.0."""

    def __init__(self, tmp: Path, *, first: bool = False) -> None:
        self.company = Company(tmp=tmp)
        self.inspection = SimulatedInspection(self.company.cloud)
        if not first:
            self._built("1.0.0")
            self._runs(self.company.plan("1.0.0"))
        self._built("1.1.0")
        self.company.clock.advance(timedelta(hours=1))
        self.plan = _without_a_canary(self.company.plan("1.1.0"))
        self.before = len(self.company.cloud.history)

    def _built(self, version: str) -> None:
        self.company.build(version)
        for role in ("service", "client"):
            for part in ("template", "code"):
                self.company.artifacts.put(f"{version}/{role}/{part}".encode(), REGIONS)

    def _runs(self, plan: Plan) -> None:
        """This plan was carried out, and its release is good everywhere."""
        journal = self.company.journal
        for wave in range(len(plan.waves)):
            for target in [plan.target(t) for t in plan.waves[wave].targets]:
                place = Place(target.account, target.id.region)
                self.company.cloud.by_hand(place, STACK, target.desired, StackStatus.CREATE_COMPLETE)
                claimed = e.TargetClaimed(
                    release=str(plan.release), plan=plan_digest(plan), wave=wave, desired=target.desired
                )
                said = (claimed, e.TargetHealthy(changed=True), e.TargetGood())
                stream = e.target_stream(SERVICE, target.id)
                journal.append(stream, said, expected=0, fence=1, actor="ann")
        stream = e.release_stream(plan.release)
        ended = (
            e.PlanFixed(plan=plan_digest(plan), waves=len(plan.waves)),
            e.RunEnded(outcome=e.Outcome.SUCCEEDED),
        )
        journal.append(stream, ended, expected=journal.head(stream).seq, fence=1, actor="ann")

    @property
    def ports(self) -> PreflightPorts:
        company = self.company
        return PreflightPorts(
            clock=company.clock,
            journal=company.journal,
            stacks=company.cloud.stacks,
            inspection=self.inspection,
            artifacts=company.artifacts,
            at_once=1,
        )

    def place(self, client: str, region: str = "us-east-1") -> Place:
        return Place(self.account(client), region)

    def account(self, client: str) -> AccountId:
        if client == "@intake":
            return AccountId("222222222222")
        return AccountId(f"{int(client[1:]):012d}")

    def artifact(self, of: str) -> Path:
        return Path(self.company.tmp / "artifacts" / "us-east-1" / artifact_key(digest_of(of)))

    def begin(self) -> e.PreflightDone | None:
        """Admit and look, as promote does; what was written down."""
        admit_looked_at(self.plan, self.ports, WHO)
        written = [x for x in self.company.events("1.1.0") if isinstance(x, e.PreflightDone)]
        assert len(written) <= 1
        return written[0] if written else None

    def refused(self) -> ReleaseError:
        """The refusal, after which nothing at all was written and no account was touched."""
        events = list(self.company.events("1.1.0"))
        with pytest.raises((BlockedByPolicy, IntegrityBroken)) as raised:
            self.begin()
        assert self.company.events("1.1.0") == events
        assert len(self.company.cloud.history) == self.before
        return raised.value


def _without_a_canary(plan: Plan) -> Plan:
    """Whoever was drawn for it: here any client may be passed over."""
    waves = [
        wave if wave.kind is WaveKind.SERVICE else replace(wave, kind=WaveKind.WAVE, name=f"wave-{n + 1}")
        for n, wave in enumerate(plan.waves)
    ]
    return replace(plan, waves=tuple(replace(wave, max_skipped=5) for wave in waves))


class _Reaching:
    """An inspection that does something of its own when it is asked to reach a place."""

    def __init__(self, inspection: SimulatedInspection, reach: Callable[[Place], None]) -> None:
        self._inspection = inspection
        self.reach = reach

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inspection, name)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def passed(*pairs: tuple[str, str]) -> tuple[e.PassedOver, ...]:
    return tuple(e.PassedOver(target=TargetId.parse(target), reason=why) for target, why in pairs)


# --- a fleet in order ------------------------------------------------------------------------------


def test_a_fleet_in_order_is_looked_at_once_and_nothing_is_changed(scene: Scene) -> None:
    assert scene.begin() == e.PreflightDone()
    asked = scene.company.cloud.calls("reach")
    assert asked == len(scene.plan.targets) == 8
    assert len(scene.company.cloud.history) == scene.before

    assert scene.begin() == e.PreflightDone()
    assert preflight(scene.plan, scene.ports, WHO) is None
    assert scene.company.cloud.calls("reach") == asked


def test_what_was_found_is_told_as_it_is_written_down(scene: Scene) -> None:
    told: list[e.Event] = []
    ports = replace(scene.ports, heard=lambda entry: told.append(entry.event))
    admit_looked_at(scene.plan, ports, WHO)
    admit_looked_at(scene.plan, ports, WHO)
    assert told == [e.PreflightDone()]


def test_a_first_deployment_has_nothing_to_compare_and_asks_for_room(tmp_path: Path) -> None:
    scene = Scene(tmp_path, first=True)
    assert scene.begin() == e.PreflightDone()
    calls = scene.company.cloud.calls
    assert (calls("begin_drift"), calls("room"), calls("inspect_alarms")) == (0, 8, 0)


def test_many_accounts_are_looked_at_side_by_side(scene: Scene) -> None:
    assert look(scene.plan, replace(scene.ports, at_once=8)) == e.PreflightDone()


# --- an account's own fault ------------------------------------------------------------------------


@pytest.mark.parametrize("phase", ["describe", "list_change_sets", "inspect_alarms", "reach", "begin_drift"])
@pytest.mark.parametrize("kind", [FaultKind.SUSPENDED, FaultKind.REFUSED])
def test_a_client_whose_account_cannot_be_entered_is_passed_over(
    scene: Scene, kind: FaultKind, phase: str
) -> None:
    scene.company.cloud.fault(Fault(kind=kind, call=phase, account=scene.account("c4"), times=0))
    done = scene.begin()
    said = f"{phase} in 000000000004/us-east-1: {kind.value}"
    if (phase, kind) == ("begin_drift", FaultKind.REFUSED):
        # An observing role of an older bootstrap: the client is served, and it is written down that nobody looked.
        assert done == e.PreflightDone(notes=(f"c4/us-east-1: drift could not be detected: {said}",))
    else:
        assert done == e.PreflightDone(passed_over=passed(("c4/us-east-1", said)))


def test_a_region_that_is_off_passes_over_all_regions_of_its_client(scene: Scene) -> None:
    scene.inspection.region_off(scene.place("c2", "eu-west-1"))
    done = scene.begin()
    why = "the Region eu-west-1 is DISABLED in account 000000000002"
    assert done is not None
    assert set(done.passed_over) == set(
        passed(("c2/us-east-1", f"together with c2/eu-west-1: {why}"), ("c2/eu-west-1", why))
    )


def test_what_was_changed_by_hand_counts_only_where_the_release_touches_it(scene: Scene) -> None:
    here, there = scene.place("c4"), scene.place("c5")
    modified = ResourceDrift(logical_id="Form", status=DriftStatus.MODIFIED, properties=("/Timeout",))
    scene.inspection.by_hand(here, STACK, modified)
    scene.inspection.by_hand(there, STACK, ResourceDrift(logical_id="Else", status=DriftStatus.DELETED))
    assert scene.begin() == e.PreflightDone(
        passed_over=passed(
            ("c4/us-east-1", "Form, which this release touches, was changed by hand (/Timeout)")
        )
    )


def test_alarms_quotas_and_drift_that_cannot_be_known_are_noted_and_stop_nobody(scene: Scene) -> None:
    scene.inspection.alarm(scene.place("c4"), STACK, "quiet", "INSUFFICIENT_DATA")
    unknown = ResourceDrift(logical_id="Form", status=DriftStatus.UNKNOWN)
    scene.inspection.by_hand(scene.place("c5"), STACK, unknown)
    done = scene.begin()
    assert done is not None
    assert done.passed_over == ()
    assert set(done.notes) == {
        "c4/us-east-1: without data before anything was deployed: quiet",
        "c5/us-east-1: nobody can tell whether these were changed by hand: Form",
    }


def test_an_alarm_that_rings_already_passes_its_client_over(scene: Scene) -> None:
    scene.inspection.alarm(scene.place("c4"), STACK, "errors", "ALARM")
    scene.inspection.alarm(scene.place("c5"), STACK, "latency", "")
    done = scene.begin()
    assert done is not None
    assert set(done.passed_over) == set(
        passed(
            ("c4/us-east-1", "in ALARM before anything was deployed: errors"),
            ("c5/us-east-1", "its stack has alarms that are not there any more: latency"),
        )
    )


def test_a_full_account_is_passed_over_before_its_stack_is_tried(tmp_path: Path) -> None:
    scene = Scene(tmp_path, first=True)
    scene.inspection.stacks(scene.account("c4"), 2000)
    done = scene.begin()
    why = "its account has 2000 stacks in this Region and may have 2000"
    assert done == e.PreflightDone(passed_over=passed(("c4/us-east-1", why)))


def test_a_stack_that_was_broken_since_the_plan_was_made_is_passed_over(scene: Scene) -> None:
    deployable = scene.plan.targets[-1].desired
    place = scene.place("c4")
    scene.company.cloud.by_hand(place, STACK, deployable, StackStatus.UPDATE_ROLLBACK_FAILED)
    done = scene.begin()
    assert done is not None
    assert done.passed_over == passed(
        ("c4/us-east-1", f"its stack {STACK} is in UPDATE_ROLLBACK_FAILED, which only a person can leave")
    )


@pytest.mark.parametrize("times", [1, 3])
def test_an_account_that_is_slow_to_answer_is_asked_again(scene: Scene, times: int) -> None:
    for call in ("reach", "describe", "drift", "inspect_alarms"):
        scene.company.cloud.fault(
            Fault(kind=FaultKind.THROTTLED, call=call, account=scene.account("c4"), times=times)
        )
    assert scene.begin() == e.PreflightDone()


def test_an_account_that_never_answers_is_passed_over_within_minutes(scene: Scene) -> None:
    scene.company.cloud.fault(
        Fault(kind=FaultKind.THROTTLED, call="describe", account=scene.account("c4"), times=0)
    )
    began = scene.company.clock.now()
    done = scene.begin()
    assert done == e.PreflightDone(
        passed_over=passed(("c4/us-east-1", "describe in 000000000004/us-east-1: throttled"))
    )
    assert (scene.company.clock.now() - began).total_seconds() < 600


# --- the release's own -----------------------------------------------------------------------------


def test_more_clients_than_the_cap_allows_refuse_the_release_before_anything_begins(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.plan = replace(scene.plan, waves=tuple(replace(w, max_skipped=1) for w in scene.plan.waves))
    last = scene.plan.waves[-1].targets
    for target in last:
        scene.company.cloud.fault(
            Fault(kind=FaultKind.SUSPENDED, call="reach", account=scene.account(target.owner), times=0)
        )
    refusal = scene.refused()
    assert (refusal.exit_code, refusal.code) == (8, "E801")
    assert (
        f"{len(last)} of {len(last)} targets of {scene.plan.waves[-1].name} cannot be deployed to"
        in refusal.problem
    )
    assert {line.split(":")[0] for line in refusal.details} == {str(target) for target in last}


def test_the_services_own_account_refuses_the_release_and_everything_else_is_told_too(scene: Scene) -> None:
    for client in ("@intake", "c4"):
        scene.company.cloud.fault(
            Fault(kind=FaultKind.SUSPENDED, call="reach", account=scene.account(client), times=0)
        )
    refusal = scene.refused()
    assert refusal.exit_code == 8
    assert refusal.problem.startswith("intake@1.1.0 was not begun: @intake/us-east-1: reach in 222222222222")
    assert {line.split(":")[0] for line in refusal.details} == {"@intake/us-east-1", "c4/us-east-1"}


def test_a_refusal_that_no_account_can_be_blamed_for_refuses_the_release(scene: Scene) -> None:
    scene.company.cloud.fault(
        Fault(kind=FaultKind.INVALID, call="describe", account=scene.account("c4"), times=0)
    )
    assert scene.refused().exit_code == 8


def test_a_role_that_leads_into_another_account_is_a_matter_of_integrity(scene: Scene) -> None:
    scene.company.cloud.fault(
        Fault(kind=FaultKind.WRONG_ACCOUNT, call="reach", account=scene.account("c4"), times=0)
    )
    assert scene.refused().exit_code == 7


@pytest.mark.parametrize("what", ["1.0.0/client/template", "1.0.0/client/code", "1.0.0/service/code"])
@pytest.mark.parametrize("how", ["missing", "damaged", "empty"])
def test_a_previous_artifact_that_cannot_be_had_refuses_with_exit_7(
    scene: Scene, what: str, how: str
) -> None:
    path = scene.artifact(what)
    path.chmod(0o600)
    match how:
        case "missing":
            path.unlink()
        case "damaged":
            path.write_bytes(path.read_bytes()[:-1] + b"?")
        case _:
            path.write_bytes(b"")
    refusal = scene.refused()
    assert (refusal.exit_code, refusal.code) == (7, "E701")
    assert "intake@1.0.0, to which it would go back, cannot be had" in refusal.problem


def test_an_artifact_that_many_would_go_back_to_is_fetched_once_in_each_region(scene: Scene) -> None:
    fetched: list[tuple[object, str | None]] = []

    class Counting(FolderArtifacts):
        def get(self, wanted: Digest, region: str | None = None) -> bytes:
            fetched.append((wanted, region))
            raise ArtifactMissing("gone")

    with pytest.raises(IntegrityBroken):
        look(scene.plan, replace(scene.ports, artifacts=Counting(scene.company.tmp)))
    assert len(fetched) == len(set(fetched)) == 6


def test_credentials_of_the_runner_are_nobody_elses_fault(scene: Scene) -> None:
    scene.company.cloud.fault(
        Fault(kind=FaultKind.NO_CREDENTIALS, call="describe", account=scene.account("c4"), times=0)
    )
    with pytest.raises(CredentialsRefused):
        scene.begin()


# --- once, and before anything else ----------------------------------------------------------------


def test_what_promote_would_refuse_anyway_is_refused_before_any_account_is_looked_at(scene: Scene) -> None:
    scene.company.clock.advance(timedelta(hours=25))
    with pytest.raises(PlanStale):
        scene.begin()
    untested = replace(scene.plan, digest=scene.company.manifest("9.9.9").digest)
    with pytest.raises((EvidenceMissing, IntegrityBroken)):
        admit_looked_at(untested, scene.ports, WHO)
    assert scene.company.cloud.calls("reach") == 0


def test_a_runner_that_died_between_the_plan_and_the_look_looks_again(scene: Scene) -> None:
    admit(scene.plan, scene.company.journal, scene.company.clock, WHO)
    assert scene.begin() == e.PreflightDone()
    run = fold_run(scene.company.journal.read(e.release_stream(scene.plan.release)))
    assert (run.run, run.plan, run.preflight_done) == (Run.PLANNED, plan_digest(scene.plan), True)


def test_a_run_that_has_begun_is_never_stopped_by_a_second_look(scene: Scene) -> None:
    plan = scene.plan
    admit(plan, scene.company.journal, scene.company.clock, WHO)
    stream = e.release_stream(plan.release)
    head = scene.company.journal.head(stream)
    begun = (e.WaveStarted(wave=0),)
    scene.company.journal.append(stream, begun, expected=head.seq, fence=1, actor="ann")
    scene.company.cloud.fault(Fault(kind=FaultKind.SUSPENDED, call="reach", times=0))
    assert preflight(plan, scene.ports, WHO) is None
    assert scene.company.cloud.calls("reach") == 0


def test_a_halt_that_comes_while_accounts_are_looked_at_stands(scene: Scene) -> None:
    stream = e.release_stream(scene.plan.release)
    journal = scene.company.journal
    admit(scene.plan, journal, scene.company.clock, WHO)
    reach = scene.inspection.reach
    halts = [e.RunHalted(reason="stop", by="bob")]

    def halting(place: Place) -> None:
        while halts:
            said = (halts.pop(),)
            journal.append(stream, said, expected=journal.head(stream).seq, fence=1, actor="bob")
        reach(place)

    ports = replace(scene.ports, inspection=_Reaching(scene.inspection, halting))
    assert preflight(scene.plan, ports, WHO) is None
    assert fold_run(journal.read(stream)).run is Run.HALTED


def test_a_plan_is_looked_at_in_the_plans_own_order(scene: Scene) -> None:
    plan: Plan = scene.plan
    order: list[str] = []
    reach = scene.inspection.reach

    def noting(place: Place) -> None:
        order.append(f"{place.account}/{place.region}")
        reach(place)

    look(plan, replace(scene.ports, inspection=_Reaching(scene.inspection, noting)))
    assert order == [f"{target.account}/{target.id.region}" for target in plan.targets]
