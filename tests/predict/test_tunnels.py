"""Through a VXLAN: what the kernel keeps of a packet, where a device that was moved sends, and tunnels without end."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from networks import MAC, RULES, edited, lo, local, port, probe, relinked, via
from tunnelled import default, pair, request, side

from netprobe.diagnose.repair.candidates import tunnels
from netprobe.diagnose.repair.choice import choose
from netprobe.model import (
    Bridge,
    BridgePort,
    End,
    FdbEntry,
    Flow,
    FoundPeer,
    InterfaceAddress,
    Leg,
    Link,
    LinkRef,
    Namespace,
    Neighbour,
    PolicyRule,
    Protocol,
    Ruleset,
    Snapshot,
    TcFilter,
    Vxlan,
)
from netprobe.predict import ip, vxlan
from netprobe.predict.predict import Prediction, predict
from netprobe.predict.trace import Trail
from netprobe.predict.view import Ground, Packet
from netprobe.predict.walk import Walker
from netprobe.rules.read.iptables_save import read_save


def ruled(*rules: PolicyRule) -> tuple[PolicyRule, ...]:
    """First the local table, as `ip rule` has it after `ip rule add pref 1 ...`."""
    return tuple(sorted((*RULES, *rules), key=lambda rule: rule.priority))


MARKED = PolicyRule(1, 4, action="blackhole", mark=7, dst="192.168.0.0/24")


@pytest.mark.parametrize(("mark", "end"), [(0, End.DELIVER), (7, End.DROP)])
def test_the_tunnels_packet_bears_the_mark(mark: int, end: End) -> None:
    """iptunnel_xmit scrubs nothing of it within a namespace (seen: `ping -m 7` with this rule)."""
    assert request(edited(pair(), "a", rules=ruled(MARKED)), mark=mark).end is end


def test_an_end_that_each_packet_brings_along_is_not_guessed() -> None:
    """An external device sends to whom a route, tc or a program of BPF tells it (drivers/net/vxlan, VXLAN_F_COLLECT_METADATA)."""
    snapshot = pair()
    fields = snapshot["a"].link_named("vx0").vxlan
    external = relinked(snapshot, "a", "vx0", vxlan=replace(fields, collect_metadata=True))
    assert request(external).end is End.EXIT


def test_the_mark_ends_where_the_frame_comes_out_in_another_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen: with `iptables -A INPUT -m mark --mark 7 -j DROP` in b, `ping -m 7` from a is answered."""
    taken = []

    def spy(trail: Trail, name: str, link: Link, packet: Packet) -> object:
        taken.append((name, link.name, packet.mark, packet.uid))
        return receive(trail, name, link, packet)

    receive = ip.receive
    monkeypatch.setattr(ip, "receive", spy)
    request(pair(), mark=7, uid=1000)
    in_b = [(link, mark, uid) for name, link, mark, uid in taken if name == "b"]
    assert {link for link, _, _ in in_b} == {"eth0", "vx0"}
    assert {(mark, uid) for _, mark, uid in in_b} == {(0, None)}


def moved() -> Snapshot:
    """b's device was made in b and moved to c, as Docker's overlay networks do it: its packets still come in by b."""
    snapshot = pair()
    tunnel = replace(snapshot["b"].link(3), link=LinkRef(0, 0))
    loopback, own = lo()
    c = Namespace("c", links=(loopback, tunnel), addresses=(*own, InterfaceAddress(3, "10.9.0.2", 24)), rules=RULES,
                  routes=(*local("10.9.0.2"), via("10.9.0.0/24", None, 3)), ruleset=Ruleset(), fdb=snapshot["b"].fdb)  # fmt: skip
    b = replace(snapshot["b"], fdb=(), links=snapshot["b"].links[:2], addresses=snapshot["b"].addresses[:-1],
                routes=(*local("192.168.0.2"), via("192.168.0.0/24", None, 2)))  # fmt: skip
    return replace(snapshot.with_namespace(b).with_namespace(c), peers=(*snapshot.peers, FoundPeer("c", 0, "b")))


def test_a_default_end_that_was_taken_away_is_none() -> None:
    """`bridge fdb del 00:00:00:00:00:00 dev vx0 dst ...`: the device still shows its remote end (vxlan_xmit looks at entries alone)."""
    found = predict(edited(pair(), "a", fdb=()), probe("a", "10.9.0.2"), ask=False)
    assert isinstance(found, Prediction)
    assert found.stop is not None
    assert "vx0 has no tunnel end to flood to" in found.stop.text
    part = predict(edited(pair(), "a", fdb=(), forwarded=()), probe("a", "10.9.0.2"), ask=False)
    assert isinstance(part, Prediction)
    assert part.stop is None


def test_a_device_that_was_moved_sends_where_it_was_made() -> None:
    found = predict(moved(), probe("c", "10.9.0.1"), ask=False)
    assert isinstance(found, Prediction)
    assert [f"{hop.namespace}/{hop.interface}" for hop in found.request.hops][:3] == ["c/vx0", "b/eth0", "a/eth0"]
    assert found.reply is not None
    assert (found.request.end, found.reply.end) == (End.DELIVER, End.DELIVER)
    assert found.reply.hops[-1].namespace == "c"


def test_the_other_end_may_have_moved_out_of_sight() -> None:
    """No device in `a` takes the frame: whether it is another namespace's nobody knows."""
    snapshot = moved()
    snapshot = edited(snapshot, "a", links=snapshot["a"].links[:2])
    found = predict(snapshot, probe("c", "10.9.0.1"), ask=False)
    assert isinstance(found, Prediction)
    assert found.request.end is End.UNDETERMINED
    assert "may have moved" in (found.request.stop.text if found.request.stop else "")


KNOWN = ((2, "192.168.0.{}", 7), (3, "10.9.0.{}", 8))


def test_each_suspect_stands_at_its_own_hop() -> None:
    """What may have stopped the packet, counted once on its way through tunnel and underlay."""
    snapshot = pair()
    for name, other in (("a", 2), ("b", 1)):
        known = tuple(Neighbour(i, net.format(other), MAC.format(m, other), "permanent") for i, net, m in KNOWN)
        snapshot = edited(snapshot, name, neighbours=known)
    snapshot = relinked(snapshot, "a", "vx0", filters=(TcFilter("egress", "bpf", "inner"),))
    snapshot = relinked(snapshot, "a", "eth0", filters=(TcFilter("egress", "bpf", "outer"),))
    snapshot = relinked(snapshot, "b", "eth0", xdp="prog id 5")
    hops = [(f"{hop.namespace}/{hop.interface}", [s.code for s in hop.suspects]) for hop in request(snapshot).hops]
    assert [hop for hop in hops if hop[1]] == [
        ("a/vx0", ["filtered-by-tc"]), ("a/eth0", ["filtered-by-tc"]), ("b/eth0", ["filtered-by-xdp"]),
    ]  # fmt: skip


def test_tunnels_in_tunnels_that_flood_have_an_end() -> None:
    """Eight devices, each in the next one and with eight ends: 8**8 packets, if each were followed."""
    loopback, own = lo()
    links, addresses, routes, fdb = [loopback], list(own), list(local()), []
    for depth in range(8):
        index = 10 + depth
        links.append(Link(index, f"vx{depth}", "vxlan", MAC.format(8, depth), vxlan=Vxlan(7 + depth, port=4789 + depth)))
        addresses.append(InterfaceAddress(index, f"10.{depth}.0.1", 16))
        routes += [*local(f"10.{depth}.0.1")[1:], via(f"10.{depth}.0.0/16", None, index)]
        fdb += [FdbEntry(index, "00:00:00:00:00:00", remote=f"10.{depth + 1}.0.{10 + n}", state="permanent") for n in range(8)]
    a = Namespace("a", links=tuple(links), addresses=tuple(addresses), routes=tuple(routes), rules=RULES, fdb=tuple(fdb))
    ground = Ground(Snapshot({"a": a}), ask=False)
    tunnel = a.link(10)
    assert tunnel is not None
    frame = Packet(Flow("10.0.0.1", "10.0.0.10", Protocol.ICMP, dst_mac=vxlan.BROADCAST), Leg.REQUEST)
    branches = Walker(ground).transmit("a", tunnel, frame)
    assert any(branch.stop is not None and branch.stop.code == "unknown" for branch in branches)
    assert ground.tunnelled <= 9 * vxlan.MOST


@pytest.mark.parametrize(("own", "said"), [("192.168.0.1", None), ("192.168.0.9", "addr-missing")])
def test_a_tunnel_sends_from_an_address_that_is_there(own: str, said: str | None) -> None:
    """ip_route_output_key refuses a source that no interface has."""
    tunnel = pair()["a"].link_named("vx0")
    assert tunnel is not None
    assert tunnel.vxlan is not None
    found = predict(relinked(pair(), "a", "vx0", vxlan=replace(tunnel.vxlan, local=own)), probe("a", "10.9.0.2"), ask=False)
    assert isinstance(found, Prediction)
    assert (found.stop.code if found.stop is not None else None) == said


@pytest.mark.parametrize(
    ("own", "address", "fix"),
    [
        ("192.168.0.9", "192.168.0.1", "ip link set dev vx0 type vxlan local 192.168.0.1"),
        ("192.168.0.1", "192.168.0.77", "ip address add 192.168.0.1/24 dev eth0"),
    ],
)
def test_who_sends_to_a_tunnel_tells_which_of_its_two_addresses_is_right(own: str, address: str, fix: str) -> None:
    """The other end sends to 192.168.0.1."""
    there = pair()["a"]
    addresses = tuple(replace(a, address=address) if a.address == "192.168.0.1" else a for a in there.addresses)
    routes = tuple(replace(r, dst=f"{address}/32") if r.dst == "192.168.0.1/32" else r for r in there.routes)
    tunnel = there.link_named("vx0")
    assert tunnel is not None
    assert tunnel.vxlan is not None
    other = (FdbEntry(3, "00:00:00:00:00:00", remote="192.168.0.1"),)
    snapshot = edited(edited(pair(), "a", addresses=addresses, routes=routes), "b", fdb=other)
    snapshot = relinked(snapshot, "a", "vx0", vxlan=replace(tunnel.vxlan, local=own))
    lost = predict(snapshot, probe("a", "10.9.0.2"), ask=False)
    assert isinstance(lost, Prediction)
    assert lost.stop is not None
    found = choose(snapshot, lost, lost.stop).stop
    assert [" ".join(command.words) for command in found.commands] == [fix]


def by_groups(**groups: str) -> Snapshot:
    """Nodes on one switch whose VXLAN devices send what is for all to these groups."""
    bridge = Link(2, "br0", "bridge", MAC.format(6, 2), bridge=Bridge())
    links, spaces, peers = [bridge], [], []
    for number, (name, group) in enumerate(groups.items(), 1):
        links.append(port(2 + number, f"p{name}", 2, number, 2))
        node = relinked(Snapshot({name: side(name, number)}), name, "vx0", vxlan=Vxlan(7, remote=group, lower=2))
        node = relinked(node, name, "eth0", link=LinkRef(2 + number, 0))
        spaces.append(replace(node[name], fdb=(replace(default(3, group), via=2),)))
        peers += [FoundPeer(name, 0, "sw"), FoundPeer("sw", number, name)]
    switch = Namespace("sw", links=(lo()[0], *links), rules=RULES)
    return Snapshot({each.name: each for each in (*spaces, switch)}, tuple(peers))


def test_what_is_for_all_goes_to_those_of_the_group() -> None:
    outcome = predict(by_groups(a="239.1.1.1", b="239.1.1.1", c="239.1.1.1"), probe("a", "10.9.0.2"), ask=False)
    assert isinstance(outcome, Prediction)
    assert outcome.passes, outcome.stop


def test_a_node_of_another_group_hears_nothing_and_is_the_one_to_change() -> None:
    snapshot = by_groups(a="239.1.1.1", b="239.1.1.11", c="239.1.1.1")
    outcome = predict(snapshot, probe("a", "10.9.0.2"), ask=False)
    assert isinstance(outcome, Prediction)
    assert outcome.stop is not None
    assert (outcome.stop.code, outcome.stop.place.namespace) == ("vxlan-remote-wrong", "a")
    stop = choose(snapshot, outcome, outcome.stop).stop
    assert stop.place.namespace == "b", "two against one"
    assert [" ".join(command.words) for command in stop.commands] == ["ip link set dev vx0 type vxlan id 7 group 239.1.1.1 dev eth0"]


def test_a_group_to_which_nobody_listens() -> None:
    snapshot = by_groups(a="239.1.1.1", b="239.1.1.1")
    alone = edited(snapshot, "b", links=tuple(link for link in snapshot["b"].links if link.vxlan is None))
    outcome = predict(alone, probe("a", "10.9.0.2"), ask=False)
    assert isinstance(outcome, Prediction)
    assert outcome.stop is not None
    assert (outcome.stop.code, outcome.stop.place.interface) == ("vxlan-remote-wrong", "vx0")


def test_a_group_that_may_be_heard_out_of_sight() -> None:
    """The switch has an uplink of which nobody sees the other end."""
    snapshot = by_groups(a="239.1.1.1", b="239.1.1.11")
    uplink = Link(9, "uplink", "", MAC.format(6, 9), master=2, port=BridgePort())
    outcome = predict(edited(snapshot, "sw", links=(*snapshot["sw"].links, uplink)), probe("a", "10.9.0.2"), ask=False)
    assert isinstance(outcome, Prediction)
    assert outcome.request.end is not End.DROP


def test_a_gateway_to_whom_only_the_tunnels_packet_got_leads_on() -> None:
    """A rule that refuses the tunnel at its far end is what is wrong; around the tunnel there is a way as well."""
    closed = Ruleset(
        tables=tuple(read_save("*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p udp -m udp --dport 4789 -j DROP\nCOMMIT\n", "iptables", "ip")),
        queues=(),
    )
    snapshot = pair()
    behind = (via("10.50.0.0/24", "10.9.0.2", 3), *snapshot["a"].routes)
    far = (*local("10.50.0.1"), *snapshot["b"].routes)
    addresses = (*snapshot["b"].addresses, InterfaceAddress(1, "10.50.0.1", 32))
    snapshot = edited(snapshot, "a", routes=behind)
    snapshot = edited(snapshot, "b", routes=far, addresses=addresses, ruleset=closed, sysctls={"net.ipv4.ip_forward": "1"})
    mac = MAC.format(8, 2)
    entry = FdbEntry(3, mac, state="permanent", remote="192.168.0.2")
    snapshot = edited(snapshot, "a", neighbours=(Neighbour(3, "10.9.0.2", mac, "permanent"),), fdb=(entry,))
    lost = predict(snapshot, probe("a", "10.50.0.1"), ask=False)
    assert isinstance(lost, Prediction)
    assert lost.stop is not None
    assert lost.stop.code == "filtered-by-rule"
    found = choose(snapshot, lost, lost.stop)
    assert {found.stop.code, *(each.stop.code for each in found.others)} == {"filtered-by-rule"}


def crossed(first: FdbEntry, second: FdbEntry) -> Snapshot:
    """Each end has a number of its own, and entries that say the other's."""
    numbered = pair()
    for name, vni, entry in (("a", 7, first), ("b", 8, second)):
        here = numbered[name]
        device = replace(here.links[2], vxlan=Vxlan(vni, learning=False))
        numbered = edited(numbered, name, links=(*here.links[:2], device), fdb=(entry,))
    return numbered


TO_B, TO_A = default(3, "192.168.0.2"), default(3, "192.168.0.1")


def test_an_entry_sends_by_a_number_of_its_own() -> None:
    assert request(crossed(replace(TO_B, vni=8), replace(TO_A, vni=7))).end is End.DELIVER


@pytest.mark.parametrize(
    ("entry", "old"),
    [
        (
            replace(TO_B, vni=9),
            "192.168.0.2 vni 9",
        ),
        (TO_B, "192.168.0.2"),
        (replace(TO_B, vni=8, port=4790), "192.168.0.2 port 4790 vni 8"),
    ],
)
def test_an_entry_of_another_number_is_written_anew(entry: FdbEntry, old: str) -> None:
    snapshot = crossed(entry, replace(TO_A, vni=7))
    lost = predict(snapshot, probe("a", "10.9.0.2"), ask=False)
    assert isinstance(lost, Prediction)
    assert lost.stop is not None
    stop = choose(snapshot, lost, lost.stop).stop
    assert stop.thing.kind == "fdb-entry"
    right = [f"bridge fdb {word} 00:00:00:00:00:00 dev vx0 dst {end}" for word, end in (("del", old), ("append", "192.168.0.2 vni 8"))]
    assert [" ".join(command.words) for command in stop.commands] == right


def test_who_is_behind_a_tunnel_is_sent_to_by_its_number() -> None:
    """An entry of one station, and nobody knows which one that is."""
    station = replace(TO_B, mac="02:00:00:00:08:02", vni=8, port=4790)
    snapshot = crossed(replace(TO_B, vni=8), replace(TO_A, vni=7))
    snapshot = edited(snapshot, "a", fdb=(*snapshot["a"].fdb, station))
    lost = predict(snapshot, probe("a", "10.9.0.2"), ask=False)
    assert isinstance(lost, Prediction)
    assert lost.stop is not None
    [right] = choose(snapshot, lost, lost.stop).stop.commands
    assert " ".join(right.words) == "bridge fdb replace 02:00:00:00:08:02 dev vx0 dst 192.168.0.2 vni 8"


def test_a_node_may_have_its_address_on_a_bridge() -> None:
    """One that the tunnel is no port of."""
    there = pair()["b"]
    links = tuple(replace(link, kind="bridge", bridge=Bridge()) if link.name == "eth0" else link for link in there.links)
    assert list(tunnels.underlay(pair()["a"], replace(there, links=links))) == ["192.168.0.2"]


@pytest.mark.parametrize(("member", "end"), [(None, End.DELIVER), (BridgePort(), End.DROP)])
def test_what_the_underlay_does_not_carry_whole_is_cut_outside_unless_a_bridge_sends_it(member: BridgePort | None, end: End) -> None:
    """Seen: 1400 bytes with DF leave as two fragments of the tunnel's own packet, whatever was learned of the path
    (skb_tunnel_check_pmtu answers for ports of bridges alone).
    """
    snapshot = relinked(relinked(pair(), "a", "eth0", mtu=1280), "b", "eth0", mtu=1280)
    snapshot = relinked(snapshot, "a", "vx0", port=member)
    assert request(snapshot, size=1350, df=True).end is end


@pytest.mark.parametrize(("mtu", "end"), [(625, End.DELIVER), (626, End.DROP)])
def test_nobody_is_told_to_send_less_than_any_sender_must(mtu: int, end: End) -> None:
    """Seen: 1428 bytes with DF leave by an underlay of 576 as three fragments of the tunnel's packet, from a bridge's port, too
    (net/ipv4/ip_tunnel_core.c, iptunnel_pmtud_check_icmp).
    """
    snapshot = relinked(relinked(pair(), "a", "eth0", mtu=mtu), "b", "eth0", mtu=mtu)
    snapshot = relinked(snapshot, "a", "vx0", port=BridgePort())
    assert request(snapshot, size=1350, df=True).end is end
