"""The sysctls that decide about packets, of the namespace this thread is in.

Per-interface values come with the link dump (IFLA_AF_SPEC holds the whole devconf array): no file to open for
each, and no trouble with odd interface names. The rest is read from /proc/sys, which shows the namespace of
the *opening thread*. A dot in an interface name is written as a slash, as sysctl(8) does:
`net.ipv4.conf.eth0/100.rp_filter`.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterable, Mapping
from functools import lru_cache

from netprobe.errors import is_short
from netprobe.linux import files
from netprobe.linux.netlink import attributes
from netprobe.linux.record import Chosen

FORWARDING = "net.ipv4.ip_forward"
AF_INET, AF_INET6 = 2, 10
INET_CONF = 1  # IFLA_INET_CONF
_OF_IPV6 = Chosen(0, 2)  # IFLA_INET6_CONF

# positions in the arrays: include/uapi/linux/ip.h (IPV4_DEVCONF_*, from 1) and include/uapi/linux/ipv6.h
# (DEVCONF_*, from 0)
IPV4_CONF = {
    "forwarding": 0, "proxy_arp": 2, "rp_filter": 7, "arp_filter": 12, "disable_xfrm": 14,
    "disable_policy": 15, "arp_announce": 17,
    "promote_secondaries": 19,
    "arp_ignore": 18, "arp_accept": 20, "accept_local": 22, "src_valid_mark": 23, "proxy_arp_pvlan": 24,
    "route_localnet": 25,
    "ignore_routes_with_linkdown": 28, "drop_unicast_in_l2_multicast": 29, "drop_gratuitous_arp": 30,
    "bc_forwarding": 31,
}  # fmt: skip
IPV6_CONF = {
    "forwarding": 0, "hop_limit": 1, "mtu": 2, "accept_ra": 3, "autoconf": 5, "use_tempaddr": 10,
    "accept_ra_defrtr": 17, "accept_ra_pinfo": 18,
    "proxy_ndp": 22, "disable_ipv6": 26, "accept_dad": 27, "ignore_routes_with_linkdown": 39,
    "drop_unicast_in_l2_multicast": 40,
    "keep_addr_on_down": 42, "force_forwarding": 59,
}  # fmt: skip

GLOBALS = (
    "net.ipv4.ip_forward",
    "net.ipv4.ip_default_ttl",
    "net.ipv4.ip_no_pmtu_disc",
    "net.ipv4.ip_nonlocal_bind",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_forward_use_pmtu",
    "net.ipv4.icmp_echo_ignore_all",
    "net.ipv4.icmp_echo_ignore_broadcasts",
    "net.ipv4.icmp_errors_use_inbound_ifaddr",
    "net.ipv4.icmp_ratelimit",
    "net.ipv4.icmp_ratemask",
    "net.ipv4.ping_group_range",
    "net.ipv4.fwmark_reflect",
    "net.ipv4.tcp_fwmark_accept",
    "net.ipv4.tcp_l3mdev_accept",
    "net.ipv4.udp_l3mdev_accept",
    "net.ipv4.tcp_ecn",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_abort_on_overflow",
    "net.ipv4.fib_multipath_hash_policy",
    "net.ipv4.fib_multipath_use_neigh",
    "net.ipv4.ipfrag_high_thresh",
    "net.ipv4.ipfrag_time",
    "net.ipv4.neigh.default.gc_thresh3",
    "net.ipv6.neigh.default.gc_thresh3",
    "net.ipv6.ip_nonlocal_bind",
    "net.ipv6.icmp.echo_ignore_all",
    "net.ipv6.icmp.echo_ignore_multicast",
    "net.ipv6.icmp.ratelimit",
    "net.ipv6.fwmark_reflect",
    "net.ipv6.bindv6only",
    "net.ipv6.ip6frag_high_thresh",
    "net.ipv6.route.max_size",
    "net.bridge.bridge-nf-call-iptables",
    "net.bridge.bridge-nf-call-ip6tables",
    "net.bridge.bridge-nf-call-arptables",
    "net.bridge.bridge-nf-filter-vlan-tagged",
    "net.bridge.bridge-nf-pass-vlan-input-dev",
    "net.netfilter.nf_conntrack_max",
    "net.netfilter.nf_conntrack_count",
    "net.netfilter.nf_conntrack_tcp_loose",
    "net.netfilter.nf_conntrack_tcp_be_liberal",
    "net.netfilter.nf_conntrack_checksum",
    "net.core.rmem_default",
    "net.core.rmem_max",
    "net.core.somaxconn",
)


def of_interface(name: str, af_spec: bytes, mtu: int) -> tuple[tuple[str, Mapping[str, str]], ...]:
    """The tables of IPv4 and IPv6 sysctls of one interface, from its IFLA_AF_SPEC: what stands before their
    names, and what they hold.

    IPv6's `mtu` is there where it is another than the interface's own: else it follows that
    (NETDEV_CHANGEMTU, net/ipv6/addrconf.c).
    """
    stem, of_family = name.replace(".", "/"), attributes(af_spec, 0)
    [array] = _OF_IPV6.of(of_family.get(AF_INET6, b""))
    ipv4, ipv6 = _ipv4(of_family.get(AF_INET, b"")), _values(6, array or b"", mtu)
    return (f"net.ipv4.conf.{stem}", ipv4), (f"net.ipv6.conf.{stem}", ipv6)


@lru_cache(maxsize=256)
def _ipv4(settings: bytes) -> Mapping[str, str]:
    return _values(4, attributes(settings, 0).get(INET_CONF, b""))


@lru_cache(maxsize=256)
def _values(version: int, array: bytes, mtu: int = 0) -> Mapping[str, str]:
    """The sysctls in a devconf array: those of most interfaces are alike, and the same table."""
    places = IPV4_CONF if version == 4 else IPV6_CONF
    values = struct.unpack_from(f"={len(array) // 4}i", array)
    found = {key: str(values[place]) for key, place in places.items() if place < len(values)}
    if found.get("mtu") == str(mtu):
        del found["mtu"]
    return found


def read_globals(held: dict[str, int] | None = None) -> dict[str, str]:
    """The namespace-wide sysctls, those of `all` and `default` among them.

    What this kernel does not have is left out. `held`: as `files.settings` takes it.

    Raises OSError when it could not be read for want of resources, or not at all.
    """
    values = read(_all(), held)
    if FORWARDING not in values:  # which every kernel has
        raise OSError(errno.ENOENT, "/proc/sys/net cannot be read")
    return values


@lru_cache(maxsize=1)
def _all() -> tuple[str, ...]:
    return (*GLOBALS, *_conf("ipv4", IPV4_CONF), *_conf("ipv6", IPV6_CONF))


def _conf(family: str, keys: Iterable[str]) -> list[str]:
    return [f"net.{family}.conf.{which}.{key}" for which in ("all", "default") for key in keys]


def read(names: Iterable[str], held: dict[str, int] | None = None) -> dict[str, str]:
    """The sysctls of these names that exist and can be read; white space inside a value becomes one space."""
    found: dict[str, str] = {}
    with files.settings(held) as value:
        for name in names:
            try:
                found[name] = _value(value(_path(name)))
            except ValueError:
                continue
            except OSError as error:
                if is_short(error):
                    raise
    return found


@lru_cache(maxsize=1024)
def _path(name: str) -> str:
    return "/proc/sys/" + name.replace(".", "\0").replace("/", ".").replace("\0", "/")


@lru_cache(maxsize=256)
def _value(content: bytes) -> str:
    return " ".join(content.decode("ascii", "replace").split())
