"""From readings to a map: what joins what, who translates for whom, which network a bridge is, and what is left when it is cut."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from netprobe.model import Chain, InterfaceAddress, Link, LinkRef, Namespace, Nexthop, Route, Rule, Ruleset, Space, Table, Vxlan
from netprobe.model.engines import EngineNetwork
from netprobe.model.wiring import Layer, MachineReading, SpaceReading, WayOut, WiredTranslation, WireEnd, Wiring
from netprobe.predict.wiring_cut import cut
from netprobe.predict.wiring_graph import UNSEEN, wiring
from netprobe.predict.wiring_nat import translations
from netprobe.rules.read.iptables_save import read_save
from netprobe.rules.read.nft_text import rule_statements

ID = "a1b2c3d4e5f6"


def space(name: str, *links: Link, nsids: dict[int, str] | None = None, **more: object) -> SpaceReading:
    """A namespace; `addresses` as (ifindex, text), `layers`, `networks`, `routes`."""
    addresses = tuple(_address(index, text) for index, text in more.pop("addresses", ()))  # type: ignore[attr-defined]
    routes = more.pop("routes", ())
    config = Namespace(name, links=links, addresses=addresses, routes=routes)  # type: ignore[arg-type]
    return SpaceReading(Space(name, "netns"), config, nsids=nsids or {}, **more)  # type: ignore[arg-type]


def _address(index: int, text: str) -> InterfaceAddress:
    address, _, length = text.partition("/")
    return InterfaceAddress(index, address, int(length))


def veth(index: int, name: str, peer: int, nsid: int | None = None, master: int | None = None) -> Link:
    return Link(index, name, "veth", link=LinkRef(peer, nsid), master=master)


def default(via: str, index: int) -> Route:
    return Route("0.0.0.0/0", nexthops=(Nexthop(index, via),))


def told(found: Wiring) -> set[tuple[str, str, str]]:
    return {(w.kind, f"{w.near.namespace}/{w.near.interface}", f"{w.far.namespace}/{w.far.interface}") for w in found.wires}


def interface(found: Wiring, text: str) -> object:
    namespace, _, name = text.rpartition("/")
    return found.at(WireEnd(namespace, name))


def at_a_bridge(bridge: str = f"br-{ID}", **of_c1: object) -> tuple[SpaceReading, SpaceReading]:
    host = space(
        "host", Link(2, bridge, "bridge"), veth(3, "veth1", 2, 0, master=2), nsids={0: "c1"}, addresses=[(2, "172.18.0.1/16")],
    )  # fmt: skip
    c1 = space(
        "c1", veth(2, "eth0", 3, 0), nsids={0: "host"}, addresses=[(2, "172.18.0.2/16")], routes=(default("172.18.0.1", 2),), **of_c1
    )
    return host, c1


def test_a_cable_is_one_edge_and_a_port_another() -> None:
    found = wiring(MachineReading(at_a_bridge()))
    assert told(found) == {("port", "host/veth1", f"host/br-{ID}"), ("cable", "host/veth1", "c1/eth0")}
    assert interface(found, "c1/eth0").gateways == (WayOut("172.18.0.1", "host"),)  # type: ignore[attr-defined]


def test_both_ends_in_one_namespace() -> None:
    found = wiring(MachineReading((space("host", veth(2, "a", 3), veth(3, "b", 2)),)))
    assert told(found) == {("cable", "host/a", "host/b")}


def test_an_end_out_of_sight_says_so() -> None:
    found = wiring(MachineReading((space("host", veth(2, "a", 3, 7)),)))
    assert not found.wires
    assert interface(found, "host/a").unseen == UNSEEN  # type: ignore[attr-defined]


def test_what_stands_on_another_interface() -> None:
    links = (
        Link(2, "eth0"), Link(3, "eth0.5", "vlan", link=LinkRef(2), vlan_id=5),
        Link(4, "vx", "vxlan", vxlan=Vxlan(42, "10.0.0.1", lower=2)),
        Link(5, "bond0", "bond"), Link(6, "eth1", master=5), Link(7, "moved", "vxlan", vxlan=Vxlan(43), link=LinkRef(0, 4)),
    )  # fmt: skip
    away = space("lan", Link(2, "mv", "macvlan", macvlan_mode="bridge", link=LinkRef(2, 0)), nsids={0: "host"})
    layers = {5: Layer(mode="802.3ad", alias="both cards")}
    found = wiring(MachineReading((space("host", *links, layers=layers, nsids={4: "lan"}), away)))
    assert told(found) == {("on", "host/eth0.5", "host/eth0"), ("on", "host/vx", "host/eth0"), ("on", "lan/mv", "host/eth0"),
                           ("member", "host/eth1", "host/bond0")}  # fmt: skip
    details = {name: interface(found, f"host/{name}").detail for name in ("eth0.5", "vx", "bond0", "moved")}  # type: ignore[attr-defined]
    assert details == {
        "eth0.5": "id 5",
        "vx": "id 42, 10.0.0.1 → any, port 4789",
        "bond0": "802.3ad",
        "moved": "id 43, port 4789, sends in lan",
    }
    assert interface(found, "host/bond0").alias == "both cards"  # type: ignore[attr-defined]
    assert interface(found, "lan/mv").detail == "mode bridge"  # type: ignore[attr-defined]


def tunnel(kind: str, name: str, local: str | None, remote: str | None, key: int | None = None, *remotes: str) -> tuple[Link, Layer]:
    if kind == "vxlan" and remotes:
        return Link(3, name, kind, vxlan=Vxlan(key or 0, local)), Layer(remotes=remotes)
    if kind == "vxlan":
        return Link(3, name, kind, vxlan=Vxlan(key or 0, local, remote)), Layer()
    return Link(3, name, kind), Layer(local=local, remote=remote, key=key)


@pytest.mark.parametrize(
    ("one", "other", "joined"),
    [
        (("vxlan", "x", "10.0.0.1", "10.0.0.2", 42), ("vxlan", "y", "10.0.0.2", "10.0.0.1", 42), True),
        (("vxlan", "x", None, "10.0.0.2", 42), ("vxlan", "y", None, "10.0.0.1", 42), True),
        (("vxlan", "x", None, "239.1.1.1", 42), ("vxlan", "y", None, "239.1.1.1", 42), True),
        (("vxlan", "x", "10.0.0.1", "10.0.0.2", 42), ("vxlan", "y", "10.0.0.2", "10.0.0.1", 43), False),
        (("vxlan", "x", "10.0.0.1", "10.0.0.2", 42), ("vxlan", "y", "10.0.0.2", "10.0.0.9", 42), False),
        (("vxlan", "x", "10.0.0.1", None, 42), ("vxlan", "y", "10.0.0.2", None, 42), False),
        (("vxlan", "x", "10.0.0.1", None, 42, "10.0.0.9", "10.0.0.2"), ("vxlan", "y", "10.0.0.2", None, 42, "10.0.0.1"), True),
        (("vxlan", "x", "10.0.0.1", None, 42, "10.0.0.9"), ("vxlan", "y", "10.0.0.2", "10.0.0.1", 42), False),
        (("gre", "x", "10.0.0.1", "10.0.0.2", 9), ("gre", "y", "10.0.0.2", "10.0.0.1", 9), True),
        (("gre", "x", "10.0.0.1", "10.0.0.2", 9), ("gretap", "y", "10.0.0.2", "10.0.0.1", 9), False),
        (("geneve", "x", None, "10.0.0.2", 7), ("geneve", "y", None, "10.0.0.1", 7), True),
        (("ip6tnl", "x", "fd00::1", "fd00::2"), ("ip6tnl", "y", "fd00::2", "fd00::1"), True),
    ],
)  # fmt: skip
def test_tunnels(one: tuple[object, ...], other: tuple[object, ...], joined: bool) -> None:
    sides = []
    for name, address, made in (("n1", "10.0.0.1/24", one), ("n2", "10.0.0.2/24", other)):
        link, layer = tunnel(*made)  # type: ignore[arg-type]
        sides.append(space(name, Link(2, "eth0"), link, layers={3: layer}, addresses=[(2, address)]))
    found = wiring(MachineReading(tuple(sides)))
    assert told(found) == ({("tunnel", "n1/x", "n2/y")} if joined else set())


def test_the_first_far_ends_are_told() -> None:
    link, layer = tunnel("vxlan", "x", "10.0.0.1", None, 42, *(f"10.0.0.{n}" for n in range(2, 8)))
    found = wiring(MachineReading((space("n1", link, layers={3: layer}),)))
    assert interface(found, "n1/x").detail == "id 42, 10.0.0.1 → 10.0.0.2 10.0.0.3 10.0.0.4 and 3 more, port 4789"  # type: ignore[attr-defined]


# networks of engines


@pytest.mark.parametrize(
    ("bridge", "networks", "of_c1", "name"),
    [
        (f"br-{ID}", (EngineNetwork("docker", "front", f"br-{ID}"),), ("", ()), "front"),
        (f"br-{ID}", (), ("docker", ("front",)), "front"),  # the engine does not answer
        (f"br-{ID}", (), ("docker", ("front", "back")), None),  # which one it is cannot be told
        ("docker0", (EngineNetwork("docker", "bridge", "docker0"),), ("", ()), "bridge"),
        ("podman1", (EngineNetwork("podman", "back", "podman1"),), ("podman", ("back",)), "back"),
        ("br0", (), ("", ()), None),
    ],
)
def test_networks(bridge: str, networks: tuple[EngineNetwork, ...], of_c1: tuple[str, tuple[str, ...]], name: str | None) -> None:
    found = wiring(MachineReading(at_a_bridge(bridge, networks=of_c1), networks))
    assert interface(found, f"host/{bridge}").network == name  # type: ignore[attr-defined]


def test_a_plain_name_counts_where_the_engine_is() -> None:
    """Another namespace may have a docker0 as well: only a name that is made of an id is like no other."""
    other = space("other", Link(2, "docker0", "bridge"), Link(3, f"br-{ID}", "bridge"))
    networks = (EngineNetwork("docker", "bridge", "docker0"), EngineNetwork("docker", "front", f"br-{ID}"))
    found = wiring(MachineReading((*at_a_bridge("docker0"), other), networks))
    names = [interface(found, end).network for end in ("host/docker0", "other/docker0", f"other/br-{ID}")]  # type: ignore[attr-defined]
    assert names == ["bridge", None, "front"]


# translation

HOST = Namespace(
    "host",
    links=(Link(1, "lo", "loopback"), Link(2, "eth0"), Link(3, "docker0", "bridge"), Link(4, "br1", "bridge")),
    addresses=tuple(_address(i, a) for i, a in ((1, "127.0.0.1/8"), (2, "192.0.2.2/24"), (3, "172.17.0.1/16"), (4, "fd00:1::1/64"))),
    routes=(default("192.0.2.1", 2),),
)


def saved(*lines: str, family: str = "ip") -> tuple[WiredTranslation, ...]:
    chains = "".join(f":{name} ACCEPT [0:0]\n" for name in ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING")) + ":DOCKER - [0:0]\n"
    text = f"*nat\n{chains}-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n-A OUTPUT -j DOCKER\n"
    tables = read_save("".join([text, *(f"-A {line}\n" for line in lines), "COMMIT\n"]), "iptables", family)
    return translations(replace(HOST, ruleset=Ruleset(tables=tuple(tables))))


def by_nft(text: str, hook: str = "postrouting") -> tuple[WiredTranslation, ...]:
    chain = Chain("c", (Rule(1, text, rule_statements(text), 7),), hook, 100, "nat")
    return translations(replace(HOST, ruleset=Ruleset(tables=(Table("nft", "inet", "t", (chain,)),))))


def test_docker_masquerades() -> None:
    assert saved("POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE") == (
        WiredTranslation("MASQUERADE", True, "172.17.0.0/16", out="!docker0", inside=("docker0",), leaves=("eth0",),
                         rule="iptables nat POSTROUTING 1", owner="docker"),
    )  # fmt: skip


def test_a_published_port_is_one_rule_by_whichever_hook_it_is_reached() -> None:
    assert saved("DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80") == (
        WiredTranslation("DNAT", False, into="!docker0", service="tcp 8080", to="172.17.0.2:80", inside=("eth0",), leaves=("docker0",),
                         rule="iptables nat DOCKER 1", owner="docker"),
    )  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        "POSTROUTING -s 172.17.0.2/32 -d 172.17.0.2/32 -p tcp -m tcp --dport 80 -j MASQUERADE",  # a hairpin
        "OUTPUT -d 127.0.0.11/32 -p udp -m udp --dport 53 -j DNAT --to-destination 127.0.0.11:45013",  # Docker's name server
        "POSTROUTING -s 127.0.0.11/32 -p tcp -m tcp --sport 37531 -j SNAT --to-source :53",
    ],
)
def test_what_never_leaves_the_machine_is_left_out(line: str) -> None:
    assert saved(line) == ()


def test_other_targets() -> None:
    found = saved(
        "POSTROUTING -s 172.17.0.0/16 -o eth0 -j SNAT --to-source 192.0.2.9",
        "PREROUTING -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 3128",
        "PREROUTING -d 192.0.2.0/24 -j NETMAP --to 172.17.0.0/24",
    )  # fmt: skip
    shown = {(each.kind, each.of_source, each.source, each.destination, each.service, each.to, each.out) for each in found}
    assert shown == {
        ("SNAT", True, "172.17.0.0/16", "", "", "192.0.2.9", "eth0"), ("REDIRECT", False, "", "", "tcp 80", ":3128", ""),
        ("NETMAP", False, "", "192.0.2.0/24", "", "172.17.0.0/24", ""),
    }  # fmt: skip


def test_nft_of_both_families() -> None:
    [found] = by_nft('ip6 saddr fd00:1::/64 oifname "eth0" masquerade')
    assert (found.kind, found.source, found.inside, found.leaves, found.rule) == (
        "MASQUERADE", "fd00:1::/64", ("br1",), ("eth0",), "nft inet t c handle 7",
    )  # fmt: skip
    [found] = by_nft("tcp dport 443 dnat ip6 to [fd00:1::2]:8443", "prerouting")
    assert (found.to, found.leaves, found.service) == ("[fd00:1::2]:8443", ("br1",), "tcp 443")


def test_a_set_is_told_by_its_name() -> None:
    [found] = by_nft("ip saddr @inner masquerade")
    assert (found.source, found.inside) == ("@inner", ())


def test_a_dormant_table_translates_nothing_and_other_chains_are_no_translation() -> None:
    rule = Rule(1, "masquerade", rule_statements("masquerade"), 7)
    asleep = Table("nft", "ip", "t", (Chain("c", (rule,), "postrouting", 100, "nat"),), dormant=True)
    unhooked = Table("nft", "ip", "u", (Chain("c", (rule,)),))
    assert translations(replace(HOST, ruleset=Ruleset(tables=(asleep, unhooked)))) == ()
    assert translations(HOST) == ()


def test_chains_that_lead_to_each_other_come_to_an_end() -> None:
    chains = (Chain("c", (Rule(1, "jump d", rule_statements("jump d"), 1),), "postrouting", 100, "nat"),
              Chain("d", (Rule(1, "jump c", rule_statements("jump c"), 2),)))  # fmt: skip
    assert translations(replace(HOST, ruleset=Ruleset(tables=(Table("nft", "ip", "t", chains),)))) == ()


# cut


def test_what_is_connected_and_the_way_out() -> None:
    host, c1 = at_a_bridge()
    links = (*host.config.links, Link(8, "eth0"), Link(9, "br1", "bridge"), veth(10, "veth2", 2, 1, master=9))
    config = replace(host.config, links=links, routes=(default("192.0.2.1", 8),))
    host = replace(host, config=config, nsids={0: "c1", 1: "c2"})
    c2 = space("c2", veth(2, "eth0", 10, 0), nsids={0: "host"})
    whole = wiring(MachineReading((host, c1, c2)))
    of_c1 = cut(whole, [("c1", None)], ("c1",))
    assert [each.name for each in of_c1.spaces] == ["host", "c1"]
    assert [each.name for each in of_c1.spaces[0].interfaces] == [f"br-{ID}", "veth1", "eth0"]
    assert told(of_c1) < told(whole)
    of_c2 = cut(whole, [("c2", "eth0")], ("c2/eth0",))
    assert [each.name for each in of_c2.spaces[0].interfaces] == ["br1", "veth2"]  # c2 has no default route: there is no way out
    assert of_c2.asked == ("c2/eth0",)
    assert cut(whole, [("c1", None), ("c2", None)], ()).wires == whole.wires
