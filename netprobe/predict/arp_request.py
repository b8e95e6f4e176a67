"""A question to everybody on a segment, walked to each station and back: who answers, and what is known of
those who do not. Pure.

Kernel: net/ipv4/arp.c (arp_process), net/ipv6/ndisc.c (ndisc_recv_ns); RFC 826, RFC 4861.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from netprobe.model import ARP_REPLY, NEIGHBOUR_ADVERTISEMENT, Link, Protocol, Stage, Stop
from netprobe.model.lookup import find, where

from . import fixes, netfilter, routing, xfrm
from .arp_reply import Station, claims
from .drop import Unread, lost, not_in_bridge
from .outcome import Branch, Carry
from .rule_ends import OF_QUESTIONS
from .ruled import Passage, as_sent
from .view import Ground, Packet

_ANSWERED = "the owner answers; it is the answer that is lost"
_TUNNELLED = "the way to the other end of the segment leads through a tunnel"


class Enquiry(Struct):
    """What came of a question.

    `answers`: each station that answers, with the branch that reached it. `exits`: copies that went out of
    sight. `heard`: the interfaces that got a copy, and the bridges that had nobody to give it to. `silenced`:
    what surely keeps the owner from answering or the answer from arriving. `barred`: the ends of other
    copies, behind which the owner may be or not. `unread`: what could not be read, where the owner may be.
    """

    answers: list[tuple[Branch, Station]] = []
    exits: list[Branch] = []
    heard: list[tuple[str, Link]] = []
    silenced: list[Stop] = []
    barred: list[Stop] = []
    unread: list[Stop] = []

    @property
    def stations(self) -> list[Station]:
        """Who answers."""
        return [station for _, station in self.answers]


def enquire(ground: Ground, carry: Carry, asker: tuple[str, Link], request: Packet) -> Enquiry:
    """Walk an ARP request or neighbour solicitation to every stack of the segment, and each answer back."""
    found = Enquiry()
    for branch in carry.transmit(*asker, request):
        if branch.exit:
            found.exits.append(branch)
        elif branch.stop is not None and branch.stop.code == "unknown":
            found.unread.append(branch.stop)
        elif branch.stop is not None and (station := _answered_on_the_way(branch, branch.stop)):
            found.answers.append((branch, station))
        elif branch.alone is not None:
            found.heard.append(branch.alone)
        elif branch.stop is not None and branch.tunnelled:
            found.silenced.append(replace(branch.stop, proof=(*branch.stop.proof, _TUNNELLED)))
        elif branch.stop is not None:
            (found.silenced if branch.stop.code in OF_QUESTIONS else found.barred).append(branch.stop)
        elif branch.at is not None and branch.at != asker:
            found.heard.append(branch.at)
            try:
                found.silenced += _loose_tunnel(ground, *branch.at)
                _answer(ground, carry, asker, branch, found)
            except Unread as unread:
                found.unread.append(unread.reason)
    return found


def _answered_on_the_way(branch: Branch, stop: Stop) -> Station | None:
    """Who answers without having been asked: a bridge, by the entries that it has itself, or a rule, which
    gives the question to nobody else (ebt_arpreply).
    """
    if branch.answer is not None:
        return Station(branch.answer, given=stop)
    request = branch.packet
    mac = request.tracked.answer if request.tracked is not None else None
    if mac is None or stop.object is None:
        return None
    text = f"{stop.object.id} answers for {request.flow.dst} with the MAC {mac}, which no station has"
    return Station(mac, given=replace(stop, code="arp-filtered", text=text))


def _answer(ground: Ground, carry: Carry, asker: tuple[str, Link], branch: Branch, found: Enquiry) -> None:
    """One stack's reaction to a request: it answers, it is kept from it, or nothing (not its address)."""
    assert branch.at is not None
    request = branch.packet
    concerned = claims(ground, *branch.at, request)
    if concerned is None:
        return
    if (dropped := _incoming(ground, *branch.at, request)) is not None:
        found.silenced.insert(0, dropped)  # before those that only may concern the owner
    elif isinstance(concerned, Stop):
        found.silenced.insert(0, concerned)
    else:
        reply = answer_to(request, branch.at[1])
        stop, suspects = _answer_arrives(ground, carry, branch.at, asker, request)
        if stop is not None:
            found.silenced.insert(0, replace(stop, proof=(*stop.proof, _ANSWERED)))
        else:
            station = _as_told(ground, *branch.at, concerned, reply)
            found.answers.append((branch, replace(station, suspects=(*request.suspects, *suspects))))


def _loose_tunnel(ground: Ground, name: str, link: Link) -> tuple[Stop, ...]:
    """A tunnel's end that should be a port of a bridge and is none."""
    namespace = ground.namespace(name)
    own = where(namespace.addresses_of(link), scope="global")
    if link.kind != "vxlan" or own or not namespace.links_of("bridge"):
        return ()
    text = f"{link.name} in {name} is a port of no bridge: what comes out of the tunnel ends there"
    return (replace(not_in_bridge(name, link, text), proof=(_TUNNELLED,)),)


def outgoing(ground: Ground, name: str, link: Link, packet: Packet) -> Stop | None:
    """The filters an ARP or ND packet passes on its way out of a stack; that of ND is sent as any packet is
    (ndisc_send_skb, ip6_output).
    """
    if packet.flow.protocol is Protocol.ARP:
        return netfilter.on_arp(ground, name, "output", packet, link).stop
    if blocked := _protected(ground, name, "out", link, packet):
        return blocked
    passed = netfilter.on_ip(ground, name, "output", packet, None, link)
    return passed.stop or netfilter.on_ip(ground, name, "postrouting", passed.packet, None, link).stop


def asks_for_another(ground: Ground, name: str, link: Link, asked: Packet) -> Stop | None:
    """A question into which rules on its way out put another MAC than the asker's: the answer goes there."""
    if asked.flow.protocol is not Protocol.ARP:
        return None
    passed = netfilter.on_arp(ground, name, "output", asked, link)
    mac = passed.packet.flow.src_mac
    if mac in (None, asked.flow.src_mac) or passed.object is None:
        return None
    text = f"{passed.object.id} of {name} has the answer to who has {asked.flow.dst} go to the MAC {mac}"
    return _rewritten(ground, name, link, passed, text)


def _as_told(ground: Ground, name: str, link: Link, station: Station, reply: Packet) -> Station:
    """Who answers, with the MAC that rules of its own put into the answer."""
    if reply.flow.protocol is not Protocol.ARP:
        return station
    passed = netfilter.on_arp(ground, name, "output", reply, link)
    mac = passed.packet.flow.src_mac
    if mac in (None, reply.flow.src_mac) or passed.object is None:
        return station
    text = (
        f"{passed.object.id} of {name} answers for {reply.flow.src} with the MAC {mac}, which no station has"
    )
    return replace(station, mac=mac, given=_rewritten(ground, name, link, passed, text))


def _rewritten(ground: Ground, name: str, link: Link, passed: Passage, text: str) -> Stop:
    fix = fixes.without(passed.object, ground.namespace(name).ruleset)
    return lost("arp-filtered", name, link, Stage.ARP_OUTPUT, text, object=passed.object, fix=fix)


def _speaks_for_another(ground: Ground, name: str, link: Link, reply: Packet) -> Stop | None:
    """An answer that rules on its way out of a stack make one about another address."""
    if reply.flow.protocol is not Protocol.ARP:
        return None
    passed = netfilter.on_arp(ground, name, "output", reply, link)
    told = passed.packet.flow.src
    if told == reply.flow.src or passed.object is None:
        return None
    text = f"{passed.object.id} of {name} makes the answer for {reply.flow.src} one about {told}"
    return _rewritten(ground, name, link, passed, text)


def _incoming(ground: Ground, name: str, link: Link, packet: Packet) -> Stop | None:
    """The filters an ARP or ND packet passes on its way into a stack."""
    if packet.flow.protocol is Protocol.ARP:
        return netfilter.on_arp(ground, name, "input", packet, link).stop
    passed = netfilter.on_ip(ground, name, "prerouting", packet, link, None)
    stop = passed.stop or netfilter.on_ip(ground, name, "input", passed.packet, link, None).stop
    return stop or _protected(ground, name, "in", link, packet)


def _heard(ground: Ground, name: str, link: Link, reply: Packet) -> Stop | None:
    """What keeps an answer from who asked, where it has come; that of ND is routed as any packet is."""
    routed = reply.flow.protocol is not Protocol.ARP
    astray = routing.taken_for_another_s(ground.namespace(name), link, reply) if routed else None
    return astray or _incoming(ground, name, link, reply)


def _protected(ground: Ground, name: str, direction: str, link: Link, packet: Packet) -> Stop | None:
    """What an IPsec policy does to a packet of ND, as to any other (icmp6_dst_alloc, icmpv6_rcv): a question
    goes to a group.
    """
    asked = replace(packet, flow=as_sent(packet.flow))
    return xfrm.check(ground.namespace(name), direction, link, asked)


def _answer_arrives(
    ground: Ground, carry: Carry, at: tuple[str, Link], asker: tuple[str, Link], request: Packet
) -> tuple[Stop | None, tuple[Stop, ...]]:
    """Why the unicast answer does not get back to who asked, and what it passes that may stop it."""
    name, link = at
    reply = replace(answer_to(request, link), suspects=())
    if dropped := outgoing(ground, name, link, reply) or _speaks_for_another(ground, name, link, reply):
        return dropped, ()
    stops = []
    for branch in carry.transmit(name, link, reply):
        if branch.exit:
            return None, branch.packet.suspects
        if branch.at == (asker[0], asker[1]):
            return _heard(ground, *asker, branch.packet), branch.packet.suspects
        if branch.stop is not None:
            stops.append(branch.stop)
        elif branch.at is not None:
            text = (
                f"the answer to {request.flow.src} reaches {branch.at[0]}/{branch.at[1].name} instead of"
                f" {asker[0]}/{asker[1].name}"
            )
            stops.append(_not_a_port(ground, asker, text))
    return find(stops, code="unknown") or next(iter(stops), None), ()


def answer_to(request: Packet, link: Link) -> Packet:
    """The unicast answer that `link` gives to a request."""
    flow = request.flow
    kind = ARP_REPLY if flow.protocol is Protocol.ARP else NEIGHBOUR_ADVERTISEMENT
    return replace(
        request,
        flow=replace(
            flow, src=flow.dst, dst=flow.src, icmp_type=kind, src_mac=link.mac, dst_mac=flow.src_mac
        ),
    )


def _not_a_port(ground: Ground, asker: tuple[str, Link], text: str) -> Stop:
    """An answer that stays in the router: the veth towards the asker is no port of the bridge that has the
    address.
    """
    far = ground.peer(*asker)
    if far is not None and far[1].master is None:
        return not_in_bridge(far[0], far[1], text)
    return lost("neigh-no-answer", asker[0], asker[1], Stage.ARP, text)
