"""What netprobe reads of a namespace, beside what ip(8), bridge(8), sysctl(8) and ss(8) say about the same one."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from identities import Identity

from netprobe.lab.lab import Lab
from netprobe.linux.machine import Machine
from netprobe.model import AskRoute, Namespace, Nexthop, ReadNamespace, RouteAnswer, RouteQuery, Snapshot

pytestmark = pytest.mark.lab

# One of everything that a namespace may hold, in `red` and `host` of the tutorial's network.
ODD = """
ip -n red link add dummy0 type veth peer name dummy1
ip -n red link set dummy1 up
ip -n red link set dummy0 address 02:00:00:00:00:99 mtu 1400 arp off up
ip -n red link add link eth0 name mac0 type macvlan mode private
ip -n red link add vx0 type vxlan id 42 local 10.0.0.2 remote 10.0.0.9 dstport 4790 nolearning dev eth0
ip -n red link add v0 type veth peer name v1
ip -n red link set v0 up
ip -n red addr add 10.5.0.1/24 dev dummy0 noprefixroute
ip -n red addr add 10.5.0.2/24 dev dummy0
ip -n red addr add 10.6.0.1 peer 10.6.0.2/32 dev dummy0
ip -n red -6 addr add fd00:5::1/64 dev dummy0 nodad
ip -n red route add 10.7.0.0/16 via 10.5.0.9 dev dummy0 onlink metric 7 mtu lock 1300 table 100
ip -n red route add blackhole 10.8.0.0/16
ip -n red route add unreachable 10.9.0.0/16 table 100
ip -n red route add prohibit 10.10.0.0/16
ip -n red route add throw 10.11.0.0/16 table 100
ip -n red route add 10.12.0.0/16 nexthop dev dummy0 via 10.5.0.8 weight 3 onlink nexthop dev eth0 via 10.0.0.1 onlink
ip -n red route add 10.13.0.0/16 via inet6 fd00:5::9 dev dummy0
ip -n red route add 10.14.0.0/16 dev dummy0 src 10.5.0.2 proto static scope link
ip -n red -6 route add fd00:8::/48 via fd00:5::9 dev dummy0
ip -n red -6 route add blackhole fd00:9::/48
ip -n red rule add pref 100 from 10.5.0.0/24 to 10.7.0.0/16 iif eth0 fwmark 1/0xff lookup 100
ip -n red rule add pref 101 not ipproto tcp dport 80-90 uidrange 0-0 prohibit
ip -n red rule add pref 102 oif nowhere0 lookup main suppress_prefixlength 0
ip -n red -6 rule add pref 103 from fd00:5::/64 unreachable
ip -n red neigh add 10.5.0.9 lladdr 02:00:00:00:00:01 dev dummy0 nud permanent
ip -n red neigh add proxy 10.5.0.77 dev dummy0
ip -n red -6 neigh add fd00:5::9 lladdr 02:00:00:00:00:02 dev dummy0 nud stale router
bridge -n red fdb append 02:00:00:00:00:03 dev vx0 dst 10.0.0.8
bridge fdb add 02:00:00:00:00:04 dev veth0 master static sticky
bridge fdb add 02:00:00:00:00:05 dev veth0 master
bridge link set dev veth0 isolated on hairpin on learning off flood off
"""


def read(name: str) -> Namespace:
    """In the lab: one namespace, as the engine gets it."""
    with Machine() as machine:
        endpoint = machine.resolve(name)
        assert endpoint.namespace == name
        return machine.read(Snapshot(), [ReadNamespace(name)])[name]


def ask(name: str, queries: list[RouteQuery]) -> list[RouteAnswer]:
    with Machine() as machine:
        machine.resolve(name)
        return [asked.answer for asked in machine.read(Snapshot(), [AskRoute(name, query) for query in queries]).answers]


def said(lab: Lab, namespace: str, *command: str) -> Any:
    """What a tool of iproute2 prints as JSON."""
    return json.loads(lab.run([command[0], "-j", *command[1:]], namespace=namespace, check=True).stdout or "[]")


def read_thrice(name: str, change: list[str]) -> tuple[list[str], list[str]]:
    """In the lab: which tables are the same objects when they are read again, and again after a change."""
    with Machine() as machine:
        machine.resolve(name)
        first, second = (machine.read(Snapshot(), [ReadNamespace(name)])[name] for _ in range(2))
        subprocess.run(change, check=True)
        third = machine.read(Snapshot(), [ReadNamespace(name)])[name]
    tables = ("addresses", "routes", "rules")  # the kernel counts in those of interfaces
    kept, after = ([each for each in tables if getattr(a, each) is getattr(b, each)] for a, b in ((first, second), (second, third)))
    return kept, after


@pytest.fixture(scope="module")
def odd_lab(lab: Lab, privilege: str, user: Identity) -> Iterator[Lab]:
    """The tutorial's network with ODD in it; skipped where `lab` is."""
    with Lab(rootless=privilege == "rootless", folder="/", launcher=user.launcher, environment=user.environment) as odd:
        odd.run(["sh", "-ec", ODD], check=True)
        yield odd


@pytest.mark.parametrize("namespace", ["red", "host"])
def test_links(odd_lab: Lab, namespace: str) -> None:
    read_links = {link.name: link for link in odd_lab.call(read, namespace).links}
    shown_links = said(odd_lab, namespace, "ip", "-d", "link")
    assert len(read_links) == len(shown_links)
    for shown in shown_links:
        link = read_links[shown["ifname"]]
        info = shown.get("linkinfo", {})
        flags = shown["flags"]
        assert (link.index, link.mtu, link.mac) == (shown["ifindex"], shown["mtu"], shown.get("address", ""))
        assert link.kind == (info.get("info_kind") or ("loopback" if shown["link_type"] == "loopback" else ""))
        assert (link.up, link.carrier, link.arp) == ("UP" in flags, "LOWER_UP" in flags, "NOARP" not in flags)
        assert link.master == (read_links[shown["master"]].index if "master" in shown else None)
        assert (link.bridge is not None) == (link.kind == "bridge")
        assert (link.port is not None) == (info.get("info_slave_kind") == "bridge")


def test_far_ends_and_lower_devices(odd_lab: Lab) -> None:
    red = odd_lab.call(read, "red")
    named = {link.name: link for link in red.links}
    assert named["eth0"].link is not None
    assert named["eth0"].link.nsid is not None  # the far end is in another namespace
    for near, far in (("v0", "v1"), ("v1", "v0"), ("mac0", "eth0")):
        assert named[near].link is not None
        assert (named[near].link.index, named[near].link.nsid) == (named[far].index, None)
    assert named["mac0"].macvlan_mode == "private"
    vxlan = named["vx0"].vxlan
    assert vxlan is not None
    assert (vxlan.vni, vxlan.local, vxlan.remote, vxlan.port, vxlan.lower, vxlan.learning) == (
        42, "10.0.0.2", "10.0.0.9", 4790, named["eth0"].index, False,
    )  # fmt: skip


def test_a_bridge_and_its_ports(odd_lab: Lab) -> None:
    host = odd_lab.call(read, "host")
    bridge = host.link_named("br0")
    shown = said(odd_lab, "host", "ip", "-d", "link", "show", "dev", "br0")[0]["linkinfo"]["info_data"]
    assert bridge.bridge.stp == bool(shown["stp_state"])
    assert bridge.bridge.forward_delay == round(shown["forward_delay"] / 100)
    assert bridge.bridge.vlan_filtering == bool(shown["vlan_filtering"])
    assert bridge.bridge.multicast_snooping == bool(shown["mcast_snooping"])
    port = host.link_named("veth0").port
    shown = next(each for each in said(odd_lab, "host", "bridge", "-d", "link") if each["ifname"] == "veth0")
    assert port.state == shown["state"]
    assert (port.isolated, port.hairpin, port.learning, port.unicast_flood) == (True, True, False, False)
    assert (port.multicast_flood, port.broadcast_flood) == (shown["mcast_flood"], shown["bcast_flood"])


@pytest.mark.parametrize("namespace", ["red", "host", "internet"])
def test_addresses(odd_lab: Lab, namespace: str) -> None:
    found = odd_lab.call(read, namespace)
    shown = {
        (entry["ifindex"], address["local"], address["prefixlen"], address["scope"], address.get("address"), address.get("broadcast"))
        for entry in said(odd_lab, namespace, "ip", "addr")
        for address in entry["addr_info"]
    }
    assert {(a.index, a.address, a.prefixlen, a.scope, a.peer, a.broadcast) for a in found.addresses} == shown
    if namespace == "red":
        flags = {address.address: address.flags for address in found.addresses}
        assert flags["10.5.0.1"] == ("noprefixroute",)
        assert flags["10.5.0.2"] == ("secondary",)


@pytest.mark.parametrize("namespace", ["red", "host", "internet", "c1"])
@pytest.mark.parametrize("version", [4, 6])
def test_routes(odd_lab: Lab, namespace: str, version: int) -> None:
    found = odd_lab.call(read, namespace)
    names = {link.index: link.name for link in found.links}
    ours = {
        (route.dst, route.type, route.table, route.metric, route.protocol, route.source, tuple(_leg(leg, names) for leg in route.nexthops))
        for route in found.routes
        if (":" in route.dst) == (version == 6)
    }
    shown = said(odd_lab, namespace, "ip", "-d", f"-{version}", "route", "show", "table", "all")
    assert {_shown_route(route, version) for route in shown if route["dst"] != "multicast"} == ours
    assert any(route.table == 255 and route.type == "local" for route in found.routes)


def _leg(leg: Nexthop, names: dict[int, str]) -> tuple[str | None, str | None]:
    return names.get(leg.index or 0), leg.via


def _shown_route(route: dict[str, Any], version: int) -> tuple[Any, ...]:
    full = {"default": "0.0.0.0/0" if version == 4 else "::/0"}.get(route["dst"], route["dst"])
    if "/" not in full:
        full += "/32" if version == 4 else "/128"
    table = {"local": 255, "main": 254, "default": 253}.get(route.get("table", "main"), route.get("table"))
    legs = route.get("nexthops") or ([route] if "dev" in route or "gateway" in route or "via" in route else [])
    return (
        full, route.get("type", "unicast"), int(table), route.get("metric", 0), route.get("protocol", "boot"), route.get("prefsrc"),
        tuple((leg.get("dev"), leg.get("gateway") or leg.get("via", {}).get("host")) for leg in legs),
    )  # fmt: skip


def test_what_a_route_carries(odd_lab: Lab) -> None:
    routes = {route.dst: route for route in odd_lab.call(read, "red").routes if ":" not in route.dst and route.type != "local"}
    assert (routes["10.7.0.0/16"].mtu, routes["10.7.0.0/16"].mtu_lock) == (1300, True)
    assert routes["10.7.0.0/16"].nexthops[0].flags == ("onlink",)
    assert len(routes["10.12.0.0/16"].nexthops) == 2
    assert routes["10.13.0.0/16"].nexthops[0].via == "fd00:5::9"
    assert (routes["10.14.0.0/16"].scope, routes["10.14.0.0/16"].source) == ("link", "10.5.0.2")


def test_nexthop_objects(fresh_lab: Lab) -> None:
    commands = """
    ip -n red nexthop add id 1 via 10.0.0.1 dev eth0 onlink
    ip -n red nexthop add id 2 via 10.0.0.3 dev eth0 onlink
    ip -n red nexthop add id 3 blackhole
    ip -n red nexthop add id 9 group 1/2,5
    ip -n red route add 10.20.0.0/16 nhid 1
    ip -n red route add 10.21.0.0/16 nhid 9
    ip -n red route add 10.22.0.0/16 nhid 3
    """
    fresh_lab.run(["sh", "-ec", commands], check=True)
    for compatible in ("1", "0"):
        fresh_lab.run(["sysctl", "-qw", f"net.ipv4.nexthop_compat_mode={compatible}"], namespace="red", check=True)
        red = fresh_lab.call(read, "red")
        eth0 = red.link_named("eth0").index
        routes = {route.dst: route for route in red.routes}
        assert [(leg.index, leg.via) for leg in routes["10.20.0.0/16"].nexthops] == [(eth0, "10.0.0.1")]
        assert routes["10.20.0.0/16"].nexthops[0].flags == ("onlink",)
        assert [leg.via for leg in routes["10.21.0.0/16"].nexthops] == ["10.0.0.1", "10.0.0.3"]
        assert routes["10.22.0.0/16"].type == "blackhole"


@pytest.mark.parametrize("version", [4, 6])
def test_rules(odd_lab: Lab, version: int) -> None:
    rules = [rule for rule in odd_lab.call(read, "red").rules if rule.version == version]
    shown = said(odd_lab, "red", "ip", "-d", f"-{version}", "rule")
    tables = {"local": 255, "main": 254, "default": 253, "100": 100, None: None}
    assert [(rule.priority, rule.action, rule.table) for rule in rules] == [
        (each["priority"], each.get("action", "lookup"), tables[each.get("table")]) for each in shown
    ]
    named = {rule.priority: rule for rule in rules}
    if version == 4:
        one = named[100]
        assert (one.src, one.dst, one.iif, one.mark, one.mask, one.table) == ("10.5.0.0/24", "10.7.0.0/16", "eth0", 1, 0xFF, 100)
        two = named[101]
        assert (two.inverted, two.protocol, two.dports, two.uids) == (True, socket.IPPROTO_TCP, (80, 90), (0, 0))
        assert (named[102].oif, named[102].suppress_prefixlen) == ("nowhere0", 0)
    else:
        assert (named[103].src, named[103].action) == ("fd00:5::/64", "unreachable")


def test_neighbours(odd_lab: Lab) -> None:
    red = odd_lab.call(read, "red")
    names = {link.index: link.name for link in red.links}
    ours = {(names[n.index], n.address, n.mac, n.state) for n in red.neighbours if not n.proxy and n.state in ("permanent", "stale")}
    shown = said(odd_lab, "red", "ip", "neigh", "show", "nud", "permanent") + said(odd_lab, "red", "ip", "neigh", "show", "nud", "stale")
    assert {(n["dev"], n["dst"], n["lladdr"], n["state"][0].lower()) for n in shown} == ours
    assert [(n.address, n.mac) for n in red.neighbours if n.proxy] == [("10.5.0.77", None)]
    assert next(n for n in red.neighbours if n.address == "fd00:5::9").router


def is_filter(entry: dict[str, Any]) -> bool:
    """Whether it is one of the groups that a device listens to, which come with its addresses."""
    return "self" in entry["flags"] and int(entry["mac"][1], 16) & 1 == 1 and "dst" not in entry


@pytest.mark.parametrize("namespace", ["red", "host"])
def test_forwarding_entries(odd_lab: Lab, namespace: str) -> None:
    found = odd_lab.call(read, namespace)
    names = {link.index: link.name for link in found.links}
    ours = {(names[f.index], f.mac, names.get(f.master or 0), f.remote, f.state, f.sticky) for f in found.fdb if f.state != "reachable"}
    shown = {
        (f["ifname"], f["mac"], f.get("master") if "self" not in f["flags"] else None, f.get("dst"), f["state"], "sticky" in f["flags"])
        for f in said(odd_lab, namespace, "bridge", "fdb")
        if f["state"] not in ("", "reachable") and not is_filter(f)
    }
    assert {each for each in ours if each[4] != "stale"} == {each for each in shown if each[4] != "stale"}
    local = {f.mac for f in found.fdb if f.local}
    assert ("02:00:00:00:00:05" in local) == (namespace == "host")
    assert "02:00:00:00:00:04" not in local


def test_sysctls(fresh_lab: Lab) -> None:
    commands = """
    ip link add name 'eth1.5' type veth peer name other
    sysctl -qw net.ipv4.conf.eth1/5.rp_filter=2 net.ipv4.conf.eth1/5.arp_ignore=3 net.ipv4.conf.all.arp_announce=2
    sysctl -qw net.ipv4.conf.veth0.forwarding=0 net.ipv4.ip_default_ttl=63 net.ipv6.conf.eth0.accept_ra=2 net.ipv6.conf.veth0.disable_ipv6=1
    """
    fresh_lab.run(["sh", "-ec", commands], check=True)
    host = fresh_lab.call(read, "host")
    assert host.sysctl("net.ipv4.conf.eth1/5.rp_filter") == "2"
    assert host.sysctl("net.ipv4.conf.veth0.forwarding") == "0"
    assert host.sysctl("net.ipv4.ip_default_ttl") == "63"
    assert host.sysctl("net.ipv6.conf.veth0.disable_ipv6") == "1"
    names = list(host.sysctls)
    shown = fresh_lab.run(["sysctl", "-n", *names], namespace="host", check=True).stdout.splitlines()
    volatile = "net.netfilter.nf_conntrack_count"
    assert {name: " ".join(value.split()) for name, value in zip(names, shown, strict=True) if name != volatile} == {
        name: value for name, value in host.sysctls.items() if name != volatile
    }


@pytest.mark.skipif(shutil.which("ss") is None, reason="ss is not installed")
@pytest.mark.parametrize("namespace", ["internet", "c2"])
def test_sockets(lab: Lab, namespace: str) -> None:
    shown = set()
    for line in lab.run(["ss", "-Hnatu"], namespace=namespace, check=True).stdout.splitlines():
        protocol, state, _, _, local = line.split()[:5]
        host, _, port = local.rpartition(":")
        if state in ("LISTEN", "UNCONN"):
            shown.add((protocol, {"LISTEN": "listen", "UNCONN": "unconnected"}[state], host.strip("[]"), int(port)))
    found = lab.call(read, namespace).sockets
    ours = {(s.protocol, s.state, s.address, s.port) for s in found if s.protocol != "raw" and s.state != "established"}
    assert {(p, s, a.replace("*", "::"), n) for p, s, a, n in shown} == {(p, s, a, n) for p, s, a, n in ours}
    assert shown
    assert all(socket.queue[1] > 0 for socket in found if socket.state == "listen")


def test_counters_count(lab: Lab) -> None:
    before = lab.call(read, "red").counters["IcmpOutEchos"]
    lab.run(["ping", "-c2", "-i0.1", "8.8.8.8"], namespace="red", check=True)
    assert lab.call(read, "red").counters["IcmpOutEchos"] == before + 2


def test_traffic_control(fresh_lab: Lab) -> None:
    done = fresh_lab.run(["tc", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", "8kbit", "burst", "100", "limit", "1000"])
    if done.returncode:
        pytest.skip(f"this kernel has no tbf: {done.stderr}")
    fresh_lab.run(["tc", "qdisc", "add", "dev", "veth0", "clsact"], check=True)
    host = fresh_lab.call(read, "host")
    (tbf,) = host.link_named("eth0").qdiscs
    assert (tbf.kind, tbf.parent) == ("tbf", "root")
    assert "rate 8000bit limit 1000b" in tbf.text
    assert [qdisc.kind for qdisc in host.link_named("veth0").qdiscs] == ["clsact"]
    assert host.link_named("docker0").qdiscs == ()


def test_ipsec_policies(fresh_lab: Lab) -> None:
    command = "ip xfrm policy add src 10.0.0.2/32 dst 8.8.8.8/32 dir out action block"
    done = fresh_lab.run(["sh", "-ec", command], namespace="red")
    if done.returncode:
        pytest.skip(f"this kernel has no IPsec: {done.stderr}")
    more = "ip xfrm policy add src 10.0.0.2/32 dst 9.9.9.9/32 dir out tmpl src 10.0.0.2 dst 9.9.9.9 proto esp mode tunnel"
    fresh_lab.run(["sh", "-ec", more], namespace="red", check=True)
    found = {policy.dst: policy for policy in fresh_lab.call(read, "red").xfrm}
    assert (found["8.8.8.8/32"].action, found["8.8.8.8/32"].direction, found["8.8.8.8/32"].keyed) == ("block", "out", None)
    assert (found["9.9.9.9/32"].action, found["9.9.9.9/32"].keyed) == ("allow", False)
    state = "ip xfrm state add src 10.0.0.2 dst 9.9.9.9 proto esp spi 1 mode tunnel enc 'cipher_null' ''"
    if not fresh_lab.run(["sh", "-ec", state], namespace="red").returncode:
        assert {policy.dst: policy for policy in fresh_lab.call(read, "red").xfrm}["9.9.9.9/32"].keyed is True


def test_questions_to_the_kernel(fresh_lab: Lab) -> None:
    commands = """
    ip route add blackhole 198.18.0.0/16
    ip route add prohibit 198.19.0.0/16
    ip route add unreachable 198.20.0.0/16
    ip route add 198.21.0.0/16 via 10.0.0.2 dev br0 mtu 1300 table 77
    ip rule add pref 50 fwmark 7 lookup 77
    """
    fresh_lab.run(["sh", "-ec", commands], check=True)
    host = fresh_lab.call(read, "host")
    br0, eth0 = host.link_named("br0").index, host.link_named("eth0").index
    answers = fresh_lab.call(ask, "host", [
        RouteQuery(None, "8.8.8.8"),
        RouteQuery("10.0.0.2", "8.8.8.8", iif=br0),
        RouteQuery(None, "10.0.0.1"),
        RouteQuery(None, "198.18.0.1"), RouteQuery(None, "198.19.0.1"), RouteQuery(None, "198.20.0.1"),
        RouteQuery(None, "198.21.0.1", mark=7, protocol=socket.IPPROTO_TCP, dport=80),
        RouteQuery(None, "2001:4860:4860::8888"),
    ])  # fmt: skip
    way, forwarded, own, hole, prohibited, unreachable, marked, six = answers
    assert (way.index, way.type, way.prefix, way.table, way.error) == (eth0, "unicast", "0.0.0.0/0", 254, None)
    assert way.source in {address.address for address in host.addresses_of(host.link_named("eth0"))}
    assert (forwarded.index, forwarded.via) == (eth0, way.via)
    assert (own.type, own.table, own.prefix) == ("local", 255, "10.0.0.1/32")
    assert (hole.error, prohibited.error, unreachable.error) == ("EINVAL", "EACCES", "EHOSTUNREACH")
    assert (marked.via, marked.table, marked.mtu, marked.prefix) == ("10.0.0.2", 77, 1300, "198.21.0.0/16")
    assert (six.index, six.prefix) == (eth0, "::/0")


def test_hostile_names(fresh_lab: Lab) -> None:
    odd = [b"e\x1b[31mred", b"e\xe9\xff", b"a" * 15, b"1e5", b"a.b@c"]
    for name in odd:
        fresh_lab.call(make_interface, name)
    red = fresh_lab.call(read, "red")
    names = {link.name for link in red.links}
    assert {name.decode("utf-8", "surrogateescape") for name in odd} <= names
    assert red.sysctl("net.ipv4.conf.a/b@c.rp_filter") is not None
    assert red.blind == ()


def make_interface(name: bytes) -> None:
    import subprocess

    subprocess.run([b"ip", b"-n", b"red", b"link", b"add", b"name", name, b"type", b"veth"], check=True)


def test_tables_that_say_the_same_are_the_same_objects_and_a_change_is_seen(fresh_lab: Lab) -> None:
    kept, after = fresh_lab.call(read_thrice, "red", ["ip", "-n", "red", "addr", "add", "10.66.0.1/24", "dev", "eth0"])
    assert kept == ["addresses", "routes", "rules"]
    assert after == ["rules"]
