"""Queries over values: what is asked for once is one value or none."""

from __future__ import annotations

import pytest

from netprobe.model.lookup import sole


@pytest.mark.parametrize(("several", "one"), [((), ()), ([1], (1,)), ({"a"}, ("a",)), ((1, 2), ())])
def test_one_alone_is_told_from_none_and_from_several(several: object, one: tuple[object, ...]) -> None:
    assert sole(several) == one  # type: ignore[arg-type]
