"""What every registry of accounts must do. A subclass gives `make`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from pipeline.errors import NotFound, RequestRefused, StreamMoved
from pipeline.model.ids import AccountId
from pipeline.ports import Registry, RegistryRow

MakeRegistry = Callable[[], Registry]
"""Each call opens the same store once more, as another runner would."""

ROW = RegistryRow(
    name="pool-001", kind="test", email="qa+20200516-001@example.com", state="Creating", external_id="x1"
)
FIRST = AccountId("012345670001")
SECOND = AccountId("012345670002")


class RegistryContract:
    @pytest.fixture
    def make(self) -> MakeRegistry:
        raise NotImplementedError

    def test_a_row_is_found_by_name_and_by_account(self, make: MakeRegistry) -> None:
        row = replace(ROW, account=FIRST)

        assert make().add(row) == row
        assert make().row("pool-001") == row
        assert make().by_account(FIRST) == row
        assert make().row("pool-002") is None
        assert make().by_account(SECOND) is None

    def test_rows_come_sorted_and_by_kind(self, make: MakeRegistry) -> None:
        registry = make()
        zoe = RegistryRow(name="zoe", kind="client", email="")
        acme = RegistryRow(name="acme", kind="client", email="", note="the client's own account")
        for row in (zoe, ROW, acme):
            registry.add(row)

        assert registry.rows() == (acme, ROW, zoe)
        assert registry.rows("client") == (acme, zoe)
        assert registry.rows("tools") == ()

    def test_an_address_is_burnt_for_ever_whatever_its_letter_case(self, make: MakeRegistry) -> None:
        make().add(ROW)

        with pytest.raises(RequestRefused, match="was used before, by pool-001"):
            make().add(RegistryRow(name="other", kind="client", email="QA+20200516-001@Example.com"))
        assert make().rows() == (ROW,)

    def test_a_name_is_never_used_twice(self, make: MakeRegistry) -> None:
        make().add(ROW)

        with pytest.raises(RequestRefused, match="the name pool-001 was used before"):
            make().add(replace(ROW, email="another@example.com"))

    def test_an_account_is_never_entered_twice(self, make: MakeRegistry) -> None:
        registry = make()
        registry.add(replace(ROW, account=FIRST))
        other = registry.add(RegistryRow(name="acme", kind="client", email="acme@example.com"))

        with pytest.raises(RequestRefused, match="the account 012345670001 was used before"):
            registry.add(RegistryRow(name="zoe", kind="client", email="", account=FIRST))
        with pytest.raises(RequestRefused, match="the account 012345670001 was used before"):
            registry.change("acme", expected_state="", row=replace(other, account=FIRST))
        assert registry.row("acme") == other

    def test_a_row_changes_only_from_the_state_that_was_expected(self, make: MakeRegistry) -> None:
        registry = make()
        registry.add(ROW)
        ready = replace(ROW, state="Ready", account=FIRST, note="new", external_id="x2")

        assert registry.change("pool-001", expected_state="Creating", row=ready) == ready
        with pytest.raises(StreamMoved, match="pool-001"):
            registry.change("pool-001", expected_state="Creating", row=replace(ready, state="Leased"))
        assert make().row("pool-001") == ready

    @pytest.mark.parametrize(
        "changed",
        [
            replace(ROW, account=FIRST, name="pool-002"),
            replace(ROW, account=FIRST, kind="client"),
            replace(ROW, account=FIRST, email="other@example.com"),
            replace(ROW, account=SECOND),
            replace(ROW, account=None),
        ],
        ids=["name", "kind", "email", "account", "account forgotten"],
    )
    def test_what_an_account_is_never_changes(self, make: MakeRegistry, changed: RegistryRow) -> None:
        registry = make()
        row = registry.add(replace(ROW, account=FIRST))

        with pytest.raises(RequestRefused, match="cannot change"):
            registry.change("pool-001", expected_state="Creating", row=changed)
        assert registry.rows() == (row,)

    def test_a_row_that_does_not_exist_cannot_change(self, make: MakeRegistry) -> None:
        with pytest.raises(NotFound, match="no account named pool-001"):
            make().change("pool-001", expected_state="Creating", row=ROW)

    def test_of_many_runners_that_lease_one_account_at_once_exactly_one_gets_it(
        self, make: MakeRegistry
    ) -> None:
        make().add(replace(ROW, state="Ready"))
        runners = [make() for _ in range(6)]
        together = threading.Barrier(len(runners))

        def race(number: int) -> bool:
            together.wait()
            try:
                runners[number].change(
                    "pool-001", expected_state="Ready", row=replace(ROW, state="Leased", note=f"run {number}")
                )
            except StreamMoved:
                return False
            return True

        with ThreadPoolExecutor(len(runners)) as pool:
            assert sorted(pool.map(race, range(len(runners)))) == [False] * 5 + [True]

    def test_of_many_runners_that_burn_one_address_at_once_exactly_one_gets_it(
        self, make: MakeRegistry
    ) -> None:
        runners = [make() for _ in range(6)]
        together = threading.Barrier(len(runners))

        def race(number: int) -> bool:
            together.wait()
            try:
                runners[number].add(RegistryRow(name=f"pool-{number}", kind="test", email="QA@example.com"))
            except RequestRefused:
                return False
            return True

        with ThreadPoolExecutor(len(runners)) as pool:
            assert sorted(pool.map(race, range(len(runners)))) == [False] * 5 + [True]
