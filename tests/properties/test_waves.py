"""Waves partition the targets and do not depend on the order in which anybody listed the clients."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.decide.canary import Trait, canary_size, draw_canary, stratum_of
from pipeline.decide.waves import Candidate, cut_waves, draw_and_cut
from pipeline.model.ids import TargetId
from pipeline.model.plan import CanaryDraw, WaveKind
from pipeline.model.policy import CanaryPolicy, WavePolicy, WaveSize

REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")
SERVICE = (TargetId("@intake", "us-east-1"),)


def _candidate(name: str, regions: tuple[str, ...], ring: str) -> Candidate:
    return Candidate(client=name, ring=ring, targets=tuple(TargetId(name, region) for region in regions))


candidates = st.lists(
    st.builds(
        _candidate,
        st.from_regex(r"[a-z]{2,6}", fullmatch=True),
        st.lists(st.sampled_from(REGIONS), min_size=1, max_size=3, unique=True).map(tuple),
        st.sampled_from(["canary", "early", "default", "west", "late"]),
    ),
    max_size=25,
    unique_by=lambda candidate: candidate.client,
)
sizes = st.lists(
    st.one_of(
        st.builds(WaveSize, st.integers(1, 30), st.just("clients")),
        st.builds(WaveSize, st.integers(1, 100), st.just("%")),
        st.just(WaveSize(0, "rest")),
        st.builds(WaveSize, st.just(0), st.just("ring"), st.sampled_from(["early", "west", "nobodys"])),
    ),
    min_size=1,
    max_size=5,
).map(tuple)
policies = st.builds(WavePolicy, canary=st.builds(CanaryPolicy, clients=st.integers(1, 4)), sizes=sizes)
seeds = st.text(max_size=8)


@settings(deadline=None)
@given(clients=candidates, policy=policies, seed=seeds, served=st.booleans())
def test_every_target_is_in_exactly_one_wave(
    clients: list[Candidate], policy: WavePolicy, seed: str, served: bool
) -> None:
    service = SERVICE if served else ()
    waves = cut_waves(service, clients, policy, seed)
    placed = [target for wave in waves for target in wave.targets]

    assert sorted(placed) == sorted([*service, *(t for c in clients for t in c.targets)])
    assert all(wave.targets for wave in waves)
    assert len({wave.name for wave in waves}) == len(waves)


@settings(deadline=None)
@given(clients=candidates, policy=policies, seed=seeds, data=st.data())
def test_waves_do_not_depend_on_the_order_of_the_fleet(
    clients: list[Candidate], policy: WavePolicy, seed: str, data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(clients))

    assert cut_waves(SERVICE, shuffled, policy, seed) == cut_waves(SERVICE, clients, policy, seed)


@settings(deadline=None)
@given(clients=candidates, policy=policies, seed=seeds)
def test_the_service_comes_first_then_the_canary_then_the_rest(
    clients: list[Candidate], policy: WavePolicy, seed: str
) -> None:
    kinds = [wave.kind for wave in cut_waves(SERVICE, clients, policy, seed)]
    expected = [WaveKind.SERVICE, *([WaveKind.CANARY] if clients else [])]

    assert kinds[: len(expected)] == expected
    assert set(kinds[len(expected) :]) <= {WaveKind.WAVE}


@settings(deadline=None)
@given(clients=candidates, policy=policies, seed=seeds)
def test_a_client_is_in_one_wave_with_its_regions_in_its_own_order(
    clients: list[Candidate], policy: WavePolicy, seed: str
) -> None:
    waves = cut_waves((), clients, policy, seed)

    for client in clients:
        homes = [wave for wave in waves if set(wave.targets) & set(client.targets)]
        assert len(homes) == 1
        assert tuple(t for t in homes[0].targets if t.owner == client.client) == client.targets


@settings(deadline=None)
@given(clients=candidates, policy=policies, seed=seeds)
def test_a_bolder_ring_never_comes_after_a_more_careful_one_unless_sizes_name_a_ring(
    clients: list[Candidate], policy: WavePolicy, seed: str
) -> None:
    policy = replace(policy, sizes=tuple(size for size in policy.sizes if size.unit != "ring"))
    rings = {c.client: c.ring for c in clients}
    order = [rings[t.owner] for wave in cut_waves((), clients, policy, seed) for t in wave.targets]
    ranks = [["canary", "early", "default", "west", "late"].index(ring) for ring in order]

    assert ranks == sorted(ranks)


# --- who is drawn ----------------------------------------------------------------------------------

TRAITS = tuple(Trait(kind=kind, what=f"{kind} {n}") for kind in ("effect", "Region") for n in range(4))


def _varied(
    name: str, regions: tuple[str, ...], ring: str, size: str, willing: bool, traits: frozenset[Trait]
) -> Candidate:
    return replace(_candidate(name, regions, ring), size=size, willing=willing, traits=traits)


varied = st.lists(
    st.builds(
        _varied,
        st.from_regex(r"[a-z]{2,6}", fullmatch=True),
        st.lists(st.sampled_from(REGIONS), min_size=1, max_size=2, unique=True).map(tuple),
        st.sampled_from(["canary", "early", "default", "late"]),
        st.sampled_from(["", "large"]),
        st.sampled_from([True, True, True, False]),
        st.frozensets(st.sampled_from(TRAITS), max_size=3),
    ),
    min_size=1,
    max_size=20,
    unique_by=lambda candidate: candidate.client,
)


def drawn(clients: list[Candidate], wanted: int, seed: str) -> CanaryDraw:
    draw = draw_canary(clients, wanted, seed)
    assert draw is not None
    return draw


def covered(clients: list[Candidate], draw: CanaryDraw) -> frozenset[Trait]:
    return frozenset[Trait]().union(*(c.traits for c in clients if c.client in draw.canaries))


@settings(deadline=None)
@given(clients=varied, wanted=st.integers(1, 8), seed=seeds)
def test_a_canary_is_never_larger_than_asked_for_and_leaves_one_behind_of_more_than_three(
    clients: list[Candidate], wanted: int, seed: str
) -> None:
    draw = drawn(clients, wanted, seed)

    assert 1 <= len(draw.canaries) <= wanted
    assert len(set(draw.canaries)) == len(draw.canaries)
    assert len(clients) <= 3 or len(draw.canaries) < len(clients)


@settings(deadline=None)
@given(clients=varied, wanted=st.integers(1, 8), seed=seeds)
def test_strata_hold_all_who_could_be_drawn_and_nobody_else(
    clients: list[Candidate], wanted: int, seed: str
) -> None:
    draw = drawn(clients, wanted, seed)
    named = {client.client: client for client in clients}
    held = [name for stratum in draw.strata for name in stratum.clients]

    assert len(set(held)) == len(held)
    assert sorted(name for stratum in draw.strata for name in stratum.canaries) == sorted(draw.canaries)
    for stratum in draw.strata:
        assert {stratum_of(named[name]) for name in stratum.clients} == {stratum.name}
        assert set(stratum.canaries) <= set(stratum.clients)


@settings(deadline=None)
@given(clients=varied, wanted=st.integers(1, 8), seed=seeds)
def test_who_opted_out_and_who_would_not_change_go_first_only_where_nobody_else_is(
    clients: list[Candidate], wanted: int, seed: str
) -> None:
    draw = drawn(clients, wanted, seed)
    first = [client for client in clients if client.client in draw.canaries]
    willing = [client for client in clients if client.willing]

    assert all(client.willing for client in first) or not willing
    assert all(client.traits for client in first) or not any(c.traits for c in willing or clients)


@settings(deadline=None)
@given(clients=varied, wanted=st.integers(1, 6), seed=seeds)
def test_a_larger_canary_never_covers_less(clients: list[Candidate], wanted: int, seed: str) -> None:
    fewer, more = drawn(clients, wanted, seed), drawn(clients, wanted + 1, seed)

    assert len(covered(clients, more)) >= len(covered(clients, fewer))


@settings(deadline=None)
@given(clients=varied, wanted=st.integers(1, 8), seed=seeds)
def test_what_is_not_covered_is_told_and_nothing_else(
    clients: list[Candidate], wanted: int, seed: str
) -> None:
    draw = drawn(clients, wanted, seed)
    everything = frozenset[Trait]().union(*(client.traits for client in clients))

    assert len(draw.uncovered) == len(everything - covered(clients, draw))


@settings(deadline=None)
@given(clients=varied, seed=seeds)
def test_a_canary_with_a_seat_for_each_trait_covers_all_that_the_willing_can(
    clients: list[Candidate], seed: str
) -> None:
    willing = [client for client in clients if client.willing] or clients
    draw = drawn(clients, len(TRAITS), seed)
    size = canary_size(len(TRAITS), len(clients), len([c for c in willing if c.traits] or willing))
    possible = frozenset[Trait]().union(*(client.traits for client in willing))

    if size == len(TRAITS) and any(client.willing for client in clients):
        assert covered(clients, draw) == possible


@settings(deadline=None)
@given(clients=varied, wanted=st.integers(1, 5), seed=seeds, data=st.data())
def test_a_draw_can_be_drawn_again_by_anybody_who_knows_its_seed(
    clients: list[Candidate], wanted: int, seed: str, data: st.DataObject
) -> None:
    draw = drawn(clients, wanted, seed)

    assert drawn(data.draw(st.permutations(clients)), wanted, draw.seed) == draw


@settings(deadline=None)
@given(clients=varied, wanted=st.integers(1, 5), seed=seeds)
def test_a_draw_that_left_nothing_to_chance_does_not_call_itself_random(
    clients: list[Candidate], wanted: int, seed: str
) -> None:
    draw = drawn(clients, wanted, seed)
    open_strata = [s for s in draw.strata if s.canaries and len(s.canaries) < len(s.clients)]

    assert open_strata or not draw.randomised


@settings(deadline=None)
@given(clients=varied, policy=policies, seed=seeds)
def test_only_the_wave_for_the_late_is_empty_and_it_comes_last(
    clients: list[Candidate], policy: WavePolicy, seed: str
) -> None:
    waves, _ = draw_and_cut(SERVICE, clients, policy, seed, late=True)

    assert [bool(wave.targets) for wave in waves] == [True] * (len(waves) - 1) + [False]
    assert waves[-1].kind is WaveKind.WAVE
    assert [wave.number for wave in waves] == list(range(len(waves)))
    assert waves[:-1] == cut_waves(SERVICE, clients, policy, seed)
