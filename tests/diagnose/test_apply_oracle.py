"""Commands carried out by the real tools and by the model: the configuration is the same afterwards, or both refuse."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from typing import Any

import pytest
from commands import typed
from msgspec.structs import replace

from netprobe.diagnose.apply import mend
from netprobe.lab.lab import Lab
from netprobe.linux.machine import Machine
from netprobe.model import Cause, FindPeer, Link, Namespace, Place, ReadNamespace, Ruleset, Snapshot, Stage

pytestmark = [pytest.mark.lab, pytest.mark.parametrize("privilege", ["root"], indirect=True, scope="session")]

NEXTHOP = "host: ip nexthop add id 5 via 203.0.113.9 dev eth0; for n in 192.0.2 198.51.100; do ip route add $n.0/24 nhid 5; done"
NAMES = ("host", "red", "c1", "c2", "internet")
PATIENCE = 3.0
SETTLE = "while ip -6 address show tentative | grep -q .; do sleep 0.05; done"  # duplicate address detection


def seen() -> Snapshot:
    """In the lab: every namespace, and who is at the other end of each cable."""
    with Machine() as machine:
        names = [machine.resolve(name).namespace or "" for name in NAMES]
        snapshot = machine.read(Snapshot(), [ReadNamespace(name) for name in names])
        ends = {(name, link.link.nsid) for name in names for link in snapshot[name].links if link.link is not None}
        return machine.read(snapshot, [FindPeer(name, nsid) for name, nsid in ends if nsid is not None])


def shape(snapshot: Snapshot) -> dict[str, Any]:
    """What the model says of a configuration, without what traffic and time change."""
    return {f"{name} {part}": found for name in NAMES for part, found in parts(snapshot[name])}


def parts(namespace: Namespace) -> Iterator[tuple[str, Any]]:
    yield from ((f"link {link.name}", link_shape(namespace, link)) for link in namespace.links)
    known = {link.index: link.name for link in namespace.links}
    yield from ((f"address {a.address}/{a.prefixlen} {known[a.index]}", a.scope) for a in namespace.addresses)
    for route in namespace.routes:
        if route.type in ("anycast", "multicast"):
            continue
        legs = tuple((known.get(leg.index or 0), leg.via, tuple(sorted(leg.flags))) for leg in route.nexthops)
        more = (route.source, route.nhid, route.origin, route.protocol, route.tos, route.mtu, route.mtu_lock)
        more = (*more, route.hoplimit, route.advmss)
        yield f"route {route.type} {route.dst} {route.table} {route.metric} {legs} {more}", "there"
    for at, rule in enumerate(namespace.rules):
        yield f"rule {at}", (rule.version, rule.priority, rule.action, rule.table, rule.src, rule.dst, rule.iif, rule.mark)
    for entry in namespace.neighbours:
        if entry.state in ("permanent", "noarp") and not entry.address.startswith(("ff", "224.", "127.")) and entry.mac:
            yield f"neighbour {entry.address} {known[entry.index]}", entry.mac
    for each in namespace.fdb:
        if each.static and each.vlan is None and not each.mac.startswith(("33:33", "01:")):
            yield f"fdb {each.mac} {known[each.index]}", (each.remote, each.local)
    yield "sysctls", {key: value for key, value in namespace.sysctls.items() if "nf_conntrack_count" not in key}
    yield from rule_shape(namespace.ruleset or Ruleset())


def link_shape(namespace: Namespace, link: Link) -> dict[str, Any]:
    port = link.port and {name: getattr(link.port, name) for name in link.port.__struct_fields__}
    master = namespace.link(link.master)
    return {
        "up": link.up, "carrier": link.carrier, "arp": link.arp, "mac": link.mac, "mtu": link.mtu,
        "master": master and master.name, "port": port, "xdp": bool(link.xdp), "stp": link.bridge and link.bridge.stp, "vxlan": link.vxlan,
        "mode": link.macvlan_mode, "qdiscs": [q.kind for q in link.qdiscs if q.kind not in ("noqueue", "mq")], "filters": len(link.filters),
    }  # fmt: skip


def rule_shape(ruleset: Ruleset) -> Iterator[tuple[str, Any]]:
    """What the rules test and do; tools order the tests of a rule as they like."""
    for table in ruleset.tables:
        for chain in table.chains:
            rules = [sorted(repr(s) for s in rule.statements if s.kind != "note") for rule in chain.rules]
            if rules or chain.policy == "drop":
                yield f"chain {table.engine} {table.family} {table.name} {chain.name}", (chain.policy, rules)


def difference(expected: dict[str, Any], real: dict[str, Any]) -> str:
    """What differs, a line each: the model's, then the kernel's."""
    keys = [key for key in (*expected, *(k for k in real if k not in expected)) if expected.get(key) != real.get(key)]
    return "\n".join(
        f"{key}\n    model  {told(expected.get(key), real.get(key))}\n    kernel {told(real.get(key), expected.get(key))}" for key in keys
    )


def told(one: Any, other: Any) -> Any:
    if isinstance(one, dict) and isinstance(other, dict):
        return {key: value for key, value in one.items() if other.get(key) != value}
    return one


def agrees(lab: Lab, place: str, line: str, *given: str) -> None:
    """Model and kernel do the same with `line`; `given` lines are run before, each with its namespace in front."""
    for each in given:
        name, _, before = each.partition(": ")
        done = lab.run(["bash", "-ec", before], name)
        assert done.returncode == 0, (before, done.stderr)
    for name in NAMES:
        lab.run(["bash", "-c", SETTLE], name)
    snapshot = lab.call(seen)
    command = replace(typed(line), namespace=place)
    expected = mend(snapshot, Cause("unknown", Place(place, None, Stage.ROUTE), "", commands=(command,)))
    done = lab.run(shlex.split(line), place)
    lab.run(["bash", "-c", SETTLE], place)
    if done.returncode != 0:
        assert expected is None, f"the tool refuses: {done.stderr}"
        return
    wanted, until = shape(snapshot if expected is None else expected), time.monotonic() + PATIENCE
    while (found := difference(wanted, shape(lab.call(seen)))) and time.monotonic() < until:
        time.sleep(0.1)  # of a lost carrier the routes hear within a second (net/core/link_watch.c)
    assert expected is not None or not found, "the model does not know it"
    assert found == ""


# of a lost carrier the routes hear within a second: not in the middle of what is compared
LINKDOWN = "for n in $(seq 50); do ip route | grep -q 'docker0.*linkdown' && break; sleep 0.1; done"
SPANNING = (
    "host: ip link set dev docker0 type bridge stp_state 1",
    "host: ip link set dev veth9b03c7e nomaster; ip link set dev veth9b03c7e master docker0",
)
LINKS = [
    ("red", "ip link set dev eth0 down"),
    ("red", "ip link set dev eth0 up", "red: ip link set dev eth0 down"),
    ("host", "ip link set dev br0 down"),
    ("host", "ip link set dev br0 up", "host: ip link set dev br0 down"),
    ("host", "ip link set dev eth0 down"),
    ("host", "ip link set dev eth0 up", "host: ip link set dev eth0 down"),
    ("host", "ip link set dev veth0 down"),
    ("host", "ip link set dev veth0 nomaster"),
    ("host", "ip link set dev veth0 master docker0"),
    ("host", "ip link set dev veth0 master br0", "host: ip link set dev veth0 nomaster"),
    ("host", "ip link set dev veth0 master br9",
     "host: ip link add br9 type bridge; ip link set br9 up; ip link set veth0 master br9; ip link set veth0 nomaster",
     f"host: {LINKDOWN.replace('docker0', 'br0')}"),
    ("red", "ip link set dev eth0 mtu 1400"),
    ("red", "ip link set dev eth0 mtu 70000"),
    ("red", "ip link set dev eth0 arp off"),
    ("red", "ip link set dev eth0 arp on", "red: ip link set dev eth0 arp off"),
    ("red", "ip link set dev eth0 address 02:00:00:00:00:77"),
    ("host", "ip link set dev veth0 address 02:00:00:00:00:77"),
    ("red", "ip link set dev eth0 address nonsense"),
    ("host", "ip link set dev docker0 type bridge stp_state 0", "host: ip link set dev docker0 type bridge stp_state 1"),
    ("host", "ip link set dev docker0 type bridge stp_state 0", *SPANNING),
    ("host", "bridge link set dev veth9b03c7e state 3", *SPANNING),
    ("host", "bridge link set dev veth9b03c7e state 3", *SPANNING, "host: ip link set dev docker0 type bridge stp_state 0"),
    ("host", "bridge link set dev veth0 state 4"),
    ("host", "bridge link set dev eth0 isolated on"),
    ("host", "bridge link set dev veth0 isolated on"),
    ("host", "ip link set dev veth0 type bridge_slave proxy_arp off", "host: ip link set dev veth0 type bridge_slave proxy_arp on"),
    ("host", "bridge link set dev veth0 state 0"),
    ("host", "bridge link set dev veth0 flood off mcast_flood off bcast_flood off learning off"),
    ("host", "bridge fdb add 02:00:00:00:00:99 dev veth0 master static"),
    ("host", "bridge fdb replace 02:00:00:00:00:99 dev veth4f1d2a6 master static",
     "host: bridge fdb add 02:00:00:00:00:99 dev veth9b03c7e master static"),
    ("host", "bridge fdb del 02:00:00:00:00:99 dev veth0 master", "host: bridge fdb add 02:00:00:00:00:99 dev veth0 master static"),
    ("host", "bridge fdb del 02:00:00:00:00:99 dev veth0 master"),
    ("host", "bridge fdb replace 02:00:00:00:00:99 dev docker0 self permanent"),
    ("host", "bridge fdb replace 02:00:00:00:00:99 dev docker0 self permanent",
     "host: bridge fdb add 02:00:00:00:00:99 dev veth9b03c7e master static"),
    ("host", "bridge fdb del 02:00:00:00:00:99 dev docker0 self", "host: bridge fdb add 02:00:00:00:00:99 dev docker0 self permanent"),
    ("host", "tc qdisc del dev eth0 root", "host: tc qdisc add dev eth0 root bfifo limit 2000"),
    ("host", "tc filter del dev eth0 ingress",
     "host: tc qdisc add dev eth0 clsact",
     "host: tc filter add dev eth0 ingress protocol ip u32 match ip dst 8.8.0.0/16 action mirred egress redirect dev docker0"),
    ("c1", "ip link set dev eth0 netns c2", "c2: ip link set dev eth0 name eth1"),
    ("c1", "ip link set dev eth0 netns c2"),
]  # fmt: skip

ADDRESSES = [
    ("red", "ip address add 10.0.0.5/16 dev eth0"),
    ("red", "ip address add 10.0.0.5 dev eth0"),
    ("red", "ip address add 10.0.0.2/32 dev eth0"),
    ("red", "ip address del 10.0.0.2/32 dev eth0"),
    ("c1", "ip address del 172.17.0.2/16 dev eth0"),
    ("c1", "ip address del 172.17.0.2/16 dev eth0", "c1: ip address add 172.17.0.9/16 dev eth0"),
    (
        "c1",
        "ip address del 172.17.0.2/16 dev eth0",
        "c1: sysctl -qw net.ipv4.conf.eth0.promote_secondaries=1",
        "c1: ip address add 172.17.0.9/16 dev eth0; ip address add 172.17.0.10/16 dev eth0",
    ),
    ("c1", "ip address del 172.17.0.2/16 dev eth0", "c1: ip address add 192.0.2.1/24 dev eth0"),
    ("c1", "ip address del 172.17.0.9/16 dev eth0", "c1: ip address add 172.17.0.9/16 dev eth0"),
    (
        "c1",
        "ip address del 172.17.0.2/16 dev eth0",
        "c1: ip neigh add 172.17.0.77 lladdr 02:00:00:00:00:77 dev eth0 nud permanent; ip route add 10.65.0.3 dev eth0",
    ),
    ("c1", "ip address add 172.17.0.2/24 dev eth0"),
    ("c1", "ip address del 172.17.0.99/16 dev eth0"),
    ("c1", "ip address add fd00:9::1/64 dev eth0"),
    ("c1", "ip -6 address del fd00:172:17::2/64 dev eth0"),
    ("c1", "ip address add fd00:9::1/64 dev eth0", "c1: sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1"),
    ("c1", "ip address replace 172.17.0.2/16 dev eth0"),
    ("c1", "ip address add 172.18.0.2/16 dev eth0", "c1: ip link set dev eth0 down"),
    ("c1", "ip address del 172.17.0.2/16 dev eth0", "c1: ip link set dev eth0 down"),
]

ROUTES = [
    ("red", "ip route add 192.0.2.0/24 via 10.0.0.1"),
    ("red", "ip route add 192.0.2.0/24 via 10.0.0.1 dev eth0"),
    ("red", "ip route add 192.0.2.0/24 via 10.0.0.1 dev eth0 onlink"),
    ("red", "ip route replace default via 10.0.0.9 dev eth0 onlink"),
    ("c1", "ip route add 192.0.2.0/24 via 172.17.0.1"),
    ("c1", "ip route add 192.0.2.0/24 via 172.17.0.1 dev eth0"),
    ("c1", "ip route add 192.0.2.0/24 via 172.17.0.1 dev eth0", "c1: ip route add 192.0.2.0/24 via 172.17.0.3 dev eth0"),
    ("c1", "ip route add 192.0.2.0/24 dev eth0 metric 7"),
    ("c1", "ip route add 192.0.2.0/24 via 172.17.0.1 tos 0x10"),
    (
        "c1",
        "ip route replace 192.0.2.0/24 via 172.17.0.1 hoplimit 64",
        "c1: ip route add 192.0.2.0/24 via 172.17.0.1 hoplimit 1 advmss 500",
    ),
    ("c1", "ip -6 route replace 2001:db8::/32 via fd00:172:17::1 advmss 500 proto static mtu 1400 metric 9"),
    ("c1", "ip route replace 192.0.2.0/24 dev eth0 mtu lock 700"),
    ("c1", "ip route del 192.0.2.0/24", "c1: ip route add 192.0.2.0/24 via 172.17.0.1 tos 0x10"),
    ("c1", "ip route del 192.0.2.0/24 tos 0x10", "c1: ip route add 192.0.2.0/24 via 172.17.0.1 tos 0x10"),
    ("c1", "ip route append 192.0.2.0/24 via 172.17.0.1", "c1: ip route add 192.0.2.0/24 via 172.17.0.3 dev eth0"),
    ("c1", "ip route change 192.0.2.0/24 via 172.17.0.1"),
    ("c1", "ip route replace default via 172.17.0.3"),
    ("c1", "ip route add blackhole 192.0.2.0/24"),
    ("c1", "ip route add unreachable 2001:db8::/32"),
    ("c1", "ip route del blackhole 192.0.2.0/24", "c1: ip route add blackhole 192.0.2.0/24"),
    ("c1", "ip route del 192.0.2.0/24", "c1: ip route add blackhole 192.0.2.0/24"),
    ("c1", "ip route del 192.0.2.0/24", "c1: ip nexthop add id 20 blackhole", "c1: ip route add 192.0.2.0/24 nhid 20"),
    ("c1", "ip route del 192.0.2.0/24 nhid 20", "c1: ip nexthop add id 20 blackhole", "c1: ip route add 192.0.2.0/24 nhid 20"),
    *(
        ("host", line, NEXTHOP)
        for line in (
            "ip nexthop replace id 5 via 203.0.113.1 dev eth0",
            "ip nexthop replace id 5 via 10.9.9.9 dev eth0",
            "ip nexthop replace id 5 via 10.9.9.9 dev eth0 onlink",
            "ip nexthop replace id 5 dev eth0",
            "ip route del 192.0.2.0/24 nhid 5",
            "ip route del 192.0.2.0/24",
            "ip route del 192.0.2.0/24 via 203.0.113.9 dev eth0",
            "ip route del 192.0.2.0/24 nhid 6",
            "ip route del 10.0.0.0/16 nhid 5",
            "ip route replace 192.0.2.0/24 via 203.0.113.1 dev eth0",
            "ip route add 192.0.2.0/25 nhid 5",
            "ip route add 192.0.2.0/25 nhid 6",
        )
    ),
    ("c1", "ip route del default"),
    ("c1", "ip route del default via 172.17.0.9"),
    ("c1", "ip route del default via 172.17.0.1 dev eth0"),
    ("c1", "ip -6 route add default via fd00:172:17::3", "c1: ip -6 route del default"),
    ("c1", "ip -6 route add 2001:db8::/32 via fd00:172:17::1 dev eth0"),
    ("c1", "ip -6 route add 2001:db8::/32 via fd00:99::1"),
    ("c1", "ip -6 route replace 2001:db8::/32 via fd00:172:17::3", "c1: ip -6 route add 2001:db8::/32 via fd00:172:17::1"),
    ("c1", "ip -6 route del default"),
    ("c1", "ip -6 route add default from 2001:db8::/32 via fd00:172:17::3"),
    ("c1", "ip -6 route del default", "c1: ip -6 route add default from 2001:db8::/32 via fd00:172:17::3"),
    ("c1", "ip -6 route del default from 2001:db8::/32", "c1: ip -6 route add default from 2001:db8::/32 via fd00:172:17::3"),
    ("c1", "ip -6 route add default via fd00:172:17::1 dev eth0", "c1: ip link set dev eth0 down"),
    ("c1", "ip route add default via 172.17.0.1 dev eth0", "c1: ip link set dev eth0 down"),
    ("c1", "ip route add 192.0.2.0/24 via 172.17.0.1 table 100"),
    ("c1", "ip route add 192.0.2.1/24 dev eth0"),
    ("c1", "ip route add 192.0.2.0/24 via 172.17.0.1 src 172.17.0.2"),
    ("c1", "ip route add 192.0.2.0/24 via 172.17.0.1 src 192.0.2.77"),
]

POLICY = [
    ("host", "ip rule add pref 100 from 10.0.0.0/16 lookup 100"),
    ("host", "ip rule add pref 100 from 10.0.0.0/16 prohibit"),
    ("host", "ip rule add pref 100 to 10.0.0.0/16 iif br0 fwmark 0x7/0xff lookup main"),
    ("host", "ip -6 rule add pref 50 from fd00:10::/64 unreachable"),
    ("host", "ip rule del pref 100 from 10.0.0.0/16 prohibit", "host: ip rule add pref 100 from 10.0.0.0/16 prohibit"),
    ("host", "ip rule del pref 100 from 10.0.0.0/16 lookup 100",
     "host: ip rule add pref 100 from 10.9.0.0/16 lookup 100; ip rule add pref 100 from 10.0.0.0/16 lookup 100"),
    ("host", "ip rule del pref 100 from 10.0.0.0/16 lookup 100", "host: ip rule add pref 100 from 10.9.0.0/16 lookup 100"),
    ("host", "ip rule del pref 100"),
    ("host", "ip rule add pref 0 from all lookup local", "host: ip rule del pref 0"),
    ("host", "ip rule add pref -1 from all lookup main"),
    ("host", "ip rule add pref 4294967296 from all lookup main"),
    ("host", "ip rule add pref 32767 from all lookup main",
     "host: ip rule del pref 32766; ip rule add pref 32766 to 192.0.2.0/24 lookup main"),
]  # fmt: skip

NEIGHBOURS = [
    ("c1", "ip neigh add 172.17.0.77 lladdr 02:00:00:00:00:77 dev eth0 nud permanent"),
    ("c1", "ip neigh replace 172.17.0.77 lladdr 02:00:00:00:00:78 dev eth0 nud permanent",
     "c1: ip neigh add 172.17.0.77 lladdr 02:00:00:00:00:77 dev eth0 nud permanent"),
    ("c1", "ip neigh del 172.17.0.77 dev eth0", "c1: ip neigh add 172.17.0.77 lladdr 02:00:00:00:00:77 dev eth0 nud permanent"),
    ("c1", "ip neigh del 172.17.0.78 dev eth0"),
    ("c1", "ip neigh flush to 172.17.0.77 dev eth0", "c1: ip neigh add 172.17.0.77 lladdr 02:00:00:00:00:77 dev eth0 nud permanent"),
    ("c1", "ip neigh flush to 172.17.0.77 dev eth0", "c1: ip neigh add 172.17.0.77 lladdr 02:00:00:00:00:77 dev eth0 nud stale"),
    ("c1", "ip neigh flush to 172.17.0.78 dev eth0"),
    ("c1", "ip link set dev eth0 address 02:00:00:00:00:79",
     "c1: ip neigh add 172.17.0.77 lladdr 02:00:00:00:00:77 dev eth0 nud permanent"),
    ("c1", "ip -4 route replace default via inet6 fe80::77 dev eth0"),
    ("c1", "ip -4 route add 192.0.2.0/24 via inet6 fe80::77 dev eth0"),
    ("host", "sysctl -w net.ipv4.ip_forward=0"),
    ("host", "sysctl -w net.ipv4.conf.all.forwarding=0"),
    ("host", "sysctl -w net.ipv4.conf.br0.forwarding=0"),
    ("host", "sysctl -w net.ipv6.conf.all.forwarding=0"),
    ("host", "sysctl -w net.ipv4.conf.br0.rp_filter=2"),
    ("c1", "sysctl -w net.ipv6.conf.eth0.disable_ipv6=1"),
    ("c1", "sysctl -w net.ipv6.conf.eth0.disable_ipv6=0", "c1: sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1"),
]  # fmt: skip

PASS = "host: nft add table inet fw; nft add chain inet fw pass '{ type filter hook forward priority 0; policy drop; }'"
LIMITED = "nft add rule inet fw pass icmp type echo-request limit rate 1/minute burst 2 packets accept"
RULES = [
    ("host", "iptables -t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE"),
    ("host", "iptables -I FORWARD -i br0 -o eth0 -j ACCEPT", "host: iptables -A FORWARD -j DROP"),
    ("host", "iptables -I FORWARD -i eth0 -o br0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "host: iptables -P FORWARD DROP"),
    ("host", "iptables -I INPUT -i eth0 -p tcp --dport 80 -j ACCEPT", "host: iptables -P INPUT DROP"),
    ("host", "iptables -I INPUT -i eth0 -p icmp --icmp-type echo-request -j ACCEPT", "host: iptables -P INPUT DROP"),
    ("host", "ip6tables -I INPUT -i eth0 -p ipv6-icmp -j ACCEPT", "host: ip6tables -P INPUT DROP"),
    ("host", "iptables -I FORWARD 2 -s 10.0.0.2 -d 8.8.8.8/32 -j DROP", "host: iptables -A FORWARD -j ACCEPT; iptables -A FORWARD -j DROP"),
    ("host", "iptables -I FORWARD 3 -j DROP"),
    ("host", "iptables -R FORWARD 2 -s 10.0.0.3/32 -j ACCEPT", "host: iptables -A FORWARD -j ACCEPT; iptables -A FORWARD -j DROP"),
    ("host", "iptables -t nat -R PREROUTING 1 -p tcp --dport 8080 -j DNAT --to-destination 10.0.0.3:80",
     "host: iptables -t nat -A PREROUTING -p tcp --dport 8080 -j DNAT --to-destination 10.0.0.99:80"),
    ("host", "iptables -R FORWARD 3 -j DROP"),
    ("host", "iptables -I NOSUCH -j DROP"),
    ("host", "iptables -t raw -A PREROUTING -s 10.0.0.2 -j DROP"),
    ("host", "iptables -D FORWARD -m comment --comment 'a \"b\" c' -j DROP",
     "host: iptables -A FORWARD -m comment --comment 'a \"b\" c' -j DROP"),
    ("host", "iptables -D FORWARD -i br0 -j DROP", "host: iptables -A FORWARD -i docker0 -j DROP; iptables -A FORWARD -i br0 -j DROP"),
    ("host", "iptables -D FORWARD -i br9 -j DROP", "host: iptables -A FORWARD -i docker0 -j DROP"),
    ("host", "iptables -P FORWARD ACCEPT", "host: iptables -P FORWARD DROP"),
    ("host", "iptables -t nat -A PREROUTING -p tcp -d 203.0.113.2 --dport 8080 -j DNAT --to-destination 172.17.0.3:80"),
    ("host", "iptables -t nat -I POSTROUTING -s 10.0.0.2 -o eth0 -j SNAT --to-source 203.0.113.2"),
    ("host", "iptables-legacy -I FORWARD -i br0 -j ACCEPT", "host: iptables-legacy -P FORWARD DROP"),
    ("host", "iptables-legacy -D FORWARD -p udp -m udp --dport 53 -j DROP", "host: iptables-legacy -A FORWARD -p udp --dport 53 -j DROP"),
    ("host", "ebtables -I FORWARD -i veth4f1d2a6 -o veth9b03c7e -j ACCEPT", "host: ebtables -P FORWARD DROP"),
    ("host", "ebtables -D FORWARD -s ! 02:00:00:00:00:01 -i veth0 -j DROP",
     "host: ebtables -A FORWARD -s ! 02:00:00:00:00:01 -i veth0 -j DROP"),
    ("c1", "arptables -I INPUT -i eth0 -j ACCEPT", "c1: arptables -P INPUT DROP"),
    ("c1", "arptables -D INPUT -j DROP -s 172.17.0.2", "c1: arptables -A INPUT -s 172.17.0.2 -j DROP"),
    ("host", "nft insert rule inet fw pass iifname br0 oifname eth0 accept", PASS),
    ("host", "nft insert rule inet fw pass iifname eth0 ct state established,related accept", PASS),
    ("host", "nft add rule inet fw pass tcp dport 80 drop", PASS, "host: nft add rule inet fw pass accept"),
    ("host", "nft insert rule inet fw pass icmp type echo-request accept", PASS),
    ("host", "nft delete rule inet fw pass handle 3", PASS, "host: nft add rule inet fw pass accept; nft add rule inet fw pass drop"),
    ("host", "nft replace rule inet fw pass handle 2 'icmp type echo-request accept'", PASS, f"host: {LIMITED}"),
    ("host", "nft replace rule inet fw pass handle 2 'ct state untracked counter accept'", PASS,
     "host: nft add rule inet fw pass ct state untracked counter drop"),
    ("host", "nft add element inet fw ports '{ 80 }'", PASS,
     "host: nft add set inet fw ports '{ type inet_service; }'; nft add rule inet fw pass tcp dport @ports accept"),
    ("host", "iptables -R FORWARD 2 -s 10.0.0.2/32 -j ACCEPT", "host: iptables -A FORWARD -j LOG; iptables -A FORWARD -s 10.0.0.2 -j DROP"),
    ("host", "iptables -R FORWARD 2 -j ACCEPT", "host: iptables -A FORWARD -j DROP"),
]  # fmt: skip

DEVICES = [
    ("red", "ip link del eth0"),
    ("host", "ip link del veth0"),
    ("host", "ip link del dev br0"),
    ("host", "ip link del veth0", "host: ip link set veth9b03c7e nomaster; ip link set veth4f1d2a6 nomaster; " + LINKDOWN),
    ("host", "ip link del lo"),
    ("host", "ip link del nosuch"),
    ("host", "ip link add veth0 type bridge"),
    ("host", "ip link add shim link eth0 address 02:00:00:00:00:43 type macvlan mode bridge"),
    ("host", "ip link add shim link eth0 address 02:00:00:00:00:43 type macvlan", "host: ip link set eth0 mtu 1400"),
    ("host", "ip link add shim link eth0 type macvlan mode nonsense"),
    ("host", "ip link add shim link nosuch type macvlan"),
    ("host", "ip link add shim type macvlan"),
    ("host", "ip link add vx0 address 02:00:00:00:00:42 type vxlan id 42 local 203.0.113.2 remote 203.0.113.1 dstport 4789 dev eth0"),
    ("host", "ip link add vx0 address 02:00:00:00:00:42 type vxlan id 42 local 203.0.113.2 ttl 9 nolearning proxy l2miss dstport 4789"),
    ("host", "ip link add vx0 address 02:00:00:00:00:42 type vxlan id 42 local fd00:203::2 remote fd00:203::1 dev eth0"),
    (
        "host",
        "ip link set vx0 type vxlan remote 203.0.113.9",
        "host: ip link add vx0 address 02:00:00:00:00:42 type vxlan id 42 local 203.0.113.2 remote 203.0.113.1 dev eth0",
    ),
    (
        "host",
        "ip link set vx0 type vxlan remote 203.0.113.9",
        "host: ip link add vx0 address 02:00:00:00:00:42 type vxlan id 42 local 203.0.113.2 dev eth0",
    ),
    ("host", "ip link set vx0 up", "host: ip link add vx0 type vxlan id 42 local 203.0.113.2 remote 203.0.113.1 dstport 4789 dev eth0"),
    ("host", "ip link add vx0 type vxlan id 42 dstport 4789 dev nosuch"),
    ("host", "ip link add vx0 type vxlan dstport 4789"),
    ("host", "tc qdisc add dev eth0 root pfifo limit 100"),
    ("host", "tc qdisc replace dev eth0 root bfifo limit 10", "host: tc qdisc add dev eth0 root pfifo limit 100"),
    ("host", "tc qdisc add dev eth0 clsact"),
    ("host", "tc qdisc add dev eth0 clsact", "host: tc qdisc add dev eth0 clsact"),
]
MORE = [
    ("host", "iptables -F FORWARD", "host: iptables -A FORWARD -j DROP; iptables -A INPUT -j ACCEPT"),
    ("host", "iptables -F", "host: iptables -A FORWARD -j DROP; iptables -A INPUT -j ACCEPT; iptables -P FORWARD DROP"),
    ("host", "iptables -t nat -F POSTROUTING", "host: iptables -t nat -A POSTROUTING -j MASQUERADE"),
    ("host", "iptables -F NOSUCH"),
    ("host", "iptables -N OWN"),
    ("host", "iptables -N OWN", "host: iptables -N OWN"),
    ("host", "iptables -X OWN", "host: iptables -N OWN"),
    ("host", "iptables -X OWN", "host: iptables -N OWN; iptables -A FORWARD -j OWN"),
    ("host", "iptables -X OWN", "host: iptables -N OWN; iptables -A OWN -j DROP"),
    ("host", "iptables -X FORWARD"),
    ("c1", "ip address flush dev eth0"),
    ("host", "ip address flush dev br0"),
]
NFT = [
    ("host", "nft add table inet new"),
    ("host", "nft delete table inet fw", PASS),
    ("host", "nft delete table inet nosuch"),
    ("host", "nft flush table inet fw", PASS, "host: nft add rule inet fw pass drop"),
    ("host", "nft flush ruleset", PASS, "host: iptables -A FORWARD -j DROP; iptables-legacy -A FORWARD -j DROP"),
    ("host", "nft add chain inet fw user", PASS),
    ("host", "nft add chain inet fw in '{ type filter hook input priority filter - 5; policy drop; }'", PASS),
    ("host", "nft add chain inet fw pass '{ policy accept; }'", PASS),
    ("host", "nft add chain inet fw nosuch '{ policy drop; }'", PASS),
    ("host", "nft flush chain inet fw pass", PASS, "host: nft add rule inet fw pass drop"),
    ("host", "nft delete chain inet fw user", PASS, "host: nft add chain inet fw user"),
    ("host", "nft delete chain inet fw user", PASS, "host: nft add chain inet fw user; nft add rule inet fw pass jump user"),
    ("host", "nft add rule inet fw pass position 2 udp dport 53 drop", PASS,
     "host: nft add rule inet fw pass accept; nft add rule inet fw pass drop"),
    ("host", "nft insert rule inet fw pass position 3 udp dport 53 drop", PASS,
     "host: nft add rule inet fw pass accept; nft add rule inet fw pass drop"),
    ("host", "nft replace rule inet fw pass handle 2 'meta l4proto tcp drop'", PASS,
     "host: nft add rule inet fw pass meta l4proto tcp accept"),
    ("host", "nft replace rule inet fw pass handle 9 'drop'", PASS),
    ("host", "nft add rule inet fw pass frobnicate 7 drop", PASS),
    ("host", "nft add element inet fw ports '{ 80, 443 }'", PASS, "host: nft add set inet fw ports '{ type inet_service; }'"),
    ("host", "nft delete element inet fw ports '{ 80 }'", PASS, "host: nft add set inet fw ports '{ type inet_service; }'"),
    ("host", "nft add chain ip filter FORWARD '{ policy drop; }'", "host: iptables -A FORWARD -j ACCEPT"),
]  # fmt: skip


@pytest.mark.parametrize("case", [*DEVICES, *MORE, *NFT], ids=lambda case: f"{case[0]}: {case[1]}")
def test_the_model_does_what_a_person_may_type(fresh_lab: Lab, case: tuple[str, ...]) -> None:
    agrees(fresh_lab, *case)


@pytest.mark.parametrize("case", [*LINKS, *ADDRESSES, *ROUTES, *POLICY, *NEIGHBOURS, *RULES], ids=lambda case: f"{case[0]}: {case[1]}")
def test_the_model_does_what_the_tool_does(fresh_lab: Lab, case: tuple[str, ...]) -> None:
    agrees(fresh_lab, *case)
