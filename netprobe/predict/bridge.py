"""A bridge's ports and forwarding entries: what they let pass, and what they mislead.

Kernel: net/bridge/br_{forward,fdb,stp_if}.c; bridge(8).
"""

from __future__ import annotations

from msgspec.structs import replace

from netprobe.model import BridgePort, Command, FdbEntry, Link, Namespace, Object, Stage, Stop

from .drop import lost
from .fixes import Fix, bridge_port, link_set
from .outcome import BROADCAST, Branch, is_group
from .view import Packet


def fdb_lookup(namespace: Namespace, bridge: Link, mac: str) -> FdbEntry | None:
    """The bridge's forwarding entry for a MAC address, untagged first; None when the frame would be
    flooded.
    """
    found = [
        e
        for e in namespace.fdb
        if e.mac == mac and e.remote is None and (e.master == bridge.index or e.index == bridge.index)
    ]
    return next(iter(sorted(found, key=lambda e: (not e.local, e.vlan or 0))), None)


def port_object(port: Link, setting: str) -> Object:
    """A bridge port as an object, with the setting that matters as bridge(8) prints it."""
    return Object("bridge-port", port.name, f"{port.name} {setting}")


def settings(port: Link) -> BridgePort:
    """A port's settings; the kernel's defaults where none were read."""
    return port.port or BridgePort()


def state_of(port: Link) -> str:
    """A port's state in bridge(8)'s words."""
    return settings(port).state


def swallowed(branch: Branch, namespace: Namespace, bridge: Link, entry: FdbEntry) -> Branch:
    """A frame that an FDB entry sends up to the host, which has no such MAC and ignores it."""
    out = namespace.link(entry.index) or bridge
    text = f"the FDB of {bridge.name} takes {entry.mac} for the host's own: frames for it go no further"
    return replace(
        branch, at=None, stop=_wrong_entry(namespace.name, bridge, out, entry, Stage.BRIDGE_INPUT, text)
    )


def misled(branch: Branch) -> Branch:
    """A frame that a static FDB entry sent to a port behind which nobody has its MAC: the entry is wrong."""
    if branch.stop is None or branch.stop.code != "neigh-wrong-entry" or branch.steered is None:
        return branch
    name, bridge, out, entry = (
        branch.steered.name,
        branch.steered.bridge,
        branch.steered.out,
        branch.steered.entry,
    )
    text = f"the FDB of {bridge.name} has {entry.mac} behind {out.name}, where no station has that MAC"
    return replace(branch, stop=_wrong_entry(name, out, out, entry, Stage.BRIDGE_FORWARD, text))


def turned_back(name: str, bridge: Link, out: Link, entry: FdbEntry) -> Stop:
    """A static FDB entry that names the very port by which the frame came in."""
    text = (
        f"the FDB of {bridge.name} has {entry.mac} behind {out.name}, by which its frames come in: they are"
        " not sent back"
    )
    return _wrong_entry(name, out, out, entry, Stage.BRIDGE_FORWARD, text)


def _wrong_entry(name: str, place: Link, out: Link, entry: FdbEntry, stage: Stage, text: str) -> Stop:
    words = (entry.mac, "dev", out.name, "self" if out.kind == "bridge" else "master")
    id = " ".join(words)
    thing = Object("fdb-entry", id, f"{id} {entry.state}")
    fix = Command.of("bridge", "fdb", "del", *words, *(["local"] if entry.local else []))
    return lost("fdb-wrong-entry", name, place, stage, text, object=thing, fix=(fix,))


def not_let_in(namespace: Namespace, bridge: Link, port: Link, packet: Packet) -> Stop | None:
    """A locked port takes frames of those stations only that the FDB has there already (802.1X;
    br_handle_frame_finish).
    """
    mac = packet.flow.src_mac
    if not settings(port).locked or mac is None:
        return None
    entry = fdb_lookup(namespace, bridge, mac)
    if entry is not None and entry.index == port.index and not entry.local:
        return None
    text = (
        f"port {port.name} of {bridge.name} is locked, and its FDB does not know {mac} there: frames of that"
        " station are not let in"
    )
    fix = (Command.of("bridge", "fdb", "replace", mac, "dev", port.name, "master", "static"),)
    return lost(
        "mac-not-allowed",
        namespace.name,
        port,
        Stage.BRIDGE_PREROUTING,
        text,
        object=port_object(port, "locked on"),
        fix=fix,
    )


def reopen(bridge: Link, port: Link) -> Fix:
    """What lets a port forward again, after what has closed it."""
    if settings(port).guard:
        return (bridge_port(port, "guard", "off"), link_set(port, "down"), link_set(port, "up"))
    if bridge.bridge is not None and bridge.bridge.stp:
        return (link_set(bridge, "type", "bridge", "stp_state", "0"),)
    return (bridge_port(port, "state", "3"),)


def no_flood(name: str, bridge: Link, out: Link, mac: str) -> Stop | None:
    """Why a flood of this kind does not leave by `out` (br_flood)."""
    port = settings(out)
    group = "broadcast" if mac == BROADCAST else "multicast"
    kind = group if is_group(mac) else "unicast"
    if {"broadcast": port.broadcast_flood, "multicast": port.multicast_flood, "unicast": port.unicast_flood}[
        kind
    ]:
        return None
    option = {"unicast": "flood", "multicast": "mcast_flood", "broadcast": "bcast_flood"}[kind]
    text = f"{bridge.name} knows no port for {mac}, and {out.name} takes no {kind} floods"
    return lost("port-flood-off", name, out, Stage.BRIDGE_FORWARD, text,
        object=port_object(out, f"{option} off"),
                fix=(bridge_port(out, option, "on"),))  # fmt: skip
