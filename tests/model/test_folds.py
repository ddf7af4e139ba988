"""Both folds are total: whatever a stream says, in whatever order, it folds to a state."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.model import event as e
from pipeline.model.event import Event
from pipeline.model.run_state import RunState, WaveStatus, evolve_run, fold_run
from pipeline.model.target_state import IN_FLIGHT, TERMINAL, Phase, TargetState, evolve_target, fold_target
from tests.model.strategies import envelopes, events, of

streams = st.lists(events, max_size=25)
# A story that begins as stories do, so that the events after it meet a state with an action.
begun = st.tuples(of(e.TargetClaimed), of(e.TargetObserved), streams).map(lambda s: [s[0], s[1], *s[2]])
planned = st.tuples(
    st.builds(e.PlanFixed, plan=of(e.PlanFixed).map(lambda p: p.plan), waves=st.integers(0, 4)), streams
).map(lambda s: [s[0], *s[1]])


@settings(max_examples=150, deadline=None)
@given(said=st.one_of(streams, begun))
def test_every_prefix_of_every_stream_folds_to_a_target(said: list[Event]) -> None:
    state = TargetState()
    for number, entry in enumerate(envelopes(said)):
        state = evolve_target(state, entry)
        assert state == fold_target(envelopes(said)[: number + 1])
        assert len({good.release for good in state.goods}) == len(state.goods)


@settings(max_examples=150, deadline=None)
@given(said=st.one_of(streams, planned))
def test_every_prefix_of_every_stream_folds_to_a_run(said: list[Event]) -> None:
    state = RunState()
    for number, entry in enumerate(envelopes(said)):
        state = evolve_run(state, entry)
        assert state == fold_run(envelopes(said)[: number + 1])
        assert state.current_wave is None or state.wave(state.current_wave).status is not WaveStatus.PASSED


@settings(max_examples=100, deadline=None)
@given(said=begun, claim=of(e.TargetClaimed))
def test_a_new_claim_forgets_the_last_release_and_keeps_the_goods(
    said: list[Event], claim: e.TargetClaimed
) -> None:
    before = fold_target(envelopes(said))
    after = fold_target(envelopes([*said, claim]))

    assert (after.phase, after.release, after.desired) == (Phase.CLAIMED, claim.release, claim.desired)
    assert (after.goods, after.observed) == (before.goods, before.observed)
    assert (after.verdict, after.fault, after.reason) == (None, None, "")
    same_run = (before.plan, before.release) == (claim.plan, claim.release)
    kept = (before.captured, before.previous_good, before.changed, before.attempt) if same_run else None
    assert (after.captured, after.previous_good, after.changed, after.attempt) == (
        kept or (False, None, False, 0)
    )


@settings(max_examples=100, deadline=None)
@given(said=begun, claim=of(e.TargetClaimed))
def test_what_outlives_a_run_is_known_to_the_next_one(said: list[Event], claim: e.TargetClaimed) -> None:
    before = fold_target(envelopes(said))
    after = fold_target(envelopes([*said, claim]))

    assert after.between_runs() == before.between_runs()
    assert before.between_runs().between_runs() == before.between_runs()


@settings(max_examples=100, deadline=None)
@given(said=begun)
def test_only_what_failed_or_is_unknown_is_tried_again(said: list[Event]) -> None:
    before = fold_target(envelopes(said))
    after = fold_target(envelopes([*said, e.TargetRetried(reason="mended")]))

    if before.phase in (Phase.FAILED, Phase.UNKNOWN):
        assert (after.phase, after.attempt) == (Phase.PENDING, before.attempt + 1)
        assert (after.changed, after.previous_good) == (before.changed, before.previous_good)
    else:
        assert after == before


def test_every_phase_is_pending_in_flight_or_terminal() -> None:
    assert IN_FLIGHT | TERMINAL | {Phase.PENDING} == frozenset(Phase)
    assert not IN_FLIGHT & TERMINAL
