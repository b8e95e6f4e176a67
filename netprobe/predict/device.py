"""What every device does with a frame: it carries it or not, and has room for it or not.

Kernel: net/core/dev.c.
"""

from __future__ import annotations

from msgspec.structs import replace

from netprobe.model import Command, Link, Object, Stage, Stop

from .drop import link_down, link_object, lost
from .fixes import link_set
from .view import Ground, Packet


def not_running(ground: Ground, name: str, link: Link, stage: Stage) -> Stop | None:
    """Why an interface passes nothing: down, or without a carrier."""
    if not link.up:
        return link_down(name, link, stage)
    if link.carrier or link.kind == "bridge":
        return None
    if link.protodown:
        text = f"{link.name} is up, but a program holds it without carrier (protodown)"
        thing = Object("link", link.name, f"{link.name} protodown on")
        off = link_set(link, "protodown", "off")
        return lost("link-no-carrier", name, link, stage, text, object=thing, fix=(off,))
    far = ground.beyond(name, link.link) if link.kind in ("veth", "macvlan", "vlan") else None
    if far is not None and far[1].up:
        far = None
    if far is not None and (link.kind, stage) != ("veth", Stage.TRANSMIT):
        return link_down(*far, Stage.RECEIVE if link.kind == "veth" else Stage.TRANSMIT)
    whose = ""
    fix: tuple[Command, ...] = ()
    if far is not None:
        whose = f" (its far end {far[0]}/{far[1].name} is down)"
        fix = (replace(link_set(far[1], "up"), namespace=far[0]),)
    if link.kind == "tun":
        return lost(
            "route-via-dead-device",
            name,
            link,
            stage,
            f"no program serves {link.name}",
            object=link_object(link),
        )
    return lost(
        "link-no-carrier",
        name,
        link,
        stage,
        f"{link.name} is up but has no carrier{whose}",
        object=link_object(link),
        fix=fix,
    )


def too_long(name: str, link: Link, packet: Packet) -> Stop | None:
    """Why the device silently discards a frame (is_skb_forwardable; VLAN tag room of 4 bytes)."""
    if packet.longest <= link.mtu + 4:
        return None
    what = "a packet" if not packet.fragments else "a fragment"
    text = (
        f"{what} of {packet.longest} bytes is longer than the MTU {link.mtu} of {link.name}: dropped"
        " without a word"
    )
    return lost(
        "mtu-l2-mismatch",
        name,
        link,
        Stage.RECEIVE,
        text,
        object=link_object(link),
        fix=(link_set(link, "mtu", str(packet.longest)),),
    )


def unclaimed(name: str, link: Link, packet: Packet) -> Stop | None:
    """A frame with a tag that no device on the interface takes off: the stack ignores it (PACKET_OTHERHOST,
    __netif_receive_skb_core), unless such a device is in a namespace that was not read.
    """
    if not packet.tags:
        return None
    text = f"{name}/{link.name} has no device for {packet.tags[-1]} that netprobe has seen"
    return lost("unknown", name, link, Stage.RECEIVE, text)
