"""Nobody has the address that was asked for - and one station of the segment, which could have it, has none.

Pure.
"""

from __future__ import annotations

from netprobe.model import Link, Namespace, Object, Stage, Stop

from . import fib, fixes, ipv6, prefix
from .drop import lost
from .view import Ground


def without_address(ground: Ground, asker: str, address: str, heard: list[tuple[str, Link]]) -> Stop | None:
    """The only station among those that `heard` the question which bears no address of that family at all;
    None when not just one.

    A bridge often has none on purpose. It counts when it forwards for the segment: a rule of its namespace
    translates the network of the address that is asked for, or IPv6 was switched off on it.
    """
    version = prefix.version(address)
    bare = [
        (namespace, link)
        for namespace, link in ((ground.namespace(name), link) for name, link in heard if name != asker)
        if not _used(namespace, link, version)
        and (link.kind != "bridge" or _off(namespace, link, version) or _translates(namespace, address))
    ]
    if len(bare) != 1:
        return None
    namespace, link = bare[0]
    if version == 6 and (off := ipv6.disabled(namespace, [link])) is not None:
        return off
    text = (
        f"no station has {address}, and {namespace.name}/{link.name} is the one station there that has no"
        f" IPv{version} address"
    )
    return lost("addr-missing", namespace.name, link, Stage.ARP, text,
        object=Object("address", f"dev {link.name}", text),
                fix=(fixes.with_address(link, address),))  # fmt: skip


def _used(namespace: Namespace, link: Link, version: int) -> bool:
    """Whether an interface has addresses of a family, or routes by it, which do without (a router's end
    towards a single host).
    """
    addressed = any(
        prefix.version(a.address) == version and a.scope == "global" for a in namespace.addresses_of(link)
    )
    return addressed or any(
        leg.index == link.index and prefix.version(to) == version and not prefix.is_link_local(to)
        for to, route in (
            (route.dst.partition("/")[0], route) for route in namespace.routes if route.table == fib.MAIN
        )
        for leg in route.nexthops
    )


def _off(namespace: Namespace, link: Link, version: int) -> bool:
    return version == 6 and ipv6.disabled(namespace, [link]) is not None


def _translates(namespace: Namespace, address: str) -> bool:
    """Whether a rule gives another source to what comes from the network of the address: such a host is its
    gateway.
    """
    for table in namespace.ruleset.tables if namespace.ruleset else ():
        for rule in (rule for chain in table.chains for rule in chain.rules):
            networks = [s.right.text for s in rule.statements if s.left is not None and s.right is not None
                        and s.left.text in ("ip saddr", "ip6 saddr") and s.op in ("", "==",
                        "in")]  # fmt: skip
            if any(s.kind in ("masquerade", "snat") for s in rule.statements) and any(
                _holds(n, address) for n in networks
            ):
                return True
    return False


def _holds(network: str, address: str) -> bool:
    try:
        return prefix.contains(network, address) and prefix.length(network) > 0
    except ValueError:
        return False
