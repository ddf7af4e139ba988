"""Floor 2, the canary: which clients go first. Pure: the same fleet and seed give the same draw.

Clients are drawn at random inside strata (ring, primary Region, size), so that what is later seen of them may be
compared by permuting labels inside those strata. How many of a stratum go is settled first, then who:

- Rings go in their order, `canary` first: the boldest rings that fill the canary are the preferred pool, and a
  ring's seats are shared out among its strata by size, remainders by lot.
- The canary shall stand for the plan: every distinct effect, Region and class of parameters of the plan is to be in
  it. Draws are repeated, each from the seed and its number alone, until one covers as much as can be covered; what
  is accepted is still a random draw among those that cover. Where the preferred pool cannot cover everything but
  it could with others, as few seats as it takes, and never all of them, are open to all strata. Where that would not
  do either, the preferred pool stays and what is not covered is told.
- Where no draw covers, the clients are chosen instead, and the draw says `randomised = False`. It says the same
  where there was nothing to draw, since all of a stratum go or none.
- A client who opted out is never drawn while another is left; one for whom nothing would change proves nothing and
  is not drawn while for another something does; one who may not be changed within a day, for a freeze or a window
  that is far off, would keep everybody waiting and is not drawn while another may.
- Beyond three clients one is always left behind the canary, to compare with.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline.model.ids import TargetId
from pipeline.model.plan import CanaryDraw, Stratum

__all__ = ["Candidate", "Trait", "by_lot", "canary_size", "draw_canary", "ring_rank", "stratum_of"]

_FIRST_RINGS = ("canary", "early")
_LAST_RING = "late"
_DRAWS = 200
"""draws at each number of open seats"""
_BUDGET, _MOST_MASKS, _MOST_SEATS = 2_000, 64, 12
"""steps of the search for the best cover, and what it is tried for; beyond that the greedy cover stands"""
_FIRSTS = 16
"""Kinds of clients of the boldest ring with which a cover is tried."""
_SMALL = 3
"""so few clients may all be canaries"""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Trait:
    """Something of the plan that a canary can prove. kind: `effect`, `Region` or `parameters`; what: which one,
    as a person reads it; key: tells apart two that read alike."""

    kind: str
    what: str
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One client that will get the release, with its targets in its Region order.

    willing: False for a client who opted out of the canary. ready: False for one who may not be changed soon.
    traits: empty where nothing would change.
    """

    client: str
    ring: str
    targets: tuple[TargetId, ...]
    size: str = ""
    willing: bool = True
    ready: bool = True
    traits: frozenset[Trait] = frozenset()


def ring_rank(ring: str) -> tuple[int, str]:
    """canary, early, then a company's own rings (`default` among them) by name, then late."""
    if ring in _FIRST_RINGS:
        return (_FIRST_RINGS.index(ring), "")
    return (len(_FIRST_RINGS) + (ring == _LAST_RING), ring)


def stratum_of(client: Candidate) -> str:
    """The name of the client's stratum, such as `default / us-east-1 / small`."""
    return " / ".join(part for part in (client.ring, client.targets[0].region, client.size) if part)


def by_lot(seed: str, *parts: object) -> int:
    """A number below 2**64 that the seed and the parts determine, and nobody can steer."""
    text = "\n".join([seed, *map(str, parts)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])


def canary_size(wanted: int, clients: int, pool: int) -> int:
    """How many of `clients` go first: what is wanted, but one is left behind where there are more than three."""
    return min(wanted, pool, clients if clients <= _SMALL else clients - 1)


def draw_canary(clients: Sequence[Candidate], wanted: int, seed: str) -> CanaryDraw | None:
    """None for no clients. The canary's clients are named in the order in which they go."""
    if not clients:
        return None
    pool = _pool(clients)
    size = canary_size(wanted if pool[0].willing else 1, len(clients), len(pool))
    strata = _strata(pool)
    aim = _aim(pool, strata, size, seed)
    chosen, attempts = _first_covering(strata, aim, size, seed)
    drawn = bool(chosen)
    if not drawn:
        chosen = _filled(aim.best, pool, size, seed)
    ordered = sorted(chosen, key=lambda c: (ring_rank(c.ring), by_lot(seed, "turn", c.client)))
    named = tuple(
        Stratum(
            name=name,
            clients=tuple(c.client for c in members),
            canaries=tuple(c.client for c in ordered if stratum_of(c) == name),
        )
        for name, members in strata.items()
    )
    return CanaryDraw(
        seed=seed,
        strata=named,
        canaries=tuple(c.client for c in ordered),
        randomised=drawn and any(0 < len(s.canaries) < len(s.clients) for s in named),
        attempts=attempts,
        uncovered=_uncovered(clients, ordered),
    )


def _pool(clients: Sequence[Candidate]) -> list[Candidate]:
    """Who may be drawn, by name; never empty."""
    ordered = sorted(clients, key=lambda c: c.client)
    willing = [c for c in ordered if c.willing] or ordered
    changing = [c for c in willing if c.traits] or willing
    return [c for c in changing if c.ready] or changing


def _strata(pool: Sequence[Candidate]) -> dict[str, list[Candidate]]:
    """Bold rings first, then by name."""
    found: dict[str, list[Candidate]] = {}
    for client in sorted(pool, key=lambda c: (ring_rank(c.ring), stratum_of(c), c.client)):
        found.setdefault(stratum_of(client), []).append(client)
    return found


def _uncovered(clients: Sequence[Candidate], canaries: Sequence[Candidate]) -> tuple[str, ...]:
    proven = frozenset[Trait]().union(*(c.traits for c in canaries))
    wanted = frozenset[Trait]().union(*(c.traits for c in clients))
    return tuple(
        _sentence(trait, sum(trait in c.traits for c in clients)) for trait in sorted(wanted - proven)
    )


def _sentence(trait: Trait, clients: int) -> str:
    whose = "1 client" if clients == 1 else f"{clients} clients"
    match trait.kind:
        case "Region":
            return f"no canary client is in {trait.what}, where {whose} will be changed"
        case "parameters":
            return f"no canary client sets the parameters of {whose}: {trait.what or 'none at all'}"
        case _:
            return f"no canary client gets the change of {whose}: {trait.what}"


# --- drawing ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Aim:
    """mask: each client's traits as bits, so that thousands of draws can be weighed. enough: how many traits a draw
    has to cover. best: clients who do. free: how many seats may at most be open to the strata of `to`."""

    mask: Mapping[str, int]
    enough: int
    best: list[Candidate]
    free: int
    to: tuple[str, ...]

    def reach(self, chosen: Sequence[Candidate]) -> int:
        """How many traits these clients have between them."""
        return _union([self.mask[client.client] for client in chosen]).bit_count()


def _aim(pool: Sequence[Candidate], strata: Mapping[str, Sequence[Candidate]], size: int, seed: str) -> _Aim:
    traits = sorted(frozenset[Trait]().union(*(c.traits for c in pool)))
    bit = {trait: 1 << n for n, trait in enumerate(traits)}
    mask = {c.client: sum(bit[t] for t in c.traits) for c in pool}
    sure: list[Candidate] = []
    names: list[str] = []
    for names in _rings(strata):
        ring = [client for name in names for client in strata[name]]
        if len(sure) + len(ring) >= size:
            break
        sure += ring
    held, left = _union([mask[c.client] for c in sure]), size - len(sure)
    best = [*sure, *_best_cover([c for name in names for c in strata[name]], mask, held, left, seed)]
    preferred = _Aim(
        mask=mask,
        enough=_union([mask[c.client] for c in best]).bit_count(),
        best=best,
        free=left,
        to=tuple(names),
    )
    if preferred.enough == len(traits):
        return preferred
    first = [client for name in next(_rings(strata)) for client in strata[name]]
    for client in _of_each_kind(first, mask, 0, seed)[:_FIRSTS] if size > 1 else ():
        others = [other for other in pool if other.client != client.client]
        best = [client, *_best_cover(others, mask, mask[client.client], size - 1, seed, all_or_nothing=True)]
        if preferred.reach(best) == len(traits):
            return _Aim(mask=mask, enough=len(traits), best=best, free=size - 1, to=tuple(strata))
    return preferred


def _first_covering(
    strata: Mapping[str, Sequence[Candidate]], aim: _Aim, size: int, seed: str
) -> tuple[list[Candidate], int]:
    """(the first draw that covers enough, or nothing; how many draws it took)."""
    number = 0
    for free in sorted({0, 1, 2, aim.free // 2, aim.free}):
        if free > aim.free:
            continue
        for _ in range(_DRAWS):
            lot = f"{seed}\n{number}"
            number += 1
            drawn = [
                client
                for name, seats in _seats(strata, size, free, aim.to, lot).items()
                for client in _some(strata[name], seats, f"{lot}\n{name}")
            ]
            if aim.reach(drawn) >= aim.enough:
                return drawn, number
    return [], number


def _rings(strata: Mapping[str, Sequence[Candidate]]) -> Iterator[list[str]]:
    """Names of strata, ring by ring, bold ones first; strata come in that order."""
    ring, names = "", list[str]()
    for name, members in strata.items():
        if names and members[0].ring != ring:
            yield names
            names = []
        ring = members[0].ring
        names.append(name)
    yield names


def _seats(
    strata: Mapping[str, Sequence[Candidate]], size: int, free: int, to: Sequence[str], lot: str
) -> dict[str, int]:
    """How many of each stratum go: all but `free` seats ring by ring, the free ones to any of `to` with room."""
    seats = dict.fromkeys(strata, 0)
    left = size - free
    for names in _rings(strata):
        ring = {name: len(strata[name]) for name in names}
        share = min(left, sum(ring.values()))
        for name, many in _shared_out(ring, share, lot).items():
            seats[name] = many
        left -= share
    for turn in range(free):
        room = [name for name in to if seats[name] < len(strata[name])]
        seats[room[by_lot(lot, "free", turn) % len(room)]] += 1
    return seats


def _shared_out(sizes: Mapping[str, int], seats: int, lot: str) -> dict[str, int]:
    """In proportion to size; what remains by lot, each stratum's chance as large as its remainder."""
    total = sum(sizes.values())
    found = {name: seats * size // total for name, size in sizes.items()}
    left = seats - sum(found.values())
    if not left:
        return found
    weight = {name: (seats * size % total) / total for name, size in sizes.items()}
    entitled = [name for name in sizes if weight[name] > 0]
    # Efraimidis and Spirakis: the smallest -log(u)/weight are a weighted draw without replacement.
    entitled.sort(key=lambda name: -math.log((by_lot(lot, "seat", name) + 1) / 2**64) / weight[name])
    for name in entitled[:left]:
        found[name] += 1
    return found


def _some(members: Sequence[Candidate], number: int, lot: str) -> list[Candidate]:
    left, found = list(members), []
    for turn in range(number):
        found.append(left.pop(by_lot(lot, turn) % len(left)))
    return found


# --- choosing, where drawing does not cover -----------------------------------------------------------


def _best_cover(
    clients: Sequence[Candidate],
    mask: Mapping[str, int],
    held: int,
    seats: int,
    seed: str,
    *,
    all_or_nothing: bool = False,
) -> list[Candidate]:
    """At most so many clients who add as many traits to `held` as the search could find: the greedy cover, bettered
    where a bounded exact search finds more. all_or_nothing: do not look for what adds only some more."""
    classes = {mask[c.client] & ~held: c for c in _of_each_kind(clients, mask, held, seed)}
    masks = [each for each in classes if each]
    search = _Search(masks, seats, _greedy(masks, seats), all_or_nothing)
    return [classes[each] for each in search.best]


def _of_each_kind(
    clients: Sequence[Candidate], mask: Mapping[str, int], held: int, seed: str
) -> list[Candidate]:
    """One client for each set of traits beyond `held`: of the boldest ring, and there by lot."""
    classes: dict[int, Candidate] = {}
    for client in sorted(clients, key=lambda c: (ring_rank(c.ring), by_lot(seed, "cover", c.client))):
        classes.setdefault(mask[client.client] & ~held, client)
    return list(classes.values())


def _greedy(masks: Sequence[int], seats: int) -> list[int]:
    found: list[int] = []
    covered = 0
    while len(found) < seats:
        best = max(masks, key=lambda mask: (mask & ~covered).bit_count(), default=0)
        if not best & ~covered:
            break
        found.append(best)
        covered |= best
    return found


class _Search:
    """Maximum coverage by branch and bound, up to a number of steps."""

    def __init__(self, masks: Sequence[int], seats: int, greedy: list[int], all_or_nothing: bool) -> None:
        self._steps = _BUDGET
        self._masks = masks
        self._all = _union(masks).bit_count()
        self.best = greedy
        self._reach = _union(greedy).bit_count()
        if all_or_nothing:
            self._reach = max(self._reach, self._all - 1)
        if len(masks) <= _MOST_MASKS and seats <= _MOST_SEATS:
            self._extend([], 0, 0, seats)

    def _extend(self, chosen: list[int], covered: int, start: int, left: int) -> None:
        self._steps -= 1
        if covered.bit_count() > self._reach:
            self.best, self._reach = list(chosen), covered.bit_count()
        if not left or self._steps <= 0 or self._reach == self._all:
            return
        gains = sorted(((m & ~covered).bit_count() for m in self._masks[start:]), reverse=True)
        if covered.bit_count() + sum(gains[:left]) <= self._reach:
            return
        for n in range(start, len(self._masks)):
            self._extend([*chosen, self._masks[n]], covered | self._masks[n], n + 1, left - 1)


def _union(masks: Sequence[int]) -> int:
    covered = 0
    for mask in masks:
        covered |= mask
    return covered


def _filled(chosen: list[Candidate], pool: Sequence[Candidate], size: int, seed: str) -> list[Candidate]:
    named = {client.client for client in chosen}
    rest = [client for client in pool if client.client not in named]
    rest.sort(key=lambda c: (ring_rank(c.ring), by_lot(seed, "fill", c.client)))
    return [*chosen, *rest[: size - len(chosen)]]
