"""A segment with two routers, each of which some of its stations use: which of them is meant for one."""

from __future__ import annotations

import pytest
from diagnose.test_repair_whole import after, chosen, lost, said
from literal_rules import iptables
from predict.networks import RULES, edited, lo, local, probe, veth, via

from netprobe.diagnose.repair import routers
from netprobe.diagnose.repair.repair import Loss
from netprobe.model import Bridge, BridgePort, FoundPeer, InterfaceAddress, Leg, Link, Namespace, PolicyRule, Snapshot
from netprobe.model.lookup import where

MAC = "02:00:00:00:{:02x}:{:02x}"
STATEFUL = """*filter
:FORWARD DROP [0:0]
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -s {} -i lan -j ACCEPT
COMMIT"""


def _space(
    name: str, number: int, links: tuple[Link, ...], addresses: tuple[str, ...], *routes, on_lo: str = "", forwards: bool = False
) -> Namespace:
    """A namespace whose addresses are those of its interfaces, one each."""
    loopback, own = lo(*filter(None, [on_lo]))
    pairs = [(link.index, *text.split("/")) for link, text in zip(links, addresses, strict=False)]
    given = tuple(InterfaceAddress(index, address, int(length)) for index, address, length in pairs)
    near = tuple(
        via(f"{address.rpartition('.')[0]}.0/{length}", None, index, protocol="kernel", scope="link") for index, address, length in pairs
    )
    known = (*local(*filter(None, [on_lo]), *(address for _, address, _ in pairs)), *near, *routes)
    return Namespace(
        name, links=(loopback, *links), addresses=(*own, *given), routes=known, rules=RULES,
        sysctls={"net.ipv4.ip_forward": str(int(forwards))},
    )  # fmt: skip


def _cable(index: int, name: str, number: int, peer: int, nsid: int) -> Link:
    return veth(index, name, MAC.format(number, index), peer, nsid)


def campus() -> Snapshot:
    """pc sends by ra, kiosk by rb; core, which has 10.40.0.10, answers each by the router that it sends by."""
    names = ("pc", "kiosk", "ra", "rb")
    ports = tuple(veth(3 + n, f"p-{name}", MAC.format(9, n), 2, n + 1, master=2, port=BridgePort()) for n, name in enumerate(names))
    switch = _space("sw", 9, (Link(2, "br0", "bridge", MAC.format(9, 99), bridge=Bridge()), *ports), ())
    spaces = [switch]
    for n, (name, gateway) in enumerate((("pc", "10.20.0.1"), ("kiosk", "10.20.0.2"))):
        route = via("0.0.0.0/0", gateway, 2)
        spaces.append(_space(name, n + 1, (_cable(2, "eth0", n + 1, 3 + n, 0),), (f"10.20.0.{11 + n}/24",), route))
    for n, name in ((1, "ra"), (2, "rb")):
        links = (_cable(2, "lan", 2 + n, 4 + n, 0), _cable(3, "up", 2 + n, 1 + n, 1))
        beyond = via("10.40.0.0/24", f"10.30.{n}.2", 3)
        spaces.append(_space(name, 2 + n, links, (f"10.20.0.{n}/24", f"10.30.{n}.1/30"), beyond, forwards=True))
    back = (via("10.20.0.0/24", "10.30.1.1", 2), via("10.20.0.0/24", "10.30.2.1", 3, table=52))
    cables = tuple(_cable(1 + n, name, 5, 3, n - 1) for n, name in ((1, "a"), (2, "b")))
    core = _space("core", 5, cables, ("10.30.1.2/30", "10.30.2.2/30"), *back, on_lo="10.40.0.10")
    rules = tuple(sorted((*core.rules, PolicyRule(300, 4, table=52, dst="10.20.0.12/32")), key=lambda rule: rule.priority))
    spaces.append(edited(Snapshot({"core": core}), "core", rules=rules)["core"])
    peers = [FoundPeer("sw", n, name) for n, name in enumerate(names, 1)] + [FoundPeer(name, 0, "sw") for name in names]
    peers += [FoundPeer("ra", 1, "core"), FoundPeer("rb", 1, "core"), FoundPeer("core", 0, "ra"), FoundPeer("core", 1, "rb")]
    return Snapshot({each.name: each for each in spaces}, tuple(peers))


def guarded() -> Snapshot:
    """Each router lets its own station through, and answers to that."""
    network = campus()
    for name, station in (("ra", "10.20.0.11"), ("rb", "10.20.0.12")):
        network = edited(network, name, ruleset=iptables(STATEFUL.format(station)))
    return network


def test_the_router_by_which_answers_come_is_the_one_that_is_meant() -> None:
    """Another station's router would do as well, if only core answered by that one: two repairs more than the one of the rules."""
    network = edited(campus(), "ra", ruleset=iptables(STATEFUL.format("10.20.0.99")))
    found = chosen(network, probe("pc", "10.40.0.10"))
    assert (found.stop.code, found.stop.place.namespace) == ("policy-drop", "ra")


@pytest.mark.parametrize(("station", "lines", "answered"), [
    ("pc", (), True),
    ("pc", ("core: ip route replace 10.20.0.0/24 via 10.30.2.1 dev b",), False),
    ("pc", ("pc: ip route replace default via 10.20.0.2 dev eth0",), False),
    ("kiosk", (), True),
    ("kiosk", ("core: ip rule del pref 300 from all to 10.20.0.12/32 lookup 52",), False),
])  # fmt: skip
def test_by_whom_a_station_is_answered(station: str, lines: tuple[str, ...], answered: bool) -> None:
    network = after(campus(), *lines) if lines else campus()
    refusing = iptables("*filter\n:FORWARD DROP [0:0]\nCOMMIT")
    for name in ("ra", "rb"):
        network = edited(network, name, ruleset=refusing)
    loss = Loss.of(network, *lost(network, probe(station, "10.40.0.10")))
    (routed,) = where(loss.decisions, namespace=station, leg=Leg.REQUEST)
    assert routers.is_answered_by(loss, routed) is answered


def test_two_tables_have_each_other_s_way() -> None:
    """That pc uses the other router does not say that kiosk is to: its request has come. Both are answered by one exchange."""
    network = after(
        guarded(),
        "core: ip route replace 10.20.0.0/24 via 10.30.2.1 dev b",
        "core: ip route replace 10.20.0.0/24 via 10.30.1.1 dev a table 52",
    )
    found = chosen(network, probe("kiosk", "10.40.0.10"))
    assert said(found) == [
        "core: ip route replace 10.20.0.0/24 via 10.30.2.1 dev b table 52",
        "core: ip route replace 10.20.0.0/24 via 10.30.1.1 dev a",
    ]
