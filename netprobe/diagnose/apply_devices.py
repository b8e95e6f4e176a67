"""Interfaces made and taken away, carried out on a snapshot: ip-link(8).

Kernel: net/core/rtnetlink.c (rtnl_newlink, rtnl_dellink), drivers/net/veth.c (veth_dellink: both ends go),
net/8021q/vlan.c and drivers/net/macvlan.c (what stands on an interface goes with it).
"""

from __future__ import annotations

from msgspec.structs import replace

from netprobe.model import Bridge, FdbEntry, Link, Snapshot, Vxlan
from netprobe.predict import prefix
from netprobe.predict.vxlan import OVERHEAD

from .apply_links import NO_MAC, emptied, with_defaults
from .apply_state import far_end, settled, standing_on
from .order import Order


def delete_link(order: Order) -> Snapshot:
    """`ip link del [dev] IFACE`: with the other end of its cable, and with what stands on it."""
    names = [word for word in order.words if word != "dev"]
    link = order.link(names[0])
    if link.kind in ("loopback", "") or len(names) > 1:
        raise KeyError(link.name)  # EOPNOTSUPP
    return settled(order.snapshot, _without(order, link))


def _without(order: Order, link: Link) -> Snapshot:
    above = tuple(standing_on(order.snapshot, order.name, link))
    far = far_end(order.snapshot, order.name, link) if link.kind == "veth" else None
    free = tuple(
        replace(p, master=None, port=None) if p.master == link.index else p for p in order.namespace.links
    )
    after = emptied(order.with_fields(links=free), link).snapshot
    for name, index in (*above, *([(far[0], far[1].index)] if far is not None else ())):
        other = after[name].link(index)
        if other is not None:
            after = _without(replace(order, snapshot=after, name=name), other)
    return after


def add_link(order: Order) -> Snapshot:
    """`ip link add [link LOWER] [name] IFACE [address MAC] type …`: a bridge, a dummy or a VXLAN device,
    switched off, with the settings that its namespace gives to new interfaces.
    """
    at = order.words.index("type")
    kind, more = order.words[at + 1], order.words[at + 2 :]
    words = [word for word in order.words[:at] if word not in ("name", "dev")]
    lower = order.link(words[1]) if words[0] == "link" else None
    name, *mac = words[2:] if lower is not None else words
    if order.namespace.link_named(name) is not None or mac[:1] not in ([], ["address"]):
        raise KeyError(name)  # EEXIST, or a word that is not known
    index = 1 + max(link.index for link in order.namespace.links)
    bare = Link(index, name, kind, mac[1] if mac else "", up=False)
    made, entries = _KINDS[kind](order, bare, lower, more)
    order = order.with_fields(links=(*order.namespace.links, made), fdb=(*order.namespace.fdb, *entries))
    return order.with_fields(sysctls=with_defaults(order, name)).snapshot


Words = tuple[str, ...]
Made = tuple[Link, tuple[FdbEntry, ...]]


def _alone(_: Order, bare: Link, lower: Link | None, words: Words) -> Made:
    """A bridge, which has a MAC of chance until its first port gives it another, or a dummy."""
    if lower is not None or words:
        raise KeyError(bare.name)
    if bare.kind == "bridge":
        return replace(bare, mac=bare.mac or NO_MAC, carrier=False, bridge=Bridge()), ()
    return replace(bare, mac=bare.mac or "02:00:00:00:00:01", carrier=False, arp=False), ()


def _vxlan(order: Order, bare: Link, _: Link | None, words: Words) -> Made:
    """`type vxlan id VNI …`: of a remote it makes its default entry (vxlan_dev_create); the MTU is that of
    what it sends by, less its headers.
    """
    told = [word for word in words if word not in _SWITCHES]
    said = dict(zip(told[::2], told[1::2], strict=True))
    below = order.link(said["dev"]) if "dev" in said else None
    outer = OVERHEAD[prefix.version(said.get("remote", said.get("local", "")))]
    vxlan = Vxlan(
        int(said.pop("id")),
        local=said.pop("local", None),
        remote=said.pop("remote", None),
        port=int(said.pop("dstport", _PORT)),
        lower=below.index if below is not None else 0,
        ttl=int(said.pop("ttl", 0)),
        learning="nolearning" not in words,
        flags=tuple(word for word in words if word in _SWITCHES and word != "nolearning"),
    )
    if {*said} - {"dev"}:
        raise KeyError(bare.name)
    entry = FdbEntry(bare.index, NO_MAC, state="permanent", remote=vxlan.remote)
    mtu = below.mtu - outer if below is not None else bare.mtu
    made = replace(bare, mac=bare.mac or "02:00:00:00:00:01", carrier=False, mtu=mtu, vxlan=vxlan)
    return made, (entry,) if vxlan.remote is not None else ()


_SWITCHES = ("nolearning", "proxy", "rsc", "l2miss", "l3miss")
_PORT = 8472  # drivers/net/vxlan/vxlan_core.c, vxlan_port: what Linux takes where none is said
_KINDS = {"bridge": _alone, "dummy": _alone, "vxlan": _vxlan}
