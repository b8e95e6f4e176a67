"""What a map shows of an interface besides its `Link`: its alias, the ends of a tunnel, the mode of a bond.

Numbers are those of include/uapi/linux/{if_link,if_tunnel,if_bonding}.h; words are ip-link(8)'s.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from netprobe.linux.netlink import Netlink, Record, Request
from netprobe.model import Link
from netprobe.model.lookup import gathered
from netprobe.model.wiring import Layer

from .links import RTEXT_FILTER_SKIP_STATS, RTM_GETLINK, link_of
from .neighbours import read_vxlan_fdb

BOND_MODES = (
    "balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb",
)  # fmt: skip
_LOCAL = ("IFLA_GRE_LOCAL", "IFLA_IPTUN_LOCAL", "IFLA_VTI_LOCAL")
_REMOTE = (
    "IFLA_GRE_REMOTE", "IFLA_IPTUN_REMOTE", "IFLA_VTI_REMOTE", "IFLA_GENEVE_REMOTE", "IFLA_GENEVE_REMOTE6",
)  # fmt: skip
_KEY = ("IFLA_GRE_OKEY", "IFLA_VTI_OKEY", "IFLA_GENEVE_ID")
_ANY = ("0.0.0.0", "::")  # an end that is not fixed


def list_layers(netlink: Netlink) -> tuple[tuple[Link, ...], dict[int, Layer]]:
    """All interfaces in ifindex order, without what they have counted, and more of those that have more."""
    records = netlink.dump(Request(RTM_GETLINK, attributes=[("IFLA_EXT_MASK", RTEXT_FILTER_SKIP_STATS)]))
    links = tuple(sorted(map(link_of, records), key=lambda link: link.index))
    layers = {record["index"]: layer_of(record) for record in records}
    undirected = [link for link in links if link.vxlan is not None and link.vxlan.remote is None]
    for index, remotes in _remotes(undirected).items():
        layers[index] = replace(layers[index], remotes=remotes)
    return links, {index: layer for index, layer in layers.items() if layer != Layer()}


def _remotes(vxlans: Sequence[Link]) -> dict[int, tuple[str, ...]]:
    """Where VXLAN devices send that no far end was given to: what their forwarding entries say."""
    entries = read_vxlan_fdb(vxlans) if vxlans else ()
    found = gathered((each.index, each.remote) for each in entries if each.remote is not None)
    return {index: tuple(dict.fromkeys(remotes)) for index, remotes in found.items()}


def layer_of(record: Record) -> Layer:
    """The rest of one interface, from an RTM_NEWLINK message."""
    data = record.nest("IFLA_LINKINFO").nest("IFLA_INFO_DATA")
    number = data.get("IFLA_BOND_MODE")
    return Layer(
        alias=record.text("IFLA_IFALIAS"),
        local=_end(data, _LOCAL),
        remote=_end(data, _REMOTE),
        key=next((data.get(name) for name in _KEY if data.get(name)), None),
        mode=BOND_MODES[number] if number is not None and number < len(BOND_MODES) else None,
        table=data.get("IFLA_VRF_TABLE"),
    )


def _end(data: Record, names: tuple[str, ...]) -> str | None:
    """The address of one end of a tunnel, where it is fixed."""
    return next((data.get(name) for name in names if data.get(name, _ANY[0]) not in _ANY), None)
