"""Addresses: an address is missing, of the wrong network, or not usable."""

from __future__ import annotations

from netprobe.diagnose.evidence import Case
from netprobe.diagnose.hints import usual_length
from netprobe.model import Cause
from netprobe.predict.fixes import RIGHT_LENGTH

from . import remedy


def addr_missing(case: Case) -> Cause | None:
    """An interface that needs an address has none.

    What: Without an address of the right IP version a namespace cannot send, and a gateway without its
    address cannot be asked for. The `ip addr add` was forgotten or went to another interface, a DHCP client
    did not run in the namespace, or the bridge was made anew and lost its address.

    How we know: The addresses of the namespace, read by netlink.

    Fix: Add it, with the length of the network, so that the on-link route appears with it.
        ip address add ADDRESS/LENGTH dev IFACE

    See: ip-address(8); net/ipv4/devinet.c
    """
    return case.by_stop("addr-missing")


def addr_wrong_subnet(case: Case) -> Cause | None:
    """An interface has an address of another network than its neighbours on the segment.

    What: The cable is right but the address is of another network, so both sides look for each other in the
    wrong place: the packets go to a router, or nowhere. A typing error in a static address does it, and so
    does a container that kept the address of the network it was in before.

    How we know: The address and its network, compared with those of the other stations on the same segment.

    Fix: Replace the address by one of the segment's network.
        ip address del WRONG/LENGTH dev IFACE
        ip address add RIGHT/LENGTH dev IFACE

    See: ip-address(8); RFC 950
    """
    return case.by_stop("addr-wrong-subnet")


def addr_wrong_prefix(case: Case) -> Cause | None:
    """An address has the wrong prefix length, so its network is taken to be larger or smaller than it is.

    What: The length says which addresses are on the same segment. With a /32 instead of a /24 the neighbours
    seem to be elsewhere; with a /8 half the world seems to be next door, and is asked for by ARP in vain. `ip
    addr add 10.0.0.2 dev eth0` without a length means /32, which is the most frequent slip of all.

    How we know: The address's prefix length, compared with that of the other stations of the segment.

    Fix: Replace the address by the same one with the right length.
        ip address del ADDRESS/WRONG dev IFACE
        ip address add ADDRESS/RIGHT dev IFACE

    See: ip-address(8); RFC 4632
    """
    return _with_length(case, case.by_stop("addr-wrong-prefix"))


def _with_length(case: Case, found: Cause | None) -> Cause | None:
    """The fix with the prefix length in it that the others of that network have."""
    own = found.object.id.partition("/")[0] if found is not None and found.object is not None else ""
    if found is None or not own or not remedy.lacks(found, RIGHT_LENGTH):
        return found
    length = usual_length(case.snapshot, found.place.namespace or "", own)
    return found if length is None else remedy.filled(found, RIGHT_LENGTH, str(length))


def addr_is_broadcast(case: Case) -> Cause | None:
    """The address is the broadcast or network address of the network, which no single host can be reached by.

    What: In 10.0.0.0/24 the addresses 10.0.0.0 and 10.0.0.255 mean everybody. A host that is given one of
    them answers nobody, or is answered by nobody, because its peers take packets to it for broadcasts. It
    happens with pools that start at .0 and with a /25 or /26 in which .127 or .63 looks harmless.

    How we know: The routes of type broadcast in the peer's local table contain the address.

    Fix: Use another address of the network.
        ip address del ADDRESS/LENGTH dev IFACE
        ip address add OTHER/LENGTH dev IFACE

    See: RFC 919; RFC 1122, 3.2.1.3; ip-address(8)
    """
    return _with_length(case, case.by_stop("addr-is-broadcast"))


def addr_duplicate(case: Case) -> Cause | None:
    """Another station on the segment has the same address and takes the packets.

    What: Two stations own one IPv4 address. Whichever answers the ARP question first (or last) gets the
    traffic, so it works for some and not for others, and changes by the minute. Static addresses beside a
    DHCP pool, a cloned machine and a container of another Docker network on the same bridge are the usual
    stories.

    How we know: More than one station of the segment owns the address or answers for it, with different MAC
    addresses; `netprobe arping` shows every answer.

    Fix: Give one of the two another address.
        netprobe arping SRC ADDRESS
        ip address del ADDRESS/LENGTH dev IFACE

    See: RFC 5227 (address conflict detection); arping(8), -D
    """
    return case.by_stop("addr-duplicate")


def addr_dad_failed(case: Case) -> Cause | None:
    """An IPv6 address is not used because another station had it already (duplicate address detection
    failed).

    What: Before a host uses an IPv6 address it asks whether anybody has it. If it is answered, the address
    stays configured but dead: `ip -6 addr` shows the flag `dadfailed`. Two containers with one fixed MAC
    address or one fixed IPv6 address do this; so does a bridge that sends a host's own question back to it.

    How we know: The address carries the flag dadfailed.

    Fix: Choose another address. The same one is refused again, unless the other station gives it up first.
        ip -6 address add OTHER/LENGTH dev IFACE
        ip -6 address del ADDRESS/LENGTH dev IFACE

    See: RFC 4862, 5.4; ip-address(8); net/ipv6/addrconf.c (addrconf_dad_failure)
    """
    return case.by_stop("addr-dad-failed")


def ipv6_disabled(case: Case) -> Cause | None:
    """IPv6 is switched off on an interface, or its MTU is too small for it.

    What: With `disable_ipv6` set to 1 the kernel removes all IPv6 addresses from the interface and ignores
    IPv6 packets there. Docker does so in containers of networks without IPv6, and old advice on the Internet
    says to set it for `all`. An MTU below 1280 bytes does the same.

    How we know: The sysctl, or the MTU, read in the namespace.

    Fix: Switch IPv6 on, or make the MTU larger; the addresses that it removed must be added again. For
    Docker, make the network with --ipv6.
        sysctl -w net.ipv6.conf.IFACE.disable_ipv6=0
        ip link set IFACE mtu SIZE
        docker network create --ipv6 NETWORK

    See: ip-sysctl (kernel documentation), disable_ipv6; net/ipv6/addrconf.c
    """
    return case.by_stop("ipv6-disabled")


def ra_not_accepted(case: Case) -> Cause | None:
    """The router's IPv6 advertisement is ignored, so there is no address or default route from it.

    What: A host gets its IPv6 default route from router advertisements. `accept_ra` 0 ignores them, and the
    default 1 ignores them as soon as forwarding is on, because a router does not follow other routers. So a
    Docker host loses its IPv6 default route in the moment in which IPv6 forwarding is switched on for the
    containers.

    How we know: There is no default route, `accept_ra` of the interface does not allow it, given the value of
    `forwarding`.

    Fix: Accept advertisements although the host forwards (2), on the interface that faces the router.
        sysctl -w net.ipv6.conf.IFACE.accept_ra=2

    See: ip-sysctl (kernel documentation), accept_ra; net/ipv6/ndisc.c (ndisc_router_discovery); RFC 4861
    """
    return case.by_stop("ra-not-accepted")


CAUSES = (
    addr_missing,
    addr_wrong_subnet,
    addr_wrong_prefix,
    addr_is_broadcast,
    addr_duplicate,
    addr_dad_failed,
    ipv6_disabled,
    ra_not_accepted,
)
