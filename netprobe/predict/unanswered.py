"""Why nobody answers for an address: who is kept silent, what keeps the request out, or that there is nobody.

The owner is looked for behind every port that barred the request, as if the port were open.
"""

from __future__ import annotations

from functools import partial

from msgspec.structs import replace

from netprobe.model import (
    Link,
    Place,
    Stage,
    Stop,
)
from netprobe.model.lookup import column

from .arp_request import Enquiry
from .drop import Unread, link_down
from .outcome import Carry
from .view import Ground, Packet


def nobody(ground: Ground, carry: Carry, asker: tuple[str, Link], asked: Packet, found: Enquiry) -> Stop:
    """Why nobody answers: what keeps the owner silent or the request from it, if there is an owner; else that
    there is none.
    """
    (name, link), address = asker, asked.flow.dst
    ground.find_macvlans((asker, *found.heard))
    for there, lower in (asker, *found.heard):
        ground.all_macvlans_on(there, lower)  # where one that nobody has met yet may be the owner
    if found.silenced:
        return next(filter(partial(_is_at_the_bearer, ground, address), found.silenced), found.silenced[0])
    if (barred := _barred(ground, carry, found, asked)) is not None:
        return barred
    from .elsewhere import explain_silence, strayed

    owner = _owner(ground, address) or strayed(ground, name, link, asked)
    bridges = ((there, link) for there, link in found.heard if link.kind == "bridge")
    elsewhere = (strayed(ground, there, bridge, asked) for there, bridge in bridges)
    owner = owner or next(filter(None, elsewhere), None)
    if owner is not None and not owner[1].up:
        return link_down(owner[0], owner[1], Stage.ARP)
    return explain_silence(ground, name, link, address, owner)


def _is_at_the_bearer(ground: Ground, address: str, stop: Stop) -> bool:
    """Whether an end is at the very interface that has an address: another one of its namespace is rather
    asked to be silent (arp_ignore) than this one.
    """
    place = stop.place
    bearer = ground.namespace(place.namespace).owner_of(address) if place.namespace is not None else None
    return bearer is not None and bearer.name == place.interface


_OWN_STACK = (Stage.RECEIVE, Stage.INGRESS, Stage.BRIDGE_INPUT)  # stages before a namespace's own stack


def _barred(ground: Ground, carry: Carry, found: Enquiry, asked: Packet) -> Stop | None:
    """What keeps the request from the owner: the one end that it met, before anybody heard it or at a
    station, which may have lost its addresses with its link (addrconf_ifdown); or one behind which the owner
    is.
    """
    for stop in found.barred if len(found.barred) == 1 else ():
        if not found.heard or stop.place.stage is Stage.RECEIVE:
            return stop
    seen: set[Place] = set()
    return next((stop for stop in found.barred if _owner_behind(ground, carry, stop, asked, seen)), None)


def _owner_behind(ground: Ground, carry: Carry, stop: Stop, asked: Packet, seen: set[Place]) -> bool:
    """Whether the address would be found behind the port that keeps the request out: the walk goes on as if
    it did not; and behind what keeps it out on that way, as a rule of several bridges does. Each place is
    looked behind once.
    """
    if stop.place in seen:
        return False
    seen.add(stop.place)
    name, address = stop.place.namespace, asked.flow.dst
    if name is None or stop.place.interface is None:
        return False
    namespace = ground.namespace(name)
    if stop.place.stage in _OWN_STACK and namespace.owner_of(address) is not None:
        return True
    port = namespace.link_named(stop.place.interface)
    if port is None:
        return False
    # of the way into the bridge that is barred, the port itself
    far = (name, port) if stop.place.stage is Stage.BRIDGE_PREROUTING else ground.peer(name, port)
    if far is None:
        return port.kind == "vxlan" or (port.kind == "bridge" and namespace.owner_of(address) == port)
    if not far[1].up:
        return ground.namespace(far[0]).owner_of(address) is not None
    ground.all_macvlans_on(*far)  # they may be the owner, in whichever namespace they are
    branches = carry.receive(far[0], replace(far[1], carrier=True), asked, barred=False)
    arrived = filter(None, column(branches, "at"))
    if any(ground.namespace(each).owner_of(address) is not None for each, _ in arrived):
        return True
    ends = filter(None, column(branches, "stop"))
    return any(_owner_behind(ground, carry, each, asked, seen) for each in ends)


def _owner(ground: Ground, address: str) -> tuple[str, Link] | None:
    """The interface that carries the address, in a namespace read so far or in the one that was asked for."""
    if ground.goal is not None and ground.ask:
        ground.namespace(ground.goal)
    unread: Unread | None = None
    for namespace in ground.snapshot.namespaces.values():
        try:
            link = namespace.owner_of(address)
        except Unread as error:
            unread = error  # the owner, unless another is
            continue
        if link is not None:
            return namespace.name, link
    if unread is not None:
        raise unread
    return None
