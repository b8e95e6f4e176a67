"""Bridge: the frame reaches a switch and does not leave it, or leaves it by the wrong port."""

from __future__ import annotations

from netprobe.diagnose.evidence import Case
from netprobe.model import Blank, Cause, Command, Link, Namespace
from netprobe.predict import prefix
from netprobe.predict.fixes import BRIDGE, INTERFACE
from netprobe.predict.view import Ground, Lacking

from . import proof, remedy


def port_not_in_bridge(case: Case) -> Cause | None:
    """The host's end of a cable is plugged into no bridge.

    What: A veth (or tunnel) end lives in the router's namespace but has no master, so what arrives there goes
    to no other port. It is the forgotten `master br0` of a hand-made setup, or what remains after the bridge
    was deleted and made again. Often only half of the traffic dies: Linux answers ARP for all its addresses
    on any interface, so the request may still get out, and the reply is then put on a bridge that does not
    have this port.

    How we know: The interface has no master, while a bridge in the same namespace has the network that the
    other end belongs to.

    Fix: Plug it in.
        ip link set PORT master BRIDGE
        bridge link show   # lists what is plugged in where

    See: bridge(8); ip-link(8); net/bridge/br_if.c (br_add_if)
    """
    return _with_bridge(case, case.by_stop("port-not-in-bridge"))


def _with_bridge(case: Case, found: Cause | None) -> Cause | None:
    """The fix with the bridge's name in it: the one whose network the far end belongs to, or the only one."""
    namespace = proof.place_of(case)
    port = (
        namespace.link_named(found.place.interface or "")
        if namespace is not None and found is not None
        else None
    )
    if found is None or namespace is None or port is None or not remedy.lacks(found, BRIDGE.name):
        return found
    bridges = namespace.links_of("bridge")
    fitting = [bridge for bridge in bridges if _shares_network(case, namespace, bridge, port)] or bridges
    return found if len(fitting) != 1 else remedy.filled(found, BRIDGE.name, fitting[0].name)


def _shares_network(case: Case, namespace: Namespace, bridge: Link, port: Link) -> bool:
    """Whether the far end of a port has an address of the bridge's network."""
    try:
        far = Ground(case.snapshot, ask=False).beyond(namespace.name, port.link)
    except Lacking:
        return False
    networks = [
        prefix.network(a.address, a.prefixlen) for a in namespace.addresses_of(bridge) if a.scope == "global"
    ]
    others = case.snapshot[far[0]].addresses_of(far[1]) if far is not None else ()
    return any(prefix.contains(network, other.address) for network in networks for other in others)


def port_wrong_bridge(case: Case) -> Cause | None:
    """The host's end of a cable is plugged into another bridge than the network it belongs to.

    What: Two bridges are two separate switches. The container has an address of one bridge's network, but its
    cable is plugged into the other, so its ARP requests are heard by the wrong neighbours. Mixing up two
    interface names in a script does it, and so does moving a container from one Docker network to another by
    hand. Each VLAN of a bridge that filters them is a switch of its own as well.

    How we know: The port's master is one bridge, while the address behind the port belongs to the network of
    another. Of VLANs, most who share the network are in another one.

    Fix: Move the port, or put it into the VLAN of the others.
        ip link set PORT master BRIDGE
        bridge vlan add dev PORT vid N pvid untagged

    See: bridge(8); ip-link(8)
    """
    return case.by_stop("port-wrong-bridge")


def port_isolated(case: Case) -> Cause | None:
    """Both ports of the bridge are isolated, and isolated ports may not talk to each other.

    What: Port isolation lets a port talk to the bridge and to ports that are not isolated, but not to another
    isolated one. It is used on purpose to keep tenants or guests apart (some virtualisation tools switch it
    on for every guest), and surprises when two of them should talk after all. Gateway and Internet keep
    working, only the neighbour is unreachable.

    How we know: Both ports carry the flag `isolated on`; a tap sees the frame come in at one port and never
    leave by the other.

    Fix: Take the flag off one of the two, if they are meant to talk.
        bridge link set dev PORT isolated off
        bridge -d link show dev PORT

    See: bridge(8), "isolated"; net/bridge/br_private.h (br_skb_isolated)
    """
    return case.by_stop("port-isolated")


def port_not_forwarding(case: Case) -> Cause | None:
    """A bridge port is not in the forwarding state: it passes no frames yet, or no more.

    What: With the spanning tree protocol a new port listens and learns for twice the forward delay (30
    seconds by default) before it forwards, and a port that would close a loop stays blocked. BPDU guard
    disables a port on which another bridge was heard. Containers that are "unreachable during the first half
    minute" are the classic. And no port sends a frame back to where it came from, unless it is a hairpin
    port: a container that asks for itself by the address of a service needs that, where the rules of its
    host translate on the bridge (bridge-nf-call-iptables).

    How we know: The port's state, as `bridge -d link` shows it, is disabled, blocking, listening or learning;
    or it is the port by which the translated packet came in, with hairpin off.

    Fix: Wait for the forward delay, or switch spanning tree off on a bridge that cannot have loops. A port
    that listened goes on listening then, until its state is set by hand.
        ip link set BRIDGE type bridge stp_state 0
        ip link set BRIDGE type bridge forward_delay 0
        bridge link set dev PORT state 3
        bridge link set dev PORT hairpin on

    See: bridge(8), "state", "hairpin"; IEEE 802.1D; net/bridge/br_stp.c
    """
    return case.by_stop("port-not-forwarding")


def port_flood_off(case: Case) -> Cause | None:
    """The bridge does not know where the address is, and the port is told not to take floods.

    What: A frame for an unknown MAC address, a broadcast (ARP!) or a multicast (IPv6 neighbour discovery!)
    goes to all ports, unless flooding is switched off on a port. Then the station behind it is reachable only
    while the bridge remembers its MAC address, typically five minutes after it last sent something. The
    connection "works after I pinged from the other side".

    How we know: The port's `flood`, `mcast_flood` or `bcast_flood` flag is off, and the forwarding table has
    no entry for the destination's MAC.

    Fix: Allow the flood, or give the bridge a fixed entry for the station.
        bridge link set dev PORT flood on mcast_flood on bcast_flood on
        bridge fdb add MAC dev PORT master static

    See: bridge(8), "flood"; net/bridge/br_forward.c (br_flood)
    """
    return case.by_stop("port-flood-off")


def fdb_wrong_entry(case: Case) -> Cause | None:
    """The bridge's forwarding table sends the frame to the wrong port.

    What: The forwarding database (FDB) says behind which port a MAC address lives. A static entry that was
    made by hand or by an overlay network is not corrected when the container moves, and an entry that points
    to the bridge itself swallows the frame. A frame whose entry points to the very port it came from is
    dropped, unless that port is a hairpin port.

    How we know: The FDB entry, and the fact that nobody behind its port has that MAC address.

    Fix: Delete the entry; the bridge learns the right one from the next frame of that station.
        bridge fdb show | grep MAC
        bridge fdb del MAC dev PORT master

    See: bridge(8), "bridge fdb"; net/bridge/br_fdb.c
    """
    return case.by_stop("fdb-wrong-entry")


def mac_duplicate(case: Case) -> Cause | None:
    """Two stations on the same segment have the same MAC address.

    What: The bridge sends every frame to the port on which the address was last heard, so the two stations
    take the traffic from each other: connections hang and come back. Cloned virtual machines and containers
    started with a fixed `--mac-address` twice are the usual reasons.

    How we know: Two interfaces on one segment carry the same address in the configuration.

    Fix: Give one of them another address (02 as the first byte marks a self-made one).
        ip link set IFACE address 02:00:00:XX:XX:XX
        ip link show | grep -B1 MAC

    See: ip-link(8); net/bridge/br_fdb.c (br_fdb_update)
    """
    return case.by_stop(
        "mac-duplicate",
        Command.of("ip", "link", "set", "dev", INTERFACE, "address", Blank("02:00:00:XX:XX:XX")),
    )


CAUSES = (
    port_not_in_bridge,
    port_wrong_bridge,
    port_isolated,
    port_not_forwarding,
    port_flood_off,
    fdb_wrong_entry,
    mac_duplicate,
)
