"""Every error has a stable code of its own, an exit code of the table, and says what it means."""

from __future__ import annotations

import re
from collections import Counter

from pipeline import errors

# DESIGN, "Exit": 10 (changes or drift present) and 130/143 (interrupted) are no errors.
EXIT_CODES = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12})


def _classes() -> list[type[errors.ReleaseError]]:
    return [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type)
        and issubclass(kind, errors.ReleaseError)
        and kind is not errors.ReleaseError
    ]


def test_codes_are_unique_and_well_formed() -> None:
    codes = Counter(kind.code for kind in _classes())

    assert [code for code, count in codes.items() if count > 1] == []
    assert [code for code in codes if not re.fullmatch(r"E[1-9][0-9]{2}", code)] == []


def test_every_error_declares_a_code_of_its_own() -> None:
    assert [kind.__name__ for kind in _classes() if "code" not in vars(kind)] == []


def test_exit_codes_stand_in_the_table() -> None:
    assert {kind.__name__: kind.exit_code for kind in _classes() if kind.exit_code not in EXIT_CODES} == {}


def test_every_error_is_described_and_exported() -> None:
    assert [kind.__name__ for kind in _classes() if not (kind.__doc__ or "").strip()] == []
    assert sorted(errors.__all__) == sorted([*(kind.__name__ for kind in _classes()), "ReleaseError"])


def test_an_error_carries_what_happened_where_the_world_stands_and_what_to_type() -> None:
    error = errors.LeaseHeld(
        "ann holds the lease", state="nothing was touched", remedy="wait", details=("until 10:00",)
    )

    assert str(error) == "ann holds the lease"
    assert (error.problem, error.state, error.remedy, error.details) == (
        "ann holds the lease",
        "nothing was touched",
        "wait",
        ("until 10:00",),
    )
    assert (error.code, error.exit_code) == ("E501", 5)
