"""Size: how much the way out takes at once, who is refused for being longer, and who is cut. Pure.

Kernel: include/net/ip.h (ip_dst_mtu_maybe_forward, ip_dont_fragment), include/net/ip6_route.h
(ip6_dst_mtu_maybe_forward), net/ipv4/ip_output.c and net/ipv6/ip6_output.c (__ip_append_data: EMSGSIZE);
RFC 1191, RFC 8201.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from netprobe.model import Link, Namespace, Object, Probe, Stage, Stop

from . import fib, fixes, prefix
from .drop import link_object, lost
from .fib import FibResult
from .view import Packet

_CACHED = "cache "  # as ip-route(8) has it


class Limit(Struct, frozen=True, gc=False):
    """The largest packet, in bytes, that leaves by `out`, and what says so.

    `by` "interface", "route" (its `mtu`), "learned" (from ICMP errors: the kernel's cache of path MTUs), or
    "sysctl" (IPv6's own of the interface).
    """

    mtu: int
    by: Literal["interface", "route", "learned", "sysctl"]
    out: Link
    locked: bool = False


def limit(namespace: Namespace, out: Link, decision: FibResult, packet: Packet, forwarded: bool) -> Limit:
    """How long a packet may be that leaves by `out` on the route of `decision`."""
    version, route = packet.flow.version, decision.found
    locked = decision.learned_lock or route.mtu_lock
    learned = None if packet.unlearned else decision.learned
    if forwarded and version == 4 and not locked and not _forwards_by_learned(namespace):
        learned = None
    if learned is not None:
        return Limit(learned, "learned", out, locked)
    if route.mtu is not None:
        return Limit(route.mtu, "route", out, locked)
    return _of_interface(namespace, out, version)


def _forwards_by_learned(namespace: Namespace) -> bool:
    return namespace.sysctl("net.ipv4.ip_forward_use_pmtu", "0") == "1"


def _of_interface(namespace: Namespace, out: Link, version: int) -> Limit:
    smaller = namespace.number(_key(out)) if version == 6 else 0
    if 0 < smaller < out.mtu:
        return Limit(smaller, "sysctl", out)
    return Limit(out.mtu, "interface", out)


def _key(out: Link) -> str:
    return f"net.ipv6.conf.{out.key}.mtu"


def dont_fragment(namespace: Namespace, probe: Probe, packet: Packet, decision: FibResult) -> bool:
    """Whether the packet goes out with DF: as asked, else as of a socket that says nothing
    (IP_PMTUDISC_WANT): where it need not be cut at the source and no MTU is locked.
    """
    if probe.df is not None:
        return probe.df
    # inet_create: then sockets say IP_PMTUDISC_DONT
    if packet.flow.version == 4 and namespace.sysctl("net.ipv4.ip_no_pmtu_disc", "0") != "0":
        return False
    out = namespace.link(decision.index)
    if out is None:
        return True
    here = limit(namespace, out, decision, packet, forwarded=False)
    return packet.length <= here.mtu and not (here.locked and packet.flow.version == 4)


def fit(
    namespace: Namespace, out: Link, decision: FibResult, packet: Packet, forwarded: bool
) -> Packet | Stop:
    """The packet as it leaves, whole or cut; or why it is refused: it is too long and must not be cut, which
    of IPv6 holds for every router.
    """
    here = limit(namespace, out, decision, packet, forwarded)
    size = packet.longest
    if size <= here.mtu:
        return packet
    if packet.df or (packet.flow.version == 6 and forwarded):
        return _exceeded(namespace, here, decision, packet, size, forwarded)
    return replace(packet, fragments=here.mtu)


def _exceeded(
    namespace: Namespace, here: Limit, decision: FibResult, packet: Packet, size: int, forwarded: bool
) -> Stop:
    out, stage = here.out, Stage.FORWARD if forwarded else Stage.OUTPUT
    whose, thing, fix = _limit(namespace, here, decision, packet, size)
    text = f"a packet of {size} bytes that must not be fragmented does not fit {whose}"
    return lost("mtu-exceeded", namespace.name, out, stage, text, object=thing, fix=fix)


def _limit(
    namespace: Namespace, here: Limit, decision: FibResult, packet: Packet, size: int
) -> tuple[str, Object, fixes.Fix]:
    """What limits a packet: in words, as an object, and what makes room."""
    out, dst = here.out, packet.flow.dst
    if here.by == "interface":
        fix: fixes.Fix = (fixes.link_set(out, "mtu", str(size)),)
        return f"the MTU {here.mtu} of {out.name}", link_object(out), fix
    if here.by == "sysctl":
        key = _key(out)
        object = Object("sysctl", key, f"{key} = {here.mtu}")
        return f"the IPv6 MTU {here.mtu} of {out.name}", object, fixes.sysctl(key, min(size, out.mtu))
    assert decision.route is not None
    if here.by == "route":
        named = fib.describe(decision.route, decision.leg, out)
        object = Object("route", named, f"{named} mtu {'lock ' if here.locked else ''}{here.mtu}")
        roomy = replace(decision.route, mtu=max(size, out.mtu), mtu_lock=False)
        change = fixes.ip(dst, "route", "replace", *fib.in_full(roomy, decision.leg, out))
        return f"the MTU {here.mtu} of the route {named}", object, (change,)
    single = replace(decision.route, dst=f"{dst}/{prefix.bits(dst)}")
    named = fib.describe(single, decision.leg, out)
    object = Object("route", named, f"{_CACHED}{named} mtu {here.mtu}")
    whose = f"the MTU {here.mtu} that {namespace.name} has learned of the path to {dst}"
    return whose, object, (fixes.ip(dst, "route", "flush", "cache"),)


def is_learned(stop: Stop) -> bool:
    """Whether a packet is refused for what a kernel has learned of its path, and so for what is, or was,
    further on.
    """
    return stop.code == "mtu-exceeded" and stop.object is not None and stop.object.text.startswith(_CACHED)
