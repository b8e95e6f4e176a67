"""Who can ask whom by ARP: the interfaces of a topology that one frame to all reaches, and the addresses that each believes on its wire."""

from __future__ import annotations

from ipaddress import IPv4Interface
from itertools import permutations

from mutations.flows import Flow

from netprobe.lab.topology import Interface, LabMacvlan, LabVxlan, Topology, Veth

_Key = tuple[str, str]
"""An interface, by its namespace and name; a tunnel, by "vxlan" and its number."""


def questions(topology: Topology) -> tuple[Flow, ...]:
    """Each interface with an IPv4 address asks for those of the others on its segment that lie in its network, or it in theirs.

    A macvlan and its parent do not hear each other, and one namespace does not ask itself.
    """
    groups = _segments(topology)
    ends = [end for link in topology.links for end in ((link.near, link.far) if isinstance(link, Veth) else (link.near,))]
    parents = {_key(link.near): (link.parent_namespace, link.parent) for link in topology.links if isinstance(link, LabMacvlan)}
    known = [(end, IPv4Interface(text)) for end in ends for text in end.addresses[:1] if ":" not in text]
    return tuple(
        Flow(one.namespace, str(theirs.ip), "arp", device=one.name)
        for (one, own), (other, theirs) in permutations(known, 2)
        if one.namespace != other.namespace and groups[_key(one)] == groups[_key(other)]
        if theirs.ip in own.network or own.ip in theirs.network
        if parents.get(_key(one)) != _key(other) and parents.get(_key(other)) != _key(one)
    )


def _segments(topology: Topology) -> dict[_Key, _Key]:
    """The name of each interface's segment: one of its interfaces."""
    groups: dict[_Key, _Key] = {}

    def join(one: _Key, other: _Key) -> None:
        old, new = groups.setdefault(one, one), groups.setdefault(other, other)
        groups.update({key: new for key, group in groups.items() if group == old})

    for link in topology.links:
        ends = (link.near, link.far) if isinstance(link, Veth) else (link.near,)
        join(_key(ends[0]), _key(ends[-1]))
        for end in ends:
            if end.master:
                join(_key(end), (end.namespace, end.master))
        if isinstance(link, LabMacvlan):
            join(_key(link.near), (link.parent_namespace, link.parent))
        elif isinstance(link, LabVxlan):
            join(_key(link.near), ("vxlan", str(link.vni)))
    return groups


def _key(end: Interface) -> _Key:
    return end.namespace, end.name
