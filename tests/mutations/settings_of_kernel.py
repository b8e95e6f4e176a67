"""The kernel settings that are changed, some of which decide about packets and many of which should not, and their sensible values."""

from __future__ import annotations

from pathlib import Path

_BIT = ("0", "1")

VALUES: dict[str, tuple[str, ...]] = {
    "net.ipv4.ip_forward": _BIT,
    "net.ipv4.conf.*.forwarding": _BIT,
    "net.ipv4.conf.*.rp_filter": ("0", "1", "2"),
    "net.ipv4.conf.*.arp_ignore": ("0", "1", "2", "3", "8"),
    "net.ipv4.conf.*.arp_announce": ("0", "1", "2"),
    "net.ipv4.conf.*.arp_filter": _BIT,
    "net.ipv4.conf.*.accept_local": _BIT,
    "net.ipv4.conf.*.route_localnet": _BIT,
    "net.ipv4.conf.*.proxy_arp": _BIT,
    "net.ipv4.conf.*.proxy_arp_pvlan": _BIT,
    "net.ipv4.conf.*.src_valid_mark": _BIT,
    "net.ipv4.conf.*.send_redirects": _BIT,
    "net.ipv4.conf.*.accept_redirects": _BIT,
    "net.ipv4.conf.*.drop_unicast_in_l2_multicast": _BIT,
    "net.ipv4.conf.*.ignore_routes_with_linkdown": _BIT,
    "net.ipv4.conf.*.disable_policy": _BIT,
    "net.ipv4.neigh.*.mcast_solicit": ("0", "3"),
    "net.ipv4.neigh.*.unres_qlen_bytes": ("0", "212992"),
    "net.ipv4.ip_default_ttl": ("1", "2", "64", "255"),
    "net.ipv4.icmp_echo_ignore_all": _BIT,
    "net.ipv4.icmp_echo_ignore_broadcasts": _BIT,
    "net.ipv4.ip_nonlocal_bind": _BIT,
    "net.ipv4.ip_no_pmtu_disc": ("0", "1", "2", "3"),
    "net.ipv4.ip_forward_use_pmtu": _BIT,
    "net.ipv4.fib_multipath_hash_policy": _BIT,
    "net.ipv4.fwmark_reflect": _BIT,
    "net.ipv4.tcp_timestamps": ("0", "1", "2"),
    "net.ipv4.tcp_syncookies": ("0", "1", "2"),
    "net.ipv4.tcp_ecn": ("0", "1", "2"),
    "net.ipv4.tcp_max_syn_backlog": ("1", "128"),
    "net.ipv4.tcp_fwmark_accept": _BIT,
    "net.ipv4.udp_l3mdev_accept": _BIT,
    "net.ipv4.ipfrag_high_thresh": ("0", "4194304"),
    "net.ipv6.conf.*.forwarding": _BIT,
    "net.ipv6.conf.*.disable_ipv6": _BIT,
    "net.ipv6.conf.*.hop_limit": ("1", "2", "64"),
    "net.ipv6.conf.*.proxy_ndp": _BIT,
    "net.ipv6.conf.*.accept_ra": ("0", "1", "2"),
    "net.ipv6.conf.*.accept_dad": _BIT,
    "net.ipv6.conf.*.mtu": ("1280", "1400", "1500"),
    "net.ipv6.conf.*.drop_unicast_in_l2_multicast": _BIT,
    "net.ipv6.neigh.*.mcast_solicit": ("0", "3"),
    "net.ipv6.icmp.echo_ignore_all": _BIT,
    "net.ipv6.bindv6only": _BIT,
    "net.ipv6.ip_nonlocal_bind": _BIT,
    "net.netfilter.nf_conntrack_tcp_be_liberal": _BIT,
    "net.netfilter.nf_conntrack_tcp_loose": _BIT,
    "net.netfilter.nf_conntrack_checksum": _BIT,
    "net.netfilter.nf_conntrack_udp_timeout": ("1", "30"),
    "net.netfilter.nf_conntrack_icmp_timeout": ("1", "30"),
    "net.bridge.bridge-nf-call-iptables": _BIT,
    "net.bridge.bridge-nf-call-ip6tables": _BIT,
    "net.bridge.bridge-nf-call-arptables": _BIT,
    "net.core.somaxconn": ("1", "4096"),
}

ALIASES = {
    "net.ipv4.ip_forward": "net.ipv4.conf.all.forwarding",
    "net.ipv4.conf.all.forwarding": "net.ipv4.ip_forward",
}
"""Two names of one setting, Documentation/networking/ip-sysctl.rst."""


def names() -> list[str]:
    """All that there are in the namespace of this thread, with slashes where an interface's name has dots in it."""
    return [name for pattern in VALUES for name in _names(pattern)]


def pattern_of(name: str) -> str:
    """The entry of VALUES that a name belongs to."""
    return next(pattern for pattern in VALUES if _fits(name, pattern))


def _names(pattern: str) -> list[str]:
    before, star, after = pattern.partition("*")
    folder = Path("/proc/sys", before.strip(".").replace(".", "/"))
    if not star:
        return [pattern] if folder.exists() else []
    found = sorted(entry.parent.name for entry in folder.glob(f"*/{after.strip('.')}"))
    return [_spelt(before, interface, after) for interface in found]


def _spelt(before: str, interface: str, after: str) -> str:
    return f"{before}{interface}{after}" if "." not in interface else f"{before}\0{after}".replace(".", "/").replace("\0", interface)


def _fits(name: str, pattern: str) -> bool:
    before, star, after = pattern.partition("*")
    dotted = name if "/" not in name else name.replace("/", ".")
    return dotted == pattern or bool(star and dotted.startswith(before) and dotted.endswith(after))
