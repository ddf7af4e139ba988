"""Waves partition the targets and do not depend on the order in which anybody listed the clients."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.decide.waves import Candidate, cut_waves
from pipeline.model.ids import TargetId
from pipeline.model.plan import WaveKind
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
    ),
    min_size=1,
    max_size=5,
).map(tuple)
policies = st.builds(WavePolicy, canary=st.builds(CanaryPolicy, clients=st.integers(1, 4)), sizes=sizes)
seeds = st.text(max_size=8)


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


@given(clients=candidates, policy=policies, seed=seeds, data=st.data())
def test_waves_do_not_depend_on_the_order_of_the_fleet(
    clients: list[Candidate], policy: WavePolicy, seed: str, data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(clients))

    assert cut_waves(SERVICE, shuffled, policy, seed) == cut_waves(SERVICE, clients, policy, seed)


@given(clients=candidates, policy=policies, seed=seeds)
def test_the_service_comes_first_then_the_canary_then_the_rest(
    clients: list[Candidate], policy: WavePolicy, seed: str
) -> None:
    kinds = [wave.kind for wave in cut_waves(SERVICE, clients, policy, seed)]
    expected = [WaveKind.SERVICE, *([WaveKind.CANARY] if clients else [])]

    assert kinds[: len(expected)] == expected
    assert set(kinds[len(expected) :]) <= {WaveKind.WAVE}


@given(clients=candidates, policy=policies, seed=seeds)
def test_a_client_is_in_one_wave_with_its_regions_in_its_own_order(
    clients: list[Candidate], policy: WavePolicy, seed: str
) -> None:
    waves = cut_waves((), clients, policy, seed)

    for client in clients:
        homes = [wave for wave in waves if set(wave.targets) & set(client.targets)]
        assert len(homes) == 1
        assert tuple(t for t in homes[0].targets if t.owner == client.client) == client.targets


@given(clients=candidates, policy=policies, seed=seeds)
def test_a_bolder_ring_never_comes_after_a_more_careful_one(
    clients: list[Candidate], policy: WavePolicy, seed: str
) -> None:
    rings = {c.client: c.ring for c in clients}
    order = [rings[t.owner] for wave in cut_waves((), clients, policy, seed) for t in wave.targets]
    ranks = [["canary", "early", "default", "west", "late"].index(ring) for ring in order]

    assert ranks == sorted(ranks)
