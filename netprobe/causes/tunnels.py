"""Tunnels and macvlan: the inner packet is fine, and what carries it is not."""

from __future__ import annotations

from msgspec.structs import replace

from netprobe.diagnose.evidence import Case
from netprobe.model import Blank, Cause, Command, Link
from netprobe.predict.fixes import ADDRESS, Fix, link_set
from netprobe.predict.view import Ground, Lacking


def vxlan_vni_mismatch(case: Case) -> Cause | None:
    """The two ends of a VXLAN use different network numbers (VNI), so neither takes the other's frames.

    What: Every VXLAN frame carries a number that says to which virtual network it belongs. The outer packet
    arrives, but the other end has no device for that number and drops it.

    How we know: The numbers of both devices, read at both ends.

    Fix: Make the device again with the number of the other end (it cannot be changed afterwards).
        ip -d link show dev VXLAN
        ip link del VXLAN
        ip link add VXLAN type vxlan id VNI dstport 4789 remote REMOTE dev IFACE

    See: ip-link(8), "VXLAN"; RFC 7348
    """
    look = Command.look(
        "ip", "-d", "link", "show", "type", "vxlan", note="at both ends: the id must be the same"
    )
    return case.by_stop("vxlan-vni-mismatch", look)


def vxlan_remote_wrong(case: Case) -> Cause | None:
    """The VXLAN sends its packets to a tunnel end that is not there.

    What: The remote address of the device, or of an entry in its forwarding table, points to a host that is
    gone or was given another address. Inside the tunnel it looks as if the neighbour did not answer ARP.

    How we know: The walk of the outer packet ends because nobody owns the remote address, or no route leads
    to it.

    Fix: Point it to the right host.
        bridge fdb show dev VXLAN
        bridge fdb replace MAC dev VXLAN dst REMOTE
        ip link set VXLAN type vxlan remote REMOTE

    See: ip-link(8), "VXLAN"; bridge(8), "bridge fdb"
    """
    return case.by_stop("vxlan-remote-wrong")


def vxlan_port_mismatch(case: Case) -> Cause | None:
    """The two ends of a VXLAN use different UDP ports.

    What: The standard port is 4789, but Linux uses 8472 when none is given, so one end made with `dstport`
    and the other without do not meet. The outer packets arrive at a port on which nobody listens.

    How we know: The ports of both devices, read at both ends.

    Fix: Make the device again with the port of the other end.
        ip link del VXLAN
        ip link add VXLAN type vxlan id VNI dstport 4789 remote REMOTE dev IFACE

    See: ip-link(8), "dstport"; RFC 7348
    """
    look = Command.look(
        "ip", "-d", "link", "show", "type", "vxlan", note="at both ends: the dstport must be the same"
    )
    return case.by_stop("vxlan-port-mismatch", look)


def vxlan_fdb_missing(case: Case) -> Cause | None:
    """The VXLAN does not know at which tunnel end the destination is.

    What: A VXLAN device without a multicast group needs a table that says behind which host each MAC address
    lives, with a default entry (all zeros) for ARP and unknown ones. Overlay networks such as flannel fill
    it; when their daemon is down, new hosts are missing.

    How we know: The device's forwarding table has no entry for the destination's MAC and no default entry.

    Fix: Add the entry, or restart the daemon that keeps the table.
        bridge fdb show dev VXLAN
        bridge fdb append 00:00:00:00:00:00 dev VXLAN dst REMOTE

    See: bridge(8), "bridge fdb"; the kernel's documentation of VXLAN
    """
    return case.by_stop("vxlan-fdb-missing")


def macvlan_parent_isolated(case: Case) -> Cause | None:
    """A macvlan and its own parent interface cannot talk to each other: that is how macvlan works.

    What: Frames of a macvlan go out on the wire directly and never turn back to the parent. So a container on
    a macvlan network reaches the whole LAN except the very host it runs on, and that surprises everybody
    once.

    How we know: The destination's MAC address is the one of the macvlan's parent.

    Fix: Give the host a macvlan of its own on the same parent, and a route to the containers by it.
        ip link add shim link PARENT type macvlan mode bridge
        ip address add ADDRESS/32 dev shim
        ip link set shim up
        ip route add CONTAINER_NETWORK dev shim

    See: ip-link(8), "MACVLAN"; drivers/net/macvlan.c (macvlan_queue_xmit); Docker's documentation of macvlan
    networks
    """
    own = Command.of(
        "ip", "link", "add", "shim", "link", Blank("PARENT"), "type", "macvlan", "mode", "bridge"
    )
    up = Command.of("ip", "link", "set", "dev", "shim", "up")
    return case.by_stop(
        "macvlan-parent-isolated", own, up, Command.of("ip", "route", "add", ADDRESS, "dev", "shim")
    )


def macvlan_mode_isolated(case: Case) -> Cause | None:
    """The macvlan's mode keeps it from talking to another macvlan on the same parent.

    What: In mode private macvlans never talk to each other; in mode vepa (the kernel's default!) their frames
    go out to the switch, which must send them back, and few switches do. Only mode bridge connects them
    directly.

    How we know: The modes of both devices and their common parent.

    Fix: Set mode bridge on both.
        ip link set IFACE type macvlan mode bridge

    See: ip-link(8), "MACVLAN"; drivers/net/macvlan.c; IEEE 802.1Qbg (VEPA)
    """
    found = case.by_stop("macvlan-mode-isolated")
    return found if found is None else replace(found, commands=_all_bridged(case, found))


def _all_bridged(case: Case, found: Cause) -> Fix:
    """Mode bridge for the macvlan, and for its siblings on the same parent that are in another mode."""
    name, ground = found.place.namespace or "", Ground(case.snapshot, ask=False)
    own = case.snapshot[name].link_named(found.place.interface or "") if name in case.snapshot else None
    if own is None:
        return found.commands
    parent = _parent(ground, name, own)
    others = [
        (there, link)
        for there, namespace in case.snapshot.namespaces.items()
        for link in namespace.links
        if link.kind == "macvlan"
        and link.macvlan_mode != "bridge"
        and parent is not None
        and _parent(ground, there, link) == parent
    ]
    return tuple(
        _bridged(there, link)
        for there, link in ((name, own), *(each for each in others if each[1] is not own))
    )


def _bridged(namespace: str, link: Link) -> Command:
    return replace(link_set(link, "type", "macvlan", "mode", "bridge"), namespace=namespace)


def _parent(ground: Ground, name: str, link: Link) -> tuple[str, int] | None:
    """The namespace and ifindex of the device that a macvlan stands on."""
    try:
        lower = ground.beyond(name, link.link)
    except Lacking:
        return None
    return (lower[0], lower[1].index) if lower is not None else None


CAUSES = (
    vxlan_vni_mismatch,
    vxlan_remote_wrong,
    vxlan_port_mismatch,
    vxlan_fdb_missing,
    macvlan_parent_isolated,
    macvlan_mode_isolated,
)
