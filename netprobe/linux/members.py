"""The members of a matrix: of each namespace its interfaces and addresses alone: there may be hundreds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_interface

from netprobe.kernel.elsewhere import Place
from netprobe.model import Endpoint, InterfaceAddress, Link
from netprobe.model.matrix import Member, MemberAddress

from . import netns
from .netlink import Netlink
from .tables.links import list_links, read_addresses


def read_member(endpoint: Endpoint, handle: Place, version: int, group: str = "") -> Member:
    """The member that an endpoint is, with the addresses that it may be asked by: those of the interface or
    the one that was written behind its name, else all of global scope. Raises OSError, NotPermitted.
    """
    with netns.inside(handle), Netlink() as netlink:
        links, addresses = list_links(netlink), read_addresses(netlink)
    wanted = tuple(_wanted(endpoint, links, [each for each in addresses if each.version == version]))
    return Member(endpoint.endpoint, endpoint.namespace or "", wanted, group)


def _wanted(
    endpoint: Endpoint, links: Sequence[Link], addresses: Sequence[InterfaceAddress]
) -> Iterator[MemberAddress]:
    by_index = {link.index: link for link in links}
    for each in addresses:
        link = by_index.get(each.index)
        if link is None or each.scope != "global" or link.kind == "loopback":
            continue
        if endpoint.interface in (None, link.name) and endpoint.address in (None, each.address):
            network = str(ip_interface(f"{each.address}/{each.prefixlen}").network)
            yield MemberAddress(each.address, network, link.name, link.index, link.mac)
