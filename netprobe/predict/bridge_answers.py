"""What a bridge answers itself to who asks for a neighbour, of the entries of its own device: at ports with
`proxy_arp`, and for stations behind ports with `neigh_suppress`.

Kernel: net/bridge/br_arp_nd_proxy.c; bridge(8).
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from netprobe.model import FdbEntry, Link, Namespace, Neighbour, Object, Protocol, Stage, Stop
from netprobe.model.lookup import but, has, not_among, where

from .bridge import settings, vlan_of
from .drop import lost
from .fixes import forget_neighbour
from .view import Packet

Entry = Callable[[str], FdbEntry | None]

_SILENT = ("failed", "incomplete", "none")  # states without NUD_VALID


class Told(Struct, frozen=True, gc=False):
    """What a bridge knows of an address that is asked for, so that no port which suppresses questions gets
    this one: the MAC with which it answers (None: it does not), and what is wrong where no station has that.
    """

    mac: str | None
    wrong: Stop


def told(namespace: Namespace, bridge: Link, port: Link, packet: Packet, entry_of: Entry) -> Told | None:
    """What comes of a question that enters at a port; None of what is none, and where the bridge does not
    know the address or the port of its MAC. `entry_of`: the forwarding entry of a MAC.
    """
    flow, at = packet.flow, settings(port)
    asks = flow.protocol.on_segment and flow.icmp_type == flow.protocol.question and flow.src != flow.dst
    suppresses = has(map(settings, namespace.ports(bridge)), neigh_suppress=True)
    proxy = at.proxy_arp and flow.protocol is Protocol.ARP
    device = _device(namespace, bridge, vlan_of(bridge, packet))
    if not asks or at.neigh_suppress or not (suppresses or proxy) or device is None:
        return None
    entries = but(where(namespace.entries_for(device, flow.dst), proxy=False), mac=None)
    for known in not_among(entries, state=_SILENT)[:1]:
        entry = entry_of(known.mac or "")
        if entry is not None:
            answers = proxy or _is_behind_one_that_suppresses(namespace, entry)
            return Told(known.mac if answers else None, told_wrongly(namespace.name, device, known))
    return None


def _is_behind_one_that_suppresses(namespace: Namespace, entry: FdbEntry) -> bool:
    behind = None if entry.local else namespace.link(entry.index)
    return behind is not None and settings(behind).neigh_suppress


def _device(namespace: Namespace, bridge: Link, vlan: int | None) -> Link | None:
    """The bridge, or the device of a VLAN on it (__vlan_find_dev_deep_rcu)."""
    if not vlan:
        return bridge
    above = but(where(namespace.links, kind="vlan", vlan_id=vlan), link=None)
    return next((each for each in above if each.link is not None and each.link.index == bridge.index), None)


def told_wrongly(name: str, device: Link, entry: Neighbour) -> Stop:
    """An entry by which a device answers for others, where no station has its MAC."""
    named = f"{entry.address} dev {device.name} lladdr {entry.mac}"
    text = (
        f"{device.name} of {name} answers for {entry.address} with the MAC {entry.mac}, which no station has"
    )
    thing = Object("neighbour", named, f"{named} {entry.state}")
    fix = (forget_neighbour(entry.address, device),)
    return lost("neigh-wrong-entry", name, device, Stage.ARP, text, object=thing, fix=fix)
