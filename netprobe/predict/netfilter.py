"""The hooks a packet passes in one namespace - rules, XDP, tc - and what they do to it, as far as can be
known.
"""

from __future__ import annotations

from msgspec.structs import replace

from netprobe.model import (
    Bridge,
    Flow,
    Leg,
    Link,
    Namespace,
    Place,
    Protocol,
    Ruleset,
    Stage,
    Stop,
)
from netprobe.model.lookup import find

from . import bpf, conntrack, fixes
from .drop import place_of
from .ruled import Doors, Passage, ruled, shaped_by_tc
from .trace import Trail
from .view import Ground, Packet


def on_transmit(ground: Ground, name: str, link: Link, packet: Packet) -> Passage:
    """Egress of a device, before a tap sees the packet: netdev egress chains, tc egress, the queueing
    discipline.
    """
    packet = shaped_by_tc(ground.namespace(name), Stage.EGRESS, packet)
    passed = ruled(ground, name, "netdev", "egress", packet, Doors(oif=link, device=link.name))
    judged = bpf.egress(ground.namespace(name), link)
    stop = passed.stop or judged.stop or bpf.no_room(name, link, packet.flow.length)
    return replace(_judged(passed, judged), stop=stop)


def _judged(passed: Passage, judged: bpf.Judged) -> Passage:
    """A packet that has come to programs and queues."""
    return replace(passed, packet=passed.packet.suspecting(*judged.suspects), stop=judged.stop)


def on_xdp(name: str, link: Link, packet: Packet) -> Passage:
    """An XDP program sees the packet before any tap does."""
    return _judged(Passage(packet), bpf.xdp(name, link))


def on_ingress(ground: Ground, name: str, link: Link, packet: Packet) -> Passage:
    """Ingress of a device, behind the taps: tc ingress, netdev ingress chains."""
    packet = _offloaded(ground, name, link, packet)
    shaped = shaped_by_tc(ground.namespace(name), Stage.INGRESS, packet)
    judged = _judged(Passage(shaped), bpf.ingress(ground.namespace(name), link))
    if judged.stop is not None:
        return judged
    return ruled(ground, name, "netdev", "ingress", judged.packet, Doors(link, device=link.name))


def _offloaded(ground: Ground, name: str, link: Link, packet: Packet) -> Packet:
    """A flowtable sends what is of an older connection out again by itself, past routes and rules
    (net/netfilter/nf_flow_table_ip.c): a suspect, as it knows a way of its own.
    """
    ruleset = ground.namespace(name).ruleset
    if not packet.reused or ruleset is None:
        return packet
    tables = ruleset.flowtables_at(link.name)
    if not tables or not any("offload" in entry.status for entry in ground.connections(name, packet)):
        return packet
    text = (
        f"the flowtable {tables[0].name} of {name} has the connection, and sends it on past routes and rules"
    )
    return packet.suspecting(Stop("unknown", place_of(name, link, Stage.INGRESS), text))


def on_bridge(
    ground: Ground,
    name: str,
    bridge: Link,
    hook: str,
    packet: Packet,
    port_in: Link | None,
    port_out: Link | None,
    trail: Trail | None = None,
) -> Passage:
    """A bridge hook (ebtables, nft bridge), and the IP rules where br_netfilter hands them the bridged
    frame.
    """
    namespace = ground.namespace(name)
    passed = ruled(ground, name, "bridge", hook, packet, Doors(port_in, port_out, bridge))
    # what the host sends has been through these rules already (br_nf_post_routing)
    if passed.stop or port_in is None or hook not in _HANDED or not _calls_ip(namespace, bridge, packet):
        return passed
    came_in = bridge if hook != "postrouting" else None
    doors = Doors(came_in, bridge if port_out else None, None, port_in, port_out)
    called = ruled(ground, name, _family(packet.flow), hook, passed.packet, doors, trail)
    called = replace(_on_question(called), blamed=passed.blamed)
    if hook == "prerouting":
        called = replace(called, packet=replace(called.packet, prerouted=name, port=(name, port_in)))
    return called


_HANDED = ("prerouting", "forward", "postrouting")


def redirected(name: str, packet: Packet) -> bool:
    """Whether IP rules on a bridge of namespace `name` have given the packet another destination."""
    connection = conntrack.connection(packet, name)
    if packet.prerouted != name or connection is None:
        return False
    asked, answering = connection.original, connection.reply
    back = packet.leg is Leg.REPLY
    return asked[int(not back)] != answering[int(back)]


def _calls_ip(namespace: Namespace, bridge: Link, packet: Packet) -> bool:
    """Whether br_netfilter lets iptables see this frame, which it does of none of ARP; of one with a tag only
    where that is asked for.
    """
    flow = packet.flow
    if flow.protocol is Protocol.ARP or not flow.dst:
        return False
    if packet.tags and not _handed_tagged(namespace, packet):
        return False
    return calls_ip_rules(namespace, bridge, flow.version)


def calls_ip_rules(namespace: Namespace, bridge: Link, version: int) -> bool:
    """Whether br_netfilter lets the rules of IP see what crosses a bridge (bridge-nf-call-*; the bridge's own
    nf_call_* does as well).
    """
    own = bridge.bridge or Bridge()
    calls = {4: own.nf_call_iptables, 6: own.nf_call_ip6tables}[version]
    tables = {4: "iptables", 6: "ip6tables"}[version]
    return calls or namespace.sysctl(f"net.bridge.bridge-nf-call-{tables}", "0") == "1"


def _handed_tagged(namespace: Namespace, packet: Packet) -> bool:
    """Whether br_netfilter takes an IP packet out of its VLAN tag (IS_VLAN_IP); two tags are too many."""
    asked = namespace.sysctl("net.bridge.bridge-nf-filter-vlan-tagged", "0") == "1"
    return asked and len(packet.tags) == 1 and packet.tags[0].startswith("vlan ")


def on_arp(ground: Ground, name: str, hook: str, packet: Packet, link: Link) -> Passage:
    """The arp family's input or output hook."""
    return ruled(ground, name, "arp", hook, packet, Doors(link) if hook == "input" else Doors(oif=link))


def on_ip(
    ground: Ground,
    name: str,
    hook: str,
    packet: Packet,
    iif: Link | None,
    oif: Link | None,
    trail: Trail | None = None,
) -> Passage:
    """An IP hook: prerouting, input, forward, output or postrouting of namespace `name`."""
    # br_netfilter has called these rules on the bridge already
    if hook == "prerouting" and packet.prerouted == name:
        return Passage(replace(packet, prerouted=None))
    passed = _on_question(ruled(ground, name, _family(packet.flow), hook, packet, Doors(iif, oif), trail))
    if packet.flow.protocol is not Protocol.ND or passed.stop is not None:
        return passed
    return _as_heard(passed, place_of(name, iif or oif, Stage(hook)), ground.namespace(name).ruleset)


def _as_heard(passed: Passage, place: Place, rules: Ruleset | None) -> Passage:
    """Neighbour discovery of which a rule has changed the hop limit: no router may have handed it on, so who
    hears it takes 255 alone (RFC 4861, 7.1; ndisc_rcv).
    """
    thing, changed = passed.object, find(passed.changes, field="ttl")
    if thing is None or changed is None:
        return passed
    text = (
        f"{thing.id} sets the hop limit of neighbour discovery to {changed.after}, and who hears it takes 255"
        " alone"
    )
    return replace(passed, stop=Stop("nd-filtered", place, text, thing, fixes.without(thing, rules)))


def _on_question(passed: Passage) -> Passage:
    """A rule of IP that drops neighbour discovery keeps the owner silent, whoever that is."""
    stop = passed.stop
    if stop is None or stop.code not in _REFUSED or passed.packet.flow.protocol is not Protocol.ND:
        return passed
    return replace(passed, stop=replace(stop, code="nd-filtered"))


_REFUSED = ("filtered-by-rule", "policy-drop", "rejected-by-rule")


def _family(flow: Flow) -> str:
    return {4: "ip", 6: "ip6"}[flow.version]
