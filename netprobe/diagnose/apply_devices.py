"""Interfaces made and taken away, carried out on a snapshot: ip-link(8).

Kernel: net/core/rtnetlink.c (rtnl_newlink, rtnl_dellink), drivers/net/veth.c (veth_dellink: both ends go),
net/8021q/vlan.c and drivers/net/macvlan.c (what stands on an interface goes with it).
"""

from __future__ import annotations

from msgspec.structs import replace

from netprobe.model import Bridge, FdbEntry, Link, LinkRef, Snapshot, Vxlan
from netprobe.model.lookup import all_but, column, those_in, those_not_in, where
from netprobe.predict import prefix
from netprobe.predict.vxlan import OVERHEAD

from .apply_bridges import NO_MAC
from .apply_links import emptied, tied, with_defaults
from .apply_state import cable_end, settled, standing_on
from .order import Order, must, refuse_if


def delete_link(order: Order) -> Snapshot:
    """`ip link del [dev] IFACE`: with the other end of its cable, and with what stands on it."""
    [name] = those_not_in(order.words, ("dev",))
    link = order.link(name)
    refuse_if(link.kind in ("loopback", ""), name)  # EOPNOTSUPP
    return settled(order.snapshot, _without(order, link))


def _without(order: Order, link: Link) -> Snapshot:
    gone = [*standing_on(order.snapshot, order.name, link), *cable_end(order.snapshot, order.name, link)]
    free = tuple(
        replace(p, master=None, port=None) if p.master == link.index else p for p in order.namespace.links
    )
    after = emptied(order.with_fields(links=free), link).snapshot
    for name, index in gone:
        for other in where(after[name].links, index=index):  # it may have gone along already
            after = _without(replace(order, snapshot=after, name=name), other)
    return after


def add_link(order: Order) -> Snapshot:
    """`ip link add [name] IFACE [link LOWER] [address MAC] type …`: a bridge, a dummy, a cable, a VXLAN
    device, a macvlan or one for a VLAN; switched off, with the settings that its namespace gives to new
    interfaces.
    """
    at = order.words.index("type")
    name, *more = those_not_in(order.words[:at], ("name", "dev"))
    given = dict(zip(more[::2], more[1::2], strict=True))
    refuse_if(order.namespace.link_named(name), name)  # EEXIST
    refuse_if(given.keys() - {"address", "link"}, name)
    index = 1 + max(column(order.namespace.links, "index"))
    kind, *more = order.words[at + 1 :]
    own = given.get("address") or _MACS.get(kind) or _own_mac(order.name, name)
    bare = Link(index, name, kind, own, up=False, carrier=False)
    if "link" in given:
        bare = _standing(bare, order.link(given["link"]))
    made, entries = _KINDS[kind](order, bare, more)
    order = order.with_fields(links=(*order.namespace.links, made), fdb=(*order.namespace.fdb, *entries))
    order = order.with_fields(sysctls=with_defaults(order, name))
    if kind == "veth":
        return _connected(order, made, more[2], more[4])
    return _found(order, made).snapshot if kind == "macvlan" else order.snapshot


Made = tuple[Link, tuple[FdbEntry, ...]]


def _bridge(_: Order, bare: Link, words: list[str]) -> Made:
    """Its MAC is one of chance until its first port gives it another."""
    refuse_if(words, bare.name)
    return replace(bare, bridge=Bridge()), ()


def _dummy(_: Order, bare: Link, words: list[str]) -> Made:
    refuse_if(words, bare.name)
    return replace(bare, arp=False), ()


def _veth(_: Order, bare: Link, words: list[str]) -> Made:
    """`type veth peer name END netns NAME`: the other end is made in that namespace by `add_link`."""
    refuse_if((words[:2], words[3:4]) != (["peer", "name"], ["netns"]) or len(words) != _CABLE, bare.name)
    return bare, ()


def _standing(bare: Link, lower: Link) -> Link:
    """It stands on another interface of its namespace, and has its MTU (macvlan_common_newlink)."""
    return replace(bare, link=LinkRef(lower.index), mtu=lower.mtu)


def _macvlan(_: Order, bare: Link, words: list[str]) -> Made:
    """`type macvlan [mode MODE]`: vepa where none is said."""
    key, mode = words or ("mode", "vepa")
    refuse_if(bare.link is None or key != "mode" or mode not in _MODES, bare.name)
    return replace(bare, macvlan_mode=mode), ()


def _vlan(order: Order, bare: Link, words: list[str]) -> Made:
    """`type vlan id N`: one of each number on an interface (vlan_check_real_dev)."""
    key, number = words
    refuse_if(bare.link is None or key != "id", bare.name)
    refuse_if(where(order.namespace.links, link=bare.link, vlan_id=int(number)), number)  # EEXIST
    return replace(bare, vlan_id=int(number)), ()


def _found(order: Order, macvlan: Link) -> Order:
    """With a macvlan that those who ask for them hear of."""
    lower = must(macvlan.link, macvlan.name).index
    known = where(order.snapshot.macvlans, namespace=order.name, index=lower)
    more = (replace(each, names=(*those_not_in(each.names, (order.name,)), order.name)) for each in known)
    macvlans = (*all_but(order.snapshot.macvlans, known), *more)
    return replace(order, snapshot=replace(order.snapshot, macvlans=macvlans))


def _own_mac(*names: str) -> str:
    """A MAC that no other interface has."""
    from hashlib import sha256  # and OpenSSL with it, where few make a device

    return "02:" + sha256(" ".join(names).encode()).digest()[:5].hex(":")


def _connected(order: Order, near: Link, end: str, name: str) -> Snapshot:
    """The snapshot with the other end of a new cable, in its namespace."""
    there = replace(order, name=name)
    refuse_if(there.namespace.link_named(end), end)  # EEXIST
    index = 1 + max(column(there.namespace.links, "index"), default=0)
    far = Link(index, end, "veth", _own_mac(name, end), up=False, carrier=False)
    there = there.with_fields(links=(*there.namespace.links, far))
    there = there.with_fields(sysctls=with_defaults(there, end))
    return tied(there, far, (order.name, near))


def _vxlan(order: Order, bare: Link, words: list[str]) -> Made:
    """`type vxlan id VNI …`: of a remote it makes its default entry (vxlan_dev_create); the MTU is that of
    what it sends by, less its headers.
    """
    told = those_not_in(words, (_MUTE, *_FLAGS))
    said = dict(zip(told[::2], told[1::2], strict=True))
    below = order.link(said.pop("dev")) if "dev" in said else None
    outer = OVERHEAD[prefix.version(said.get("remote", said.get("local", "")))]
    lower, mtu = (below.index, below.mtu - outer) if below is not None else (0, bare.mtu)
    vxlan = Vxlan(
        int(said.pop("id")),
        local=said.pop("local", None),
        remote=said.pop("remote", None),
        port=int(said.pop("dstport", _PORT)),
        lower=lower,
        ttl=int(said.pop("ttl", 0)),
        learning=_MUTE not in words,
        flags=those_in(words, _FLAGS),
    )
    refuse_if(said, bare.name)
    entry = FdbEntry(bare.index, NO_MAC, state="permanent", remote=vxlan.remote, via=vxlan.lower or None)
    made = replace(bare, mtu=mtu, vxlan=vxlan)
    return made, (entry,) if vxlan.remote is not None else ()


_MODES = ("private", "vepa", "bridge", "passthru", "source")
_ANY_MAC = "02:00:00:00:00:01"
_MACS = {"bridge": NO_MAC, "dummy": _ANY_MAC, "vxlan": _ANY_MAC}
_MUTE = "nolearning"
_FLAGS = ("proxy", "rsc", "l2miss", "l3miss", "udp6zerocsumtx", "udp6zerocsumrx")
_PORT = 8472  # drivers/net/vxlan/vxlan_core.c, vxlan_port: what Linux takes where none is said
_CABLE = 5  # words behind `type veth`: peer name END netns NAME
_KINDS = {
    "bridge": _bridge,
    "dummy": _dummy,
    "macvlan": _macvlan,
    "veth": _veth,
    "vlan": _vlan,
    "vxlan": _vxlan,
}
