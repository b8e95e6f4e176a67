"""Queries over values: what is asked for once is one value or none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from netprobe.model.lookup import _LONG, sole, those_in, those_not_in

VALUES = some.one_of(some.integers(0, 99), some.lists(some.integers(0, 2), max_size=1))  # lists are in no set


@pytest.mark.parametrize(("several", "one"), [((), ()), ([1], (1,)), ({"a"}, ("a",)), ((1, 2), ())])
def test_one_alone_is_told_from_none_and_from_several(several: object, one: tuple[object, ...]) -> None:
    assert sole(several) == one  # type: ignore[arg-type]


@given(some.lists(VALUES), some.lists(VALUES, min_size=_LONG))
def test_values_are_found_in_a_long_table_as_one_by_one(values: list[object], known: list[object]) -> None:
    """Also where one of the table can be in no set, or is looked for in one."""
    table = tuple(known)
    assert those_in(values, table) == those_in(values, known) == tuple(each for each in values if each in known)
    assert those_not_in(values, table) == those_not_in(values, known)
