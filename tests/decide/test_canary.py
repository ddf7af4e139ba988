"""Who goes first: drawn by lot, standing for the whole plan, and honest about what it does not stand for."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from pipeline.decide.canary import Candidate, Trait, canary_size, draw_canary
from pipeline.model.ids import TargetId
from pipeline.model.plan import CanaryDraw, Stratum

CODE = Trait(kind="effect", what="Modify Form (AWS::Lambda::Function)", key="a")
TABLE = Trait(kind="effect", what="Modify Forms (AWS::DynamoDB::Table)", key="b")
PLAIN = Trait(kind="parameters", what="")
PEERS = Trait(kind="parameters", what="PeerRegions")


def a_client(
    name: str,
    *traits: Trait,
    ring: str = "default",
    region: str = "us-east-1",
    size: str = "",
    willing: bool = True,
) -> Candidate:
    return Candidate(
        client=name,
        ring=ring,
        targets=(TargetId(name, region),),
        size=size,
        willing=willing,
        traits=frozenset({*traits, Trait(kind="Region", what=region)}) if traits else frozenset(),
    )


def several(many: int, *traits: Trait, ring: str = "default", region: str = "us-east-1") -> list[Candidate]:
    return [a_client(f"{ring}-{region}-{n}", *traits, ring=ring, region=region) for n in range(many)]


def the_draw(clients: list[Candidate], wanted: int, seed: str = "intake@1.4.0") -> CanaryDraw:
    draw = draw_canary(clients, wanted, seed)
    assert draw is not None
    return draw


def test_nobody_is_drawn_of_nobody() -> None:
    assert draw_canary([], 3, "seed") is None


@pytest.mark.parametrize(
    ("wanted", "clients", "pool", "size"),
    [(3, 1, 1, 1), (3, 3, 3, 3), (3, 4, 4, 3), (5, 5, 5, 4), (5, 4, 4, 3), (9, 9, 2, 2), (1, 50, 50, 1)],
)
def test_one_of_more_than_three_clients_is_left_to_compare_with(
    wanted: int, clients: int, pool: int, size: int
) -> None:
    assert canary_size(wanted, clients, pool) == size


# --- by lot -----------------------------------------------------------------------------------------


def test_inside_a_stratum_everybody_is_drawn_equally_often() -> None:
    clients = several(12, CODE)
    times = Counter(
        name for version in range(600) for name in the_draw(clients, 3, f"intake@1.{version}.0").canaries
    )

    # 150 expected each; a standard deviation is below 11
    assert set(times) == {client.client for client in clients}
    assert all(100 <= many <= 200 for many in times.values()), times


def test_seats_are_shared_out_in_proportion_to_the_strata() -> None:
    clients = several(20, CODE) + several(10, CODE, region="eu-west-1")
    regions = Counter(
        sum(name.startswith("default-us") for name in the_draw(clients, 6, f"seed {n}").canaries)
        for n in range(50)
    )

    assert regions == {4: 50}


def test_what_is_left_of_a_share_goes_by_lot() -> None:
    clients = several(7, CODE) + several(3, CODE, region="eu-west-1")
    seats = Counter(
        sum(name.startswith("default-eu") for name in the_draw(clients, 1, f"seed {n}").canaries)
        for n in range(400)
    )

    # 120 expected
    assert 80 <= seats[1] <= 160, seats


def test_it_is_not_always_the_same_client_that_goes_first() -> None:
    clients = several(4, CODE)
    first = Counter(the_draw(clients, 3, f"digest {n}").canaries[0] for n in range(200))

    assert set(first) == {client.client for client in clients}


def test_a_draw_names_its_strata_and_what_it_was_drawn_from() -> None:
    clients = [
        a_client("acme", CODE, size="large"),
        a_client("birch", CODE, size="large"),
        a_client("cedar", CODE),
        a_client("elm", CODE),
        a_client("oak", CODE, willing=False),
    ]
    draw = the_draw(clients, 2)

    assert [(stratum.name, stratum.clients) for stratum in draw.strata] == [
        ("default / us-east-1", ("cedar", "elm")),
        ("default / us-east-1 / large", ("acme", "birch")),
    ]
    assert {len(stratum.canaries) for stratum in draw.strata} == {1}
    assert (draw.seed, draw.randomised, draw.attempts, draw.uncovered) == ("intake@1.4.0", True, 1, ())


# --- rings ------------------------------------------------------------------------------------------


def test_clients_of_the_ring_canary_are_taken_before_any_other() -> None:
    clients = several(10, CODE) + several(5, CODE, ring="canary") + several(5, CODE, ring="early")
    draw = the_draw(clients, 3)

    assert {name.partition("-")[0] for name in draw.canaries} == {"canary"}
    assert draw.randomised


def test_a_ring_that_is_too_small_is_filled_up_from_the_next_one() -> None:
    clients = several(10, CODE) + several(1, CODE, ring="canary") + several(4, CODE, ring="early")
    draw = the_draw(clients, 3)

    assert [name.partition("-")[0] for name in draw.canaries] == ["canary", "early", "early"]
    assert draw.randomised


def test_a_ring_that_goes_as_a_whole_was_somebodys_choice_and_no_draw() -> None:
    draw = the_draw(several(10, CODE) + several(3, CODE, ring="canary"), 3)

    assert {name.partition("-")[0] for name in draw.canaries} == {"canary"}
    assert not draw.randomised


# --- standing for the plan -----------------------------------------------------------------------------


def test_a_region_that_the_bold_ring_does_not_know_gets_a_seat_and_no_more() -> None:
    clients = several(5, CODE, ring="canary") + several(9, CODE, region="eu-west-1")
    draw = the_draw(clients, 3)

    assert [name.partition("-")[0] for name in draw.canaries] == ["canary", "canary", "default"]
    assert (draw.randomised, draw.uncovered) == (True, ())


def test_a_canary_of_one_is_of_the_bold_ring_whatever_it_leaves_uncovered() -> None:
    both = Candidate(
        client="both",
        ring="default",
        targets=(TargetId("both", "us-east-1"), TargetId("both", "eu-west-1")),
        traits=frozenset({CODE, *(Trait(kind="Region", what=r) for r in ("us-east-1", "eu-west-1"))}),
    )
    draw = the_draw([a_client("ada", CODE, ring="early"), both, *several(3, CODE)], 1)

    assert draw.canaries == ("ada",)
    assert draw.uncovered == ("no canary client is in eu-west-1, where 1 client will be changed",)


def test_a_change_that_few_clients_get_is_in_the_canary_and_the_others_are_still_drawn() -> None:
    clients = [*several(30, CODE), a_client("odd", TABLE)]
    canaries = Counter(name for n in range(60) for name in the_draw(clients, 3, f"seed {n}").canaries)

    assert canaries["odd"] == 60
    assert len(canaries) > 20
    assert the_draw(clients, 3).randomised


def test_where_no_draw_covers_the_clients_are_chosen_and_that_is_said() -> None:
    rare = [
        a_client(name, Trait(kind="effect", what=name), PLAIN) for name in ("one", "two", "three", "four")
    ]
    draw = the_draw([*several(300, CODE, PLAIN), *rare], 5)

    assert set(draw.canaries) >= {"one", "two", "three", "four"}
    assert (draw.randomised, draw.uncovered) == (False, ())
    assert draw.attempts > 100


def test_what_so_few_clients_cannot_stand_for_is_told_in_words() -> None:
    clients = [
        a_client("acme", CODE, PEERS),
        a_client("birch", CODE, PLAIN),
        a_client("cedar", TABLE, PLAIN, region="eu-west-1"),
        a_client("elm", TABLE, PLAIN, region="eu-west-1"),
    ]
    draw = the_draw(clients, 1)
    told = {
        "acme": (
            "no canary client is in eu-west-1, where 2 clients will be changed",
            "no canary client gets the change of 2 clients: Modify Forms (AWS::DynamoDB::Table)",
            "no canary client sets the parameters of 3 clients: none at all",
        ),
        "birch": (
            "no canary client is in eu-west-1, where 2 clients will be changed",
            "no canary client gets the change of 2 clients: Modify Forms (AWS::DynamoDB::Table)",
            "no canary client sets the parameters of 1 client: PeerRegions",
        ),
    }
    for other in ("cedar", "elm"):
        told[other] = (
            "no canary client is in us-east-1, where 2 clients will be changed",
            "no canary client gets the change of 2 clients: Modify Form (AWS::Lambda::Function)",
            "no canary client sets the parameters of 1 client: PeerRegions",
        )

    assert draw.uncovered == told[draw.canaries[0]]
    assert draw.randomised


# --- who is spared ----------------------------------------------------------------------------------


def test_who_opted_out_is_not_drawn_and_belongs_to_no_stratum() -> None:
    clients = [a_client("acme", CODE), a_client("birch", CODE, willing=False), a_client("cedar", CODE)]

    assert set(the_draw(clients, 3).canaries) == {"acme", "cedar"}
    assert {name for s in the_draw(clients, 3).strata for name in s.clients} == {"acme", "cedar"}


def test_what_only_those_could_show_who_opted_out_is_told() -> None:
    clients = [*several(4, CODE), a_client("far", CODE, region="eu-west-1", willing=False)]

    assert the_draw(clients, 3).uncovered == (
        "no canary client is in eu-west-1, where 1 client will be changed",
    )


def test_where_everybody_opted_out_one_goes_first_all_the_same() -> None:
    draw = the_draw([a_client(name, CODE, willing=False) for name in ("acme", "birch", "cedar", "elm")], 3)

    assert len(draw.canaries) == 1
    assert draw.strata[0] == Stratum(
        name="default / us-east-1", clients=("acme", "birch", "cedar", "elm"), canaries=draw.canaries
    )


def test_for_whom_nothing_would_change_proves_nothing_by_going_first() -> None:
    clients = [*(a_client(name) for name in ("acme", "birch", "cedar", "elm")), a_client("oak", CODE)]

    assert the_draw(clients, 3).canaries == ("oak",)


def test_a_client_who_may_not_be_changed_for_days_does_not_keep_everybody_waiting() -> None:
    held = [replace(client, ready=False) for client in several(5, CODE, ring="canary")]
    draw = the_draw([*held, *several(5, CODE)], 3)

    assert {name.partition("-")[0] for name in draw.canaries} == {"default"}
    assert {name.partition("-")[0] for name in the_draw(held, 3).canaries} == {"canary"}


def test_a_thousand_clients_are_drawn_from_at_once() -> None:
    """The search and the draws are bounded; a plan of a large fleet takes no noticeable time for them."""
    regions = ("us-east-1", "eu-west-1", "ap-south-1", "sa-east-1")
    clients = [
        a_client(
            f"c{n}",
            Trait(kind="effect", what=str(n % 17)),
            Trait(kind="parameters", what=str(n % 5)),
            region=regions[n % 4],
            size=("small", "large")[n % 2],
        )
        for n in range(1000)
    ]
    draw = the_draw(clients, 8)

    assert len(draw.canaries) == 8
    assert len(draw.uncovered) == 17 - 8
