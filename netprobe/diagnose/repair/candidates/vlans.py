"""Ports of bridges that filter VLANs, and interfaces for a VLAN, that are in another one than those with whom
they share a network; ports that tag otherwise than the other end of their cable expects it. Pure.

See: bridge(8), vlan; ip-link(8), type vlan; net/bridge/br_vlan.c; net/8021q/vlan.c.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain

from msgspec import Struct

from netprobe.diagnose.repair.repair import Loss, Merit, Repair
from netprobe.diagnose.repair.segment import Station, all_addresses, is_network
from netprobe.model import BridgePort, Command, Link, LinkRef, Namespace, Object, PortVlan, Stage, Stop
from netprobe.model.link import name_of
from netprobe.model.lookup import but, column, find, sole, where
from netprobe.predict import fixes, prefix
from netprobe.predict.drop import lost

from .remade import again


class _Member(Struct, frozen=True):
    """A port without a tag, a bridge's own side, or an interface for a VLAN: the VLAN of its frames, and the
    networks of those behind it.
    """

    here: Namespace
    link: Link
    vlan: int | None
    networks: frozenset[str]

    @property
    def is_a_port(self) -> bool:
        """Whether it is a port, and no interface for a VLAN."""
        return self.link.vlan_id is None

    def is_of(self, vlan: int | None) -> bool:
        """Whether its frames without a tag, as it takes them and as they leave, are of a VLAN."""
        own = _vlans(self.link) if self.is_a_port else (_untagged(self.vlan),)
        return _untagged(vlan) in own


def candidates(loss: Loss) -> Iterator[Repair]:
    """Each member that is in another VLAN than most with whom it shares a network, where that one is used
    between bridges at least as the other; and each port that the other end of its cable contradicts.
    """
    cables = [*_cables(loss)]
    members = [*_members(loss, cables)]
    between: Counter[int | None] = Counter(
        each.id for _, port, _ in cables for each in where(_vlans(port), untagged=False)
    )
    for member in members:
        near = _near(members, member)
        for vlan, times in near.most_common(1):
            agreeing = times + between[vlan] - between[member.vlan]
            most = vlan == member.vlan or times > near[member.vlan]
            if most and agreeing > 0 and not member.is_of(vlan):
                yield from _moved(loss, member, vlan, agreeing)
    for here, port, (there, far) in cables:
        for wanted in _expected(loss.snapshot[there], far):
            yield from _tagging(loss, here, port, there, wanted)


def _cables(loss: Loss) -> Iterator[tuple[Namespace, Link, Station]]:
    """The ports of bridges that filter VLANs, with the other ends of their cables, where these were read."""
    for here in loss.snapshot.namespaces.values():
        for port, far in loss.known_ends(here.name, filter(_filters, here.links)):
            yield here, port, far


def _filters(link: Link) -> bool:
    return link.port is not None and link.port.vlans is not None


def _untagged(vlan: int | None) -> PortVlan:
    return PortVlan(vlan or 0, pvid=True, untagged=True)


def _vlans(link: Link) -> tuple[PortVlan, ...]:
    """The VLANs of a port, or of a bridge's own side."""
    return (link.bridge or link.port or BridgePort()).vlans or ()


def _members(loss: Loss, cables: list[tuple[Namespace, Link, Station]]) -> Iterator[_Member]:
    for here in loss.snapshot.namespaces.values():
        for link in but(here.links, vlan_id=None):
            yield _Member(here, link, link.vlan_id, _networks(here, link))
        for bridge in where(here.links, filters_vlans=True):
            yield _Member(here, bridge, _without_a_tag(bridge), _networks(here, bridge))
    for here, port, (there, far) in cables:
        yield _Member(here, port, _without_a_tag(port), _networks(loss.snapshot[there], far))


def _without_a_tag(link: Link) -> int | None:
    """The VLAN of what comes in without a tag; the only one that there is, where that is none."""
    own = find(_vlans(link), pvid=True) or next(iter(sole(_vlans(link))), None)
    return None if own is None else own.id


def _networks(here: Namespace, link: Link) -> frozenset[str]:
    return frozenset(map(prefix.network_of, filter(is_network, all_addresses(here, link))))


def _near(members: list[_Member], member: _Member) -> Counter[int | None]:
    """The VLANs of the others with whom a member shares a network."""
    others = (each for each in members if each is not member and each.networks & member.networks)
    return Counter(column(filter(_is_in_one, others), "vlan"))


def _is_in_one(member: _Member) -> bool:
    return member.vlan is not None


def _moved(loss: Loss, member: _Member, vlan: int | None, agreeing: int) -> Iterator[Repair]:
    """A member put into the VLAN of the others."""
    here, link = member.here, member.link
    text = (
        f"{link.name} of {here.name} is {_IS[member.is_a_port]} of VLAN {vlan}, as others of its network are"
    )
    how = _port if member.is_a_port else _interface
    fix = how(member, vlan or 0)
    yield from loss.repair(_stop(here, link, text, fix), Merit.RESTORES, agreeing=agreeing)


_IS = {True: "without a tag not", False: "not"}


def _stop(here: Namespace, link: Link, text: str, fix: fixes.Fix) -> Stop:
    kind = "bridge-port" if link.vlan_id is None else "link"
    thing = Object(kind, link.name, f"{link.name} VLAN")
    return lost("port-wrong-bridge", here.name, link, Stage.BRIDGE, text, object=thing, fix=fix)


def _port(member: _Member, vlan: int) -> fixes.Fix:
    """A port for frames without a tag, of this VLAN alone."""
    others = but(_vlans(member.link), id=vlan)
    dels = (_vlan("del", member.link, each.id) for each in others if each.pvid or each.untagged)
    return (*dels, _vlan("add", member.link, vlan, "pvid", "untagged"))


def _vlan(verb: str, port: Link, vlan: int, *flags: str) -> Command:
    itself = ("self",) if port.bridge is not None else ()
    return Command.of("bridge", "vlan", verb, "dev", port.name, "vid", str(vlan), *flags, *itself)


def _interface(member: _Member, vlan: int) -> fixes.Fix:
    """An interface made again for this VLAN, which cannot be set on one that is there; and the one that has
    that, for the other.
    """
    here, link = member.here, member.link
    taken = where(here.links, link=link.link, vlan_id=vlan)
    pairs = ((link, vlan), *((each, member.vlan) for each in taken))
    lower = name_of(here.link(link.link.index) if link.link is not None else None, "")
    made = [
        [*again(here, each, ("link", lower, "type", "vlan", "id", str(number)))] for each, number in pairs
    ]
    return (*(each[0] for each in made), *chain.from_iterable(each[1:] for each in made))


def _expected(there: Namespace, far: Link) -> Iterator[PortVlan]:
    """What the other end of a cable takes a port's VLANs for: the same as it has, where it is a port of such
    a bridge itself; with a tag, where interfaces for them stand on it.
    """
    yield from _vlans(far)
    upon = where(there.links, link=LinkRef(far.index))
    yield from map(PortVlan, filter(None, column(upon, "vlan_id")))


def _tagging(loss: Loss, here: Namespace, port: Link, there: str, wanted: PortVlan) -> Iterator[Repair]:
    """A VLAN of a port as the other end has it, where most of the port's are so."""
    others = but(_vlans(port), id=wanted.id)
    alike = len(where(others, untagged=wanted.untagged)) - len(but(others, untagged=wanted.untagged))
    if wanted in _vlans(port) or alike < 1:
        return
    flags = [word for word in ("pvid", "untagged") if getattr(wanted, word)]
    text = f"{port.name} of {here.name} has VLAN {wanted.id} otherwise than {there}, at the other end"
    fix = (_vlan("add", port, wanted.id, *flags),)
    yield from loss.repair(_stop(here, port, text, fix), Merit.RESTORES, agreeing=alike)
