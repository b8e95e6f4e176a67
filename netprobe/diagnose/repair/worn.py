"""What took along that which is missing, and is there again: a cable that was switched off for a moment, an
address of IPv4 in the place of another one. What led by it went then, and nobody has given it back. Pure.

The kernel counts how often an interface has lost its carrier: a cable once when it is made, and then at both
ends whenever one of them is switched off, as it must be for a new name. Routes and addresses of IPv6 go with
that (fib_disable_ip, addrconf_ifdown). Of hardware nothing goes with a lost carrier, so its count tells
nothing; of a bridge it is its ports'. An address of IPv4 takes the routes along that lead by its network
(fib_del_ifaddr), and those beside know it for a while.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain, filterfalse, pairwise
from operator import methodcaller

from msgspec.structs import replace

from netprobe.model import Command, InterfaceAddress, Link, Namespace, Object, Snapshot, Stop
from netprobe.model.command import words_of
from netprobe.model.lookup import but, column, has, holding, not_among, sole, those_not_in, where
from netprobe.predict import prefix

from . import numbered
from .segment import proxy_key

_MADE = 1  # that many carriers a cable has lost when it is new
_GOES = {4: {"no-route"}, 6: {"no-route", "addr-missing"}}  # the ends of a walk that lacks what went


def worn(namespace: Namespace) -> tuple[Link, ...]:
    """The cables that have been off since they were made, and by which nothing leads that somebody wrote."""
    return tuple(filterfalse(partial(is_whole, namespace), been_off(namespace)))


def been_off(namespace: Namespace) -> tuple[Link, ...]:
    """The cables that have been off since they were made, and are no ports."""
    cables = where(namespace.links_of("veth"), up=True, master=None)
    return tuple(link for link in cables if link.downs > _MADE)


def is_whole(namespace: Namespace, link: Link) -> bool:
    """Whether an interface has a route that somebody wrote, or an address of IPv6."""
    routes = where(namespace.routes_by(link), is_written=True)
    return bool(routes) or has(namespace.addresses_of(link, 6), scope="global")


def of_worn(snapshot: Snapshot, stop: Stop, version: int) -> Stop:
    """The end of a walk that lacks what went with a cable's life, as an end of that cable."""
    here = snapshot.at(stop.place.namespace)
    known = worn(here) if stop.code in _GOES[version] else ()
    given = stop.thing.kind in words_of(where(stop.commands, blanks=()))  # where it belongs is known
    only = () if given else sole(known)
    for link in (concerned(here, known, stop.commands) or only)[:1]:
        been = f"{link.name} of {here.name} was switched off since it was made, or its other end was"
        thing = Object("link", link.name, f"{link.name} has lost its carrier {link.downs} times")
        return replace(stop, object=thing, proof=(*stop.proof, f"{been}: routes by it went then"))
    return stop


def of_another_name(snapshot: Snapshot, stop: Stop) -> Stop:
    """The end of a walk that lacks a route by a tunnel as an end of that tunnel, where the same one has
    another name wherever else it ends: what was to lead by it was given for that name, or went with it.
    """
    here = snapshot.at(stop.place.namespace)
    links = where(here.links, kind="vxlan") if stop.code == "no-route" else ()
    for link in concerned(here, links, stop.commands)[:1]:
        others = column(but(snapshot.namespaces.values(), name=here.name), "links")
        ends = filter(partial(_is_same_tunnel, link), chain.from_iterable(others))
        for name in those_not_in(sole({*column(ends, "name")}), (link.name,)):
            told = f"{link.name} of {here.name} is {name} where the same tunnel ends elsewhere"
            return replace(stop, object=Object("link", link.name, told), proof=(*stop.proof, told))
    return stop


def _is_same_tunnel(one: Link, other: Link) -> bool:
    """Whether two devices are ends of one tunnel."""
    both = [*filter(None, (one.vxlan, other.vxlan))]
    return len(both) == 2 and both[0].network == both[1].network


def of_another_address(snapshot: Snapshot, stop: Stop) -> Stop:
    """The end of a walk that lacks a route by an interface which had another address not long ago, as an end
    of the address that it has: those beside have found the other one there, a program listens on it, or its
    number in IPv6 tells of it, and nobody has it.
    """
    here = snapshot.at(stop.place.namespace)
    links = where(here.outward, up=True) if stop.code == "no-route" else ()
    for link in concerned(here, links, stop.commands)[:1]:
        own = where(here.addresses_of(link, 4), scope="global")
        led = where(here.routes_by(link), is_written=True, version=4)
        known = (
            _found_at(snapshot, here, link),
            _listened_on(snapshot, here, own),
            _due(snapshot, here, link),
        )
        for told in chain.from_iterable(known) if len(own) == 1 and not led else ():
            named, proof = f"{own[0].written} dev {link.name}", f"{told}: its routes went with it"
            return replace(stop, object=Object("address", named, named), proof=(*stop.proof, proof))
    return stop


def _listened_on(snapshot: Snapshot, here: Namespace, own: tuple[InterfaceAddress, ...]) -> Iterator[str]:
    """That programs listen on another address of the network of an interface, which nobody has: it was there
    when they began (inet_can_nonlocal_bind).
    """
    programs = () if "sockets" in here.unread else here.programs
    heard = not_among(programs, address={*_owned(snapshot), *_ANY})
    networks = map(prefix.network_of, own)
    near = filter(partial(prefix.within, [*networks]), column(heard, "address"))
    for old in dict.fromkeys(near):
        yield f"a program of {here.name} listens on {old}, which nobody has"


_ANY = ("", "*", "::", "0.0.0.0")


def _due(snapshot: Snapshot, here: Namespace, link: Link) -> Iterator[str]:
    """That the number of an interface in IPv6 tells of another address than it has, as those of all others in
    sight do of theirs.
    """
    for old in filter(None, (numbered.due(snapshot, here, link, _owned(snapshot)),)):
        yield f"{link.name} of {here.name} would be {old} by its number in IPv6, as all others are numbered"


def _owned(snapshot: Snapshot) -> set[str]:
    """The addresses that somebody has."""
    spaces = snapshot.namespaces.values()
    owned = chain.from_iterable(column(spaces, "addresses"))
    return {*column(owned, "address")}


def _found_at(snapshot: Snapshot, here: Namespace, link: Link) -> Iterator[str]:
    """Who has heard of an address that nobody has at the MAC of an interface; at a proxy's it tells
    nothing.
    """
    spaces = snapshot.namespaces.values()
    having = where(chain.from_iterable(column(spaces, "links")), mac=link.mac)
    if len(having) > 1 or proxy_key(here, link) is not None:  # which has answered for another one
        return
    owned = _owned(snapshot)
    for there in spaces:
        for entry in not_among(where(there.neighbours, mac=link.mac), address=owned):
            learned = not entry.proxy and entry.state not in _NOT_LEARNED
            if learned and prefix.version(entry.address) == 4:
                yield f"{there.name} found {entry.address} at {link.name} of {here.name} not long ago"


_NOT_LEARNED = ("permanent", "failed", "incomplete")


def concerned(
    namespace: Namespace, links: tuple[Link, ...], commands: tuple[Command, ...]
) -> tuple[Link, ...]:
    """Those of some interfaces to which commands give a route or an address."""
    known = where(commands, blanks=())
    said = (those_not_in(each.words, ("inet6",)) for each in holding(known, words="add"))
    given = [*map(dict, map(pairwise, said))]
    return tuple(link for link in links if _is_given(namespace, link, given))


def _is_given(namespace: Namespace, link: Link, behind: list[dict[str, str]]) -> bool:
    networks = [*map(prefix.network_of, namespace.addresses_of(link))]
    gateways = filter(None, map(methodcaller("get", "via"), behind))
    named = link.name in map(methodcaller("get", "dev"), behind)
    return named or any(map(partial(prefix.within, networks), gateways))
