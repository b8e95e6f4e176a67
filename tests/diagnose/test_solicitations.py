"""Who asks in a neighbour solicitation: for another station's packet the interface by its link-local address, or nobody."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from networks import edited, probe
from test_repair import changed

from netprobe.diagnose.repair import choice
from netprobe.model import Nexthop, PolicyRule, Protocol, Route, Snapshot
from netprobe.model.lookup import find
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction

ASKED = "fd00:10::2"
BR0 = "fe80::ff:fe00:202"


def routed() -> Snapshot:
    """The tutorial's network in IPv6: nobody has asked for red yet."""
    return changed(
        "host: sysctl -w net.ipv6.conf.all.forwarding=1",
        "red: ip address add fd00:10::2/64 dev eth0",
        "host: ip address add fd00:10::1/64 dev br0",
        "host: ip address add fd00:203::2/64 dev eth0",
        "internet: ip address add fd00:203::1/64 dev eth0",
        "red: ip -6 route add default via fd00:10::1",
        "internet: ip -6 route add default via fd00:203::2",
    )


def without_its_own(*flags: str) -> Snapshot:
    """host's br0 has its link-local address with these flags; without any, none."""
    snapshot = routed()
    known = snapshot["host"].addresses
    own = find(known, address=BR0)
    assert own is not None
    now = (replace(own, flags=flags),) if flags else ()
    return edited(snapshot, "host", addresses=(*(each for each in known if each is not own), *now))


def predicted(snapshot: Snapshot, source: str, dst: str) -> Prediction:
    found = predict(snapshot, probe(source, dst, Protocol.ICMPV6), ask=False)
    assert isinstance(found, Prediction)
    return found


def test_a_router_is_learned_by_the_address_that_it_asks_with() -> None:
    """red knows nobody: host asks by its link-local address, and the reply needs a question for the gateway's."""
    found = predicted(routed(), "internet", ASKED)
    assert found.passes
    notes = [hop.note for hop in found.hops if (hop.namespace, hop.interface) == ("red", "eth0")]
    assert any("fd00:10::1" in note and "asked before" not in note for note in notes), notes


@pytest.mark.parametrize(
    ("flags", "code", "fix"),
    [
        ((), "addr-missing", [f"ip address add {BR0}/64 dev br0"]),
        (("tentative",), "addr-dad-failed", []),
        (("tentative", "dadfailed"), "addr-dad-failed", ["ip address add RIGHT-ADDRESS/64 dev br0", f"ip address del {BR0}/64 dev br0"]),
    ],
)
def test_without_a_link_local_address_nobody_is_asked_for(flags: tuple[str, ...], code: str, fix: list[str]) -> None:
    snapshot = without_its_own(*flags)
    found = predicted(snapshot, "internet", ASKED)
    assert found.stop is not None
    assert (found.stop.code, found.stop.place.namespace, found.stop.place.interface) == (code, "host", "br0")
    assert found.stop.object is not None
    assert found.stop.object.id == f"{BR0}/64 dev br0"
    assert [" ".join(command.words) for command in found.stop.commands] == fix


def test_an_answer_is_for_nobody_where_the_table_main_is_asked_before_that_of_the_own_addresses() -> None:
    """host asks for red: what is for its own link-local address is one of its network there (ip6_route_input)."""
    late = tuple(PolicyRule(priority, 6, table=table, mask=0) for priority, table in ((100, 254), (200, 255)))
    snapshot = routed()
    others = tuple(each for each in snapshot["host"].rules if each.version == 4)
    linked = (*snapshot["host"].routes, Route("fe80::/64", nexthops=(Nexthop(2),), protocol="kernel"))
    found = predicted(edited(snapshot, "host", rules=(*others, *late), routes=linked), "internet", ASKED)
    assert found.stop is not None
    assert (found.stop.code, found.stop.place.namespace) == ("rule-local-missing", "host")


def test_a_station_asks_with_the_source_of_its_own_packet() -> None:
    assert predicted(without_its_own(), "host", ASKED).passes


def test_the_missing_address_is_given_back() -> None:
    snapshot = without_its_own()
    found = predicted(snapshot, "internet", ASKED)
    assert found.stop is not None
    cause = choice.choose(snapshot, found, found.stop).stop
    assert [" ".join(command.words) for command in cause.commands] == [f"ip address add {BR0}/64 dev br0"]
