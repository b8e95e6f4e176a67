"""A bridge's ports and forwarding entries: what they let pass, and what they mislead.

Kernel: net/bridge/br_{forward,fdb,stp_if}.c; bridge(8).
"""

from __future__ import annotations

from msgspec.structs import replace

from netprobe.model import BridgePort, FdbEntry, Link, Namespace, Object, Stage, Stop

from .branch import BROADCAST, Branch, is_group
from .stop import lost


def fdb_lookup(namespace: Namespace, bridge: Link, mac: str) -> FdbEntry | None:
    """The bridge's forwarding entry for a MAC address, untagged first; None when the frame would be flooded."""
    found = [e for e in namespace.fdb if e.mac == mac and e.remote is None and (e.master == bridge.index or e.index == bridge.index)]
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


def swallowed(branch: Branch, name: str, bridge: Link, entry: FdbEntry) -> Branch:
    """A frame that an FDB entry sends up to the host, which has no such MAC and ignores it."""
    id = f"{entry.mac} dev {bridge.name}"
    text = f"the FDB of {bridge.name} takes {entry.mac} for the host's own: frames for it go no further"
    stop = lost("fdb-wrong-entry", name, bridge, Stage.BRIDGE_INPUT, text, object=Object("fdb-entry", id, f"{id} {entry.state}"),
                fix=(f"bridge fdb del {id} self local",))  # fmt: skip
    return replace(branch, at=None, stop=stop)


def misled(branch: Branch, name: str, bridge: Link, out: Link, entry: FdbEntry) -> Branch:
    """A frame that the FDB sent to a port behind which nobody has its MAC: the entry is wrong."""
    if branch.stop is None or branch.stop.code != "neigh-wrong-entry":
        return branch
    id = f"{entry.mac} dev {out.name} master"
    text = f"the FDB of {bridge.name} has {entry.mac} behind {out.name}, where nobody has that MAC"
    stop = lost("fdb-wrong-entry", name, out, Stage.BRIDGE_FORWARD, text, object=Object("fdb-entry", id, f"{id} {entry.state}"),
                fix=(f"bridge fdb del {id}",))  # fmt: skip
    return replace(branch, stop=stop)


def reopen(bridge: Link, port: Link) -> str:
    """The command that lets a port forward again, after what has closed it."""
    if settings(port).guard:
        return f"bridge link set dev {port.name} guard off; ip link set {port.name} down; ip link set {port.name} up"
    if bridge.bridge is not None and bridge.bridge.stp:
        return f"ip link set {bridge.name} type bridge stp_state 0"
    return f"bridge link set dev {port.name} state 3"


def no_flood(name: str, bridge: Link, out: Link, mac: str) -> Stop | None:
    """Why a flood of this kind does not leave by `out` (br_flood)."""
    port = settings(out)
    kind, allowed = (
        ("broadcast", port.broadcast_flood)
        if mac == BROADCAST
        else ("multicast", port.multicast_flood)
        if is_group(mac)
        else ("unicast", port.unicast_flood)
    )
    if allowed:
        return None
    option = {"unicast": "flood", "multicast": "mcast_flood", "broadcast": "bcast_flood"}[kind]
    text = f"{bridge.name} knows no port for {mac}, and {out.name} takes no {kind} floods"
    return lost("port-flood-off", name, out, Stage.BRIDGE_FORWARD, text, object=port_object(out, f"{option} off"),
                fix=(f"bridge link set dev {out.name} {option} on",))  # fmt: skip
