"""The sysctls of a namespace, held in two ways: equal as the plain mappings are that they stand for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from netprobe.model.settings import Settings

VALUES = some.sampled_from("01")
TABLE = some.dictionaries(some.sampled_from(("forwarding", "mtu")), VALUES)
STEMS = ("net.ipv4.conf.a", "net.ipv4.conf.b")
ALONE = some.dictionaries(some.sampled_from(("net.ipv4.ip_forward", *(f"{stem}.mtu" for stem in STEMS))), VALUES)
SETTINGS = some.builds(Settings, ALONE, some.dictionaries(some.sampled_from(STEMS), TABLE))


@given(SETTINGS, SETTINGS)
def test_they_are_equal_as_what_they_stand_for(one: Settings, other: Settings) -> None:
    plain, theirs = dict(one.items()), dict(other.items())
    assert (one == other) == (plain == theirs) == (one == theirs)
    assert one == plain


@given(SETTINGS, ALONE)
def test_what_is_joined_is_otherwise_where_it_says_so(settings: Settings, more: dict[str, str]) -> None:
    before = dict(settings.items())
    assert (settings.joined(more) == settings) == ({**before, **more} == before)
