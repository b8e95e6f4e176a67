"""Links: the interface itself is off, has no far end, or is not there."""

from __future__ import annotations

from netprobe.diagnose.evidence import Case
from netprobe.model import Cause


def link_admin_down(case: Case) -> Cause | None:
    """An interface on the way is switched off (administratively down).

    What: The interface exists but its UP flag is not set, so it neither sends nor receives. A veth made by
    hand starts switched off at both ends and needs `ip link set ... up` in each namespace; a script may have
    stopped half way, or somebody ran `ifdown`. Taking an interface down also deletes its IPv4 routes, which
    is why other tools say "Network is unreachable" and hide the real reason.

    How we know: The interface's flags, read by netlink in its own namespace, lack IFF_UP. With a live probe
    the taps saw the packet before the interface and not behind it.

    Fix: Switch it on. Routes that vanished with it do not come back by themselves; add those that you had
    made by hand again.
        ip link set IFACE up
        ip route add default via GATEWAY dev IFACE

    See: ip-link(8); net/core/dev.c (dev_open); net/ipv4/fib_frontend.c (fib_disable_ip)
    """
    return case.by_stop("link-admin-down")


def link_no_carrier(case: Case) -> Cause | None:
    """An interface is switched on but its other end is not: it has no carrier.

    What: A virtual cable has a signal only while both ends are up. The local interface is up, but the far end
    of the veth pair, the parent of the VLAN or macvlan, or the switch port is down or unplugged. `ip link`
    shows NO-CARRIER and state LOWERLAYERDOWN. A container that was stopped while its bridge port stayed
    behind looks like this from the host.

    How we know: The interface has IFF_UP without IFF_LOWER_UP. Where netprobe can read the far end, it names
    it.

    Fix: Switch the far end on, in the namespace in which it lives.
        ip -n OTHER_NS link set OTHER_IFACE up
        ip -d link show IFACE   # names the peer: IFACE@ifN, link-netns OTHER_NS

    See: ip-link(8); veth(4); drivers/net/veth.c (veth_open); net/core/link_watch.c
    """
    return case.by_stop("link-no-carrier")


def link_missing(case: Case) -> Cause | None:
    """An interface that the packet needs does not exist in that namespace.

    What: The namespace has only its loopback, or a route points to an interface that is gone. A container
    that was started with `--network none` looks like this, and so does one whose veth was deleted, was never
    moved into the namespace, or was moved into another one. Deleting one end of a veth pair always deletes
    the other end too.

    How we know: The list of interfaces of the namespace, read by netlink.

    Fix: Connect the container to a network, or make the pair again and move one end into the namespace.
        docker network connect NETWORK CONTAINER
        ip link add PORT type veth peer name eth0 netns NS
        ip link set PORT master BRIDGE up
        ip -n NS link set eth0 up

    See: ip-link(8); ip-netns(8); veth(4)
    """
    return case.by_stop("link-missing")


CAUSES = (link_admin_down, link_no_carrier, link_missing)
