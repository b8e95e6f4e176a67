"""Fixes carried out on a model: each known command does what it says, and nothing that cannot be told is guessed."""

from __future__ import annotations

import networks
import pytest
from commands import typed
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from networks import edited, relinked, tutorial

from netprobe.diagnose.apply import mend
from netprobe.model import (
    AskedRoute,
    Blank,
    Bridge,
    BridgePort,
    Cause,
    Chain,
    Command,
    ConntrackEntry,
    FdbEntry,
    Flow,
    FoundConnection,
    InterfaceAddress,
    Link,
    LinkRef,
    Namespace,
    Neighbour,
    Nexthop,
    Place,
    PolicyRule,
    Protocol,
    Qdisc,
    Route,
    RouteAnswer,
    RouteQuery,
    Rule,
    Ruleset,
    Snapshot,
    Stage,
    Table,
    TcFilter,
    XfrmPolicy,
)


def fixed(snapshot: Snapshot, *fix: str, name: str = "host", advice: str = "") -> Snapshot | None:
    commands = tuple(typed(command) for line in fix for command in ([line] if "'" in line else line.split("; ")))
    return mend(snapshot, Cause("unknown", Place(name, None, Stage.ROUTE), "", commands=commands, advice=advice))


def done(snapshot: Snapshot, *fix: str, name: str = "host") -> Namespace:
    mended = fixed(snapshot, *fix, name=name)
    assert mended is not None, fix
    return mended[name]


def link(snapshot: Snapshot, *fix: str, name: str = "host", interface: str = "veth0"):  # type: ignore[no-untyped-def]
    found = done(snapshot, *fix, name=name).link_named(interface)
    assert found is not None
    return found


HOST = networks.host()
DOWN = edited(relinked(tutorial(), "red", "eth0", up=False, carrier=False), "red", routes=networks.local())


def test_switching_an_interface_on_brings_its_carrier_and_the_routes_of_its_addresses() -> None:
    host_down = relinked(tutorial(), "host", "veth0", carrier=False, port=BridgePort(state="disabled"))
    snapshot = replace(DOWN, namespaces={**DOWN.namespaces, "host": host_down["host"]})
    snapshot = edited(snapshot, "red", addresses=(InterfaceAddress(2, "10.0.0.2", 16),))
    mended = fixed(snapshot, "ip link set eth0 up", name="red")
    assert mended is not None
    eth0, veth0 = mended["red"].link_named("eth0"), mended["host"].link_named("veth0")
    assert eth0 is not None
    assert veth0 is not None
    assert veth0.port is not None
    assert (eth0.up, eth0.carrier, veth0.carrier, veth0.port.state) == (True, True, True, "forwarding")
    made = {(r.dst, r.type, r.table) for r in mended["red"].routes}
    assert {("10.0.0.0/16", "unicast", 254), ("10.0.0.2/32", "local", 255)} <= made
    assert ("0.0.0.0/0", "unicast", 254) not in made, "a route that a person made does not come back"


def test_an_interface_whose_far_end_is_down_gets_no_carrier() -> None:
    snapshot = relinked(DOWN, "host", "veth0", up=False, carrier=False)
    eth0 = link(snapshot, "ip link set eth0 up", name="red", interface="eth0")
    assert (eth0.up, eth0.carrier) == (True, False)


def test_what_stands_on_an_interface_runs_with_it() -> None:
    parent = relinked(tutorial(), "host", "eth0", up=False, carrier=False)
    macvlan = Link(9, "mv0", "macvlan", "02:00:00:00:09:09", carrier=False, link=LinkRef(4, 0))
    snapshot = edited(parent, "red", links=(*networks.red().links, macvlan))
    mended = fixed(snapshot, "ip link set eth0 up")
    assert mended is not None
    above = mended["red"].link_named("mv0")
    assert above is not None
    assert above.carrier


def test_a_command_is_for_the_namespace_that_it_names() -> None:
    mended = fixed(relinked(tutorial(), "red", "eth0", up=False), "ip link set eth0 up   # in red", name="host")
    assert mended is not None
    eth0 = mended["red"].link_named("eth0")
    assert eth0 is not None
    assert eth0.up


LOOSE = relinked(tutorial(), "host", "veth0", master=None, port=None)


@pytest.mark.parametrize(
    ("before", "fix", "field", "value"),
    [
        ({}, "ip link set veth0 mtu 9000", "mtu", 9000),
        ({}, "ip link set dev veth0 mtu 9000", "mtu", 9000),
        ({"arp": False}, "ip link set veth0 arp on", "arp", True),
        ({"xdp": "xdp/id:7"}, "ip link set dev veth0 xdp off", "xdp", None),
        ({}, "ip link set veth0 address 02:00:00:00:00:99", "mac", "02:00:00:00:00:99"),
        ({}, "ip link set veth0 nomaster", "master", None),
        ({"master": None, "port": None}, "ip link set veth0 master docker0", "master", 5),
        ({"macvlan_mode": "vepa"}, "ip link set veth0 type macvlan mode bridge", "macvlan_mode", "bridge"),
        ({"port": BridgePort(isolated=True)}, "bridge link set dev veth0 isolated off", "port", BridgePort()),
        ({"port": BridgePort(unicast_flood=False)}, "bridge link set dev veth0 flood on", "port", BridgePort()),
        ({"port": BridgePort(state="blocking")}, "bridge link set dev veth0 state 3", "port", BridgePort()),
        ({}, "bridge link set dev veth0 hairpin on", "port", BridgePort(hairpin=True)),
        ({"port": BridgePort("disabled", guard=True)},
         "bridge link set dev veth0 guard off; ip link set veth0 down; ip link set veth0 up", "port", BridgePort()),
        ({"filters": (TcFilter("ingress", "bpf", "x"), TcFilter("egress", "bpf", "y"))}, "tc filter del dev veth0 ingress",
         "filters", (TcFilter("egress", "bpf", "y"),)),
        ({"qdiscs": (Qdisc("netem", "1:", "root"),)}, "tc qdisc del dev veth0 root", "qdiscs", ()),
    ],
)  # fmt: skip
def test_a_link_is_changed(before: dict[str, object], fix: str, field: str, value: object) -> None:
    assert getattr(link(relinked(tutorial(), "host", "veth0", **before), fix), field) == value


def test_without_spanning_tree_a_port_can_be_told_to_forward() -> None:
    snapshot = relinked(relinked(tutorial(), "host", "br0", bridge=Bridge(stp=True)), "host", "veth0", port=BridgePort("learning"))
    assert link(snapshot, "ip link set br0 type bridge stp_state 0").port == BridgePort("learning")
    assert link(snapshot, "ip link set br0 type bridge stp_state 0; bridge link set dev veth0 state 3").port == BridgePort()
    assert fixed(snapshot, "bridge link set dev veth0 state 3") is None


BLACKHOLE = Route("8.8.8.8/32", "blackhole")
RULE = PolicyRule(100, 4, table=100, src="10.0.0.2/32")
TEST_NET = Route("192.0.2.0/24", nexthops=(Nexthop(4, "203.0.113.1"),))


@pytest.mark.parametrize(
    ("before", "fix", "gone", "come"),
    [
        ({"routes": (*HOST.routes, BLACKHOLE)}, "ip route del blackhole 8.8.8.8/32", {BLACKHOLE}, set()),
        ({"routes": (*HOST.routes, TEST_NET)}, "ip route del 192.0.2.0/24 via 203.0.113.1 dev eth0", {TEST_NET}, set()),
        ({}, "ip route add 192.0.2.0/24 via 203.0.113.1", set(), {TEST_NET}),
        ({}, "ip route add 192.0.2.7 dev eth0", set(), {Route("192.0.2.7/32", nexthops=(Nexthop(4),), scope="link")}),
        ({}, "ip route replace default via 203.0.113.7 dev eth0", {HOST.routes[-1]}, {networks.via("0.0.0.0/0", "203.0.113.7", 4)}),
        ({"routes": (*HOST.routes, replace(TEST_NET, source="10.0.0.1"))}, "ip route change 192.0.2.0/24 via 203.0.113.1 dev eth0",
         {replace(TEST_NET, source="10.0.0.1")}, {TEST_NET}),
        ({"routes": (replace(TEST_NET, table=100), TEST_NET)}, "ip route del 192.0.2.0/24 via 203.0.113.1 dev eth0 table 100",
         {replace(TEST_NET, table=100)}, set()),
        ({"routes": (replace(TEST_NET, metric=5), replace(TEST_NET, metric=9))}, "ip route del 192.0.2.0/24 metric 9",
         {replace(TEST_NET, metric=9)}, set()),
        ({"routes": (*HOST.routes, networks.via("fd00::/64", None, 4))}, "ip -6 route add default via fd00::1 dev eth0",
         set(), {Route("::/0", nexthops=(Nexthop(4, "fd00::1"),), metric=1024)}),
    ],
)  # fmt: skip
def test_a_route_is_changed(before: dict[str, object], fix: str, gone: set[Route], come: set[Route]) -> None:
    snapshot = edited(tutorial(), "host", **before)
    was, now = set(snapshot["host"].routes), set(done(snapshot, fix).routes)
    assert (was - now, now - was) == (gone, come)


def test_policy_rules_neighbours_addresses_and_entries_are_changed() -> None:
    assert done(edited(tutorial(), "host", rules=(*HOST.rules, RULE)), "ip rule del pref 100").rules == HOST.rules
    added = done(edited(tutorial(), "host", rules=()), "ip rule add pref 0 from all lookup local").rules
    assert added == (PolicyRule(0, 4, table=255),)
    entry = Neighbour(2, "10.0.0.2", "02:de:ad:00:00:01", "permanent")
    assert done(edited(tutorial(), "host", neighbours=(entry,)), "ip neigh del 10.0.0.2 dev br0").neighbours == ()
    fdb = FdbEntry(3, "02:00:00:00:00:01", master=2, state="static")
    assert done(edited(tutorial(), "host", fdb=(fdb,)), "bridge fdb del 02:00:00:00:00:01 dev veth0 master").fdb == ()
    appended = done(tutorial(), "bridge fdb append 00:00:00:00:00:00 dev eth0 dst 192.0.2.1").fdb
    assert appended == (FdbEntry(4, "00:00:00:00:00:00", state="permanent", remote="192.0.2.1"),)


@pytest.mark.parametrize(("priority", "made"), [("-1", None), ("4294967296", None), ("0", 0), ("4294967295", 0xFFFFFFFF)])
def test_no_policy_rule_stands_before_the_first(priority: str, made: int | None) -> None:
    """What ip(8) refuses is no repair."""
    snapshot = fixed(edited(tutorial(), "host", rules=()), f"ip rule add pref {priority} from all lookup main")
    assert (snapshot and snapshot["host"].rules[0].priority) == made


def test_an_address_comes_and_goes_with_its_routes() -> None:
    more = done(tutorial(), "ip addr add 192.0.2.1/24 dev eth0")
    assert {r.dst for r in more.routes} - {r.dst for r in HOST.routes} == {"192.0.2.0/24", "192.0.2.1/32", "192.0.2.255/32"}
    automatic = tuple(replace(r, protocol="kernel") if r.dst == "203.0.113.0/24" else r for r in HOST.routes)
    snapshot = edited(tutorial(), "host", routes=automatic)
    less = done(snapshot, "ip address del 203.0.113.2/24 dev eth0")
    gone = {"203.0.113.0/24", "203.0.113.2/32", "0.0.0.0/0"}  # the last address takes every route along
    assert {r.dst for r in HOST.routes} - {r.dst for r in less.routes} == gone
    both = done(snapshot, "ip addr add 203.0.113.2/25 dev eth0; ip addr del 203.0.113.2/24 dev eth0")
    assert tuple(r.dst for r in both.routes if "203.0.113" in r.dst) == ("203.0.113.2/32", "203.0.113.0/25", "203.0.113.127/32")


def test_a_switch_whose_name_begins_another_sets_itself_alone() -> None:
    values = {"net.ipv4.conf.eth0.proxy_arp": "0", "net.ipv4.conf.eth0.proxy_arp_pvlan": "0"}
    after = done(edited(tutorial(), "host", sysctls=values), "sysctl -w net.ipv4.conf.eth0.proxy_arp=1").sysctls
    assert after == {**values, "net.ipv4.conf.eth0.proxy_arp": "1"}


def test_forwarding_is_switched_for_every_interface() -> None:
    values = {"net.ipv4.ip_forward": "0", "net.ipv4.conf.eth0.forwarding": "0", "net.ipv4.conf.eth0.rp_filter": "1"}
    after = done(edited(tutorial(), "host", sysctls=values), "sysctl -w net.ipv4.ip_forward=1").sysctls
    assert (after["net.ipv4.conf.eth0.forwarding"], after["net.ipv4.conf.eth0.rp_filter"]) == ("1", "1")
    assert done(edited(tutorial(), "host", sysctls=values), "sysctl -w net.ipv4.conf.eth0.rp_filter=2").sysctls == {
        **values,
        "net.ipv4.conf.eth0.rp_filter": "2",
    }


def chain(name: str = "FORWARD", *texts: str, policy: str = "accept", hook: str = "forward") -> Chain:
    return Chain(name, tuple(Rule(n, text, handle=10 + n) for n, text in enumerate(texts, 1)), hook=hook, policy=policy)


def ruled(engine: str, family: str, table: str, *chains: Chain) -> Snapshot:
    return edited(tutorial(), "host", ruleset=Ruleset(tables=(Table("nft", "ip", "other"), Table(engine, family, table, chains))))


def chain_after(snapshot: Snapshot, fix: str) -> Chain:
    ruleset = done(snapshot, fix).ruleset
    assert ruleset is not None
    assert ruleset.tables[0].name == "other", "the order of the tables stays"
    return ruleset.tables[1].chains[0]


@pytest.mark.parametrize(
    ("engine", "family", "table", "fix"),
    [
        ("iptables", "ip", "filter", "iptables -D FORWARD 2"),
        ("iptables-legacy", "ip", "filter", "iptables-legacy -D FORWARD 2"),
        ("iptables", "ip6", "mangle", "ip6tables -t mangle -D FORWARD 2"),
        ("ebtables", "bridge", "filter", "ebtables -D FORWARD 2"),
        ("nft", "inet", "filter", "nft delete rule inet filter FORWARD handle 12"),
    ],
)
def test_a_rule_is_deleted_and_those_behind_it_move_up(engine: str, family: str, table: str, fix: str) -> None:
    after = chain_after(ruled(engine, family, table, chain("FORWARD", "one", "two", "three")), fix)
    assert [(rule.number, rule.text) for rule in after.rules] == [(1, "one"), (2, "three")]


@pytest.mark.parametrize(
    ("engine", "family", "fix"),
    [
        ("iptables", "ip", "iptables -P FORWARD ACCEPT"),
        ("nft", "inet", "nft chain inet filter FORWARD '{ policy accept; }'"),
    ],
)
def test_a_policy_is_opened(engine: str, family: str, fix: str) -> None:
    assert chain_after(ruled(engine, family, "filter", chain(policy="drop")), fix).policy == "accept"


def test_a_masquerading_rule_is_added_even_where_no_nat_table_is() -> None:
    fix = "iptables -t nat -A POSTROUTING -s 10.0.0.0/16 ! -o br0 -j MASQUERADE"
    ruleset = done(edited(tutorial(), "host", ruleset=Ruleset()), fix).ruleset
    assert ruleset is not None
    [table] = ruleset.tables
    [made] = table.chains[0].rules
    assert made.text == "-A POSTROUTING -s 10.0.0.0/16 ! -o br0 -j MASQUERADE"
    assert [(s.left and s.left.text, s.op, s.right and s.right.text) for s in made.statements[:-1]] == [
        ("ip saddr", "==", "10.0.0.0/16"),
        ("meta oifname", "!=", "br0"),
    ]
    assert (table.chains[0].hook, made.statements[-1].kind) == ("postrouting", "masquerade")
    first = done(edited(tutorial(), "host", ruleset=ruleset), fix.replace("-A", "-I").replace("br0", "docker0")).ruleset
    assert first is not None
    assert [(rule.number, "docker0" in rule.text) for rule in first.tables[0].chains[0].rules] == [(1, True), (2, False)]
    again = done(edited(tutorial(), "host", ruleset=ruleset), fix).ruleset
    assert again is not None
    assert [rule.number for rule in again.tables[0].chains[0].rules] == [1, 2]


def test_connections_and_ipsec_policies_are_deleted() -> None:
    entry = ConntrackEntry("udp", ("10.0.0.2", "203.0.113.2", 4000, 53), ("10.0.0.9", "10.0.0.2", 53, 4000))
    other = replace(entry, protocol="tcp")
    flow = Flow("10.0.0.2", "203.0.113.2", Protocol.UDP, 4000, 53)
    tracked = tuple(FoundConnection(name, flow, (entry, other)) for name in ("red", "host"))
    mended = fixed(replace(tutorial(), connections=tracked), "conntrack -D -p udp -s 10.0.0.2 -d 203.0.113.2")
    assert mended is not None
    assert [found.entries for found in mended.connections] == [(entry, other), (other,)]
    policy = XfrmPolicy("out", "10.0.0.0/16", "0.0.0.0/0", "block")
    fix = "ip xfrm policy delete src 10.0.0.0/16 dst 0.0.0.0/0 dir out"
    assert done(edited(tutorial(), "host", xfrm=(policy,)), fix).xfrm == ()


@pytest.mark.parametrize(
    "fix",
    [
        "",
        "ss -lntup",
        "ip link add ...",
        "ip link set nosuch up",
        "ip link set veth0 master BRIDGE",
        "ip link set veth0 frobnicated",
        "ip route add default via GATEWAY",
        "ip route add default via GATEWAY dev eth0",
        "ip route add 192.0.2.0/24 dev nosuch",
        "ip route del 192.0.2.0/24",
        "ip route add",
        "ip addr add ADDRESS/LENGTH dev eth0",
        "ip addr add 10.0.0.1/RIGHT-LENGTH dev br0; ip addr del 10.0.0.1/16 dev br0",
        "ip rule del pref 4711",
        "bridge fdb append 00:00:00:00:00:00 dev eth0 dst REMOTE",
        "bridge link set dev veth0 state nonsense",
        "bridge link set dev veth0 isolated maybe",
        "sysctl -w net.ipv4.ip_forward",
        "iptables -D FORWARD 1",
        "iptables -D FORWARD",
        "nft delete rule inet filter forward handle 1",
        "tc qdisc del dev eth0 root",
        "conntrack -D",
        "sysctl -w net.ipv6.conf.eth0.accept_ra=2",
        "nft chain inet filter FORWARD '{ policy accept; }' && reboot",
        "ip link set veth0 mtu 9000; reboot",
    ],
)
def test_what_cannot_be_told_is_not_guessed(fix: str) -> None:
    assert fixed(edited(tutorial(), "host", ruleset=Ruleset()), fix) is None


def test_a_fix_that_changes_nothing_is_none() -> None:
    assert fixed(tutorial(), "sysctl -w net.ipv4.ip_forward=1") is None


def test_half_a_fix_is_none() -> None:
    assert fixed(tutorial(), "ip link set veth0 mtu 9000", "ip route add default via GATEWAY") is None
    assert fixed(tutorial(), "ip link set veth0 mtu 9000", advice="and the MTU of the containers") is None


def renamed(interface: str, name: str, **fields: object) -> Snapshot:
    """The tutorial's network with one interface of the host called otherwise."""
    links = tuple(replace(each, name=name, **fields) if each.name == interface else each for each in HOST.links)  # type: ignore[arg-type]
    return edited(tutorial(), "host", links=links)


@pytest.mark.parametrize("name", ["dev", "up", "on", "state", "table", "master", "BRIDGE", "GATEWAY", "-x", "e;id>pwn", "a b"])
def test_an_interface_may_be_called_as_it_likes(name: str) -> None:
    """What a tool takes for a key, a flag or a blank is a name where a name stands."""
    snapshot = renamed("veth0", name, up=False, port=BridgePort(state="blocking", isolated=True))
    snapshot = edited(snapshot, "host", routes=(*HOST.routes, Route("192.0.2.0/24", table=100, nexthops=(Nexthop(3),))))
    commands = (
        Command.of("ip", "link", "set", "dev", name, "up"),
        Command.of("bridge", "link", "set", "dev", name, "isolated", "off"),
        Command.of("ip", "route", "del", "192.0.2.0/24", "dev", name, "table", "100"),
        Command.of("bridge", "fdb", "add", "02:00:00:00:00:01", "dev", name),
    )
    mended = mend(snapshot, Cause("unknown", Place("host", None, Stage.ROUTE), "", commands=commands))
    assert mended is not None
    changed = mended["host"].link(3)
    assert changed is not None
    assert changed.port is not None
    assert (changed.up, changed.port.isolated) == (True, False)
    assert tuple(route for route in mended["host"].routes if route.version == 4) == HOST.routes
    assert mended["host"].fdb == (FdbEntry(3, "02:00:00:00:00:01", state="permanent"),), "not as a port's"


@pytest.mark.parametrize("name", ["BRIDGE", "GATEWAY"])
def test_a_blank_is_told_from_a_name(name: str) -> None:
    snapshot, place = renamed("docker0", name), Place("host", None, Stage.ROUTE)
    named, blank = (Command.of("ip", "link", "set", "dev", "veth0", "master", word) for word in (name, Blank(name)))
    assert mend(snapshot, Cause("unknown", place, "", commands=(named,))) is not None
    assert mend(snapshot, Cause("unknown", place, "", commands=(blank,))) is None


def test_an_unread_namespace_or_ruleset_cannot_be_mended() -> None:
    assert fixed(tutorial(), "ip link set eth0 up", name="nowhere") is None
    assert fixed(tutorial(), "ip -6 route add default via 10.0.0.2") is None
    assert fixed(tutorial(), "iptables -t nat -A POSTROUTING -s 10.0.0.2 -o eth0 -j MASQUERADE") is None


def test_what_the_kernel_answered_is_forgotten_where_something_changed() -> None:
    asked = tuple(AskedRoute(name, RouteQuery(None, "8.8.8.8"), RouteAnswer("ENETUNREACH")) for name in ("red", "host"))
    mended = fixed(replace(tutorial(), answers=asked), "ip link set veth0 mtu 9000")
    assert mended is not None
    assert [answer.namespace for answer in mended.answers] == ["red"]


WORDS = st.sampled_from(
    (
        *("ip", "-6", "link", "set", "route", "rule", "add", "del", "addr", "neigh", "bridge", "fdb", "sysctl", "-w"),
        *("tc", "qdisc", "conntrack"),
        *("iptables", "-t", "nat", "-D", "-P", "-A", "FORWARD", "1", "-s", "!", "-j", "MASQUERADE", "nft", "delete", "handle"),
        *("dev", "eth0", "via", "10.0.0.1", "default", "0/0", "up", "master", "br0", "pref", "0", "lookup", "main"),
        *("#", "&", "&&", "\\", "=", "net.ipv4.ip_forward=1"),
    )
)


@given(st.lists(st.one_of(WORDS, st.text(max_size=5)), max_size=10))
def test_no_command_line_makes_it_fail(words: list[str]) -> None:
    cause = Cause("unknown", Place("host", None, Stage.ROUTE), "", commands=(Command(tuple(words)),))
    assert mend(edited(tutorial(), "host", ruleset=Ruleset()), cause) != tutorial()
