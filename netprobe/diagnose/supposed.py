"""Words of a fix that only its reader knows, supposed for a look at what else is in the way. Pure.

Nothing is said of them, nor of what comes of the fix: any that would do on the segment stand in.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from itertools import chain, islice, pairwise, product, starmap

from msgspec.structs import replace

from netprobe.model import Command, InterfaceAddress, Link, Namespace, Snapshot
from netprobe.model.lookup import column, not_among, sole, those_not_in, where
from netprobe.predict import prefix
from netprobe.predict.arp_reply import is_router
from netprobe.predict.drop import Unread
from netprobe.predict.fixes import GATEWAY, INTERFACE
from netprobe.predict.view import Ground, Lacking

from .repair.segment import own_addresses, stations, unfiltered, usual_length
from .repair.voices import spoken_of

_LENGTH = "LENGTH"


def supposed(snapshot: Snapshot, commands: tuple[Command, ...], name: str | None) -> tuple[Command, ...]:
    """The commands of namespace `name`, with an interface that is up, the usual length, and the router beside
    where they leave these open; as they are where nothing is known that would do.
    """
    try:
        return tuple(_filled(snapshot, each, snapshot.at(each.namespace or name)) for each in commands)
    except (Lacking, Unread):
        return commands


def as_rules_say(
    snapshot: Snapshot, commands: tuple[Command, ...], tried: tuple[Command, ...], goal: str | None = None
) -> tuple[Command, ...]:
    """What was tried of commands that leave an address to the reader, with one of the same network that rules
    speak of, and nobody has, in its place: these may be what else is in the way. `goal`: who is asked has it.
    """
    given = (dict(pairwise(each.words)).get("add") for each in tried if each.words[1:2] == ("address",))
    for written in filter(None, given):
        stood_in, _, length = written.partition("/")
        if stood_in not in spoken_of(commands) and length.isdecimal():
            network = prefix.network(stood_in, int(length))
            others = those_not_in(_said(snapshot), (goal,))
            said = next(filter(partial(prefix.contains, network), others), stood_in)
            return tuple(_instead(each, stood_in, said) for each in tried)
    return tried


def _instead(command: Command, old: str, new: str) -> Command:
    parts = (word.partition("/") for word in command.words)
    return replace(command, words=tuple("".join((new if one == old else one, *rest)) for one, *rest in parts))


def _said(snapshot: Snapshot) -> Iterator[str]:
    """The addresses of hosts that rules speak of, routes, or entries that somebody wrote, and nobody has."""
    spaces = snapshot.namespaces.values()
    known = {own.address for each in spaces for own in each.addresses}
    tables = chain.from_iterable(each.tables for each in spaces)
    rules = chain.from_iterable(placed.rules for table in tables for placed in table.chains)
    texts = map(str.split, column(islice(rules, _RULES), "text"))
    for word in chain.from_iterable(chain(texts, map(_written, spaces))):
        address = word.removesuffix("/32").removesuffix("/128")
        if address not in known and _is_address(address):
            yield address


def _written(namespace: Namespace) -> tuple[str, ...]:
    """For whom somebody wrote routes that refuse, policy rules and neighbour entries."""
    refusing = not_among(where(namespace.routes, is_written=True), type=("unicast", "local"))
    entries = where(namespace.neighbours, state="permanent")
    rules = (*column(namespace.rules, "src"), *column(namespace.rules, "dst"))
    return (*column(refusing, "dst"), *filter(None, rules), *column(entries, "address"))


_RULES = 5000  # that are looked through; a host may have hundreds of thousands


def _is_address(word: str) -> bool:
    if word.count(".") != 3 and word.count(":") < 2:  # 10.0.0.2 has three, fd00::2 two
        return False
    with suppress(ValueError):
        return prefix.number(word) > 0
    return False


def _filled(snapshot: Snapshot, command: Command, here: Namespace) -> Command:
    if command.lacks(INTERFACE.name):
        for link in sole(where(here.outward, up=True, master=None)):
            command = command.filled(INTERFACE.name, link.name)
    said = dict(pairwise(command.words))
    links = where(here.outward, up=True, name=said["dev"]) if "dev" in said else where(here.outward, up=True)
    address = said.get("add", "").partition("/")[0]
    if command.lacks(_LENGTH) and _is_address(address):
        near = (own for there, end in _beside(snapshot, here, links) for own in there.addresses_of(end))
        usual = usual_length(near, address)
        command = command.filled(_LENGTH, str(usual[0])) if usual is not None else command
    if command.lacks(GATEWAY.name):
        version = 6 if "-6" in command.words else 4
        beside = column(_routers(snapshot, here, links, version), "address")
        ends = (*product((here,), links), *_beside(snapshot, here, links))
        sent = chain.from_iterable(starmap(partial(_sent_to, version), ends))
        for gateway in islice(chain(beside, sent), 1):
            command = command.filled(GATEWAY.name, gateway)
    return command


def _sent_to(version: int, here: Namespace, link: Link) -> Iterator[str]:
    """The gateways by which an interface leads, in whatever table: who is one may have lost his address."""
    routes = where(here.routes_by(link), version=version)
    return filter(None, chain.from_iterable(column(routes, "gateways")))


def _routers(
    snapshot: Snapshot, here: Namespace, links: tuple[Link, ...], version: int
) -> Iterator[InterfaceAddress]:
    """The addresses of the routers beside: those on the segment, then those that are of a network there, for
    a router answers for all of its own.
    """
    near = [each for each in _beside(snapshot, here, links) if is_router(each[0], version)]
    yield from chain.from_iterable(own_addresses(there, end, version) for there, end in near)
    for own in where(chain.from_iterable(there.addresses for there, _ in near), scope="global"):
        if own.version == version and prefix.neighbours_of(own.address, here.addresses):
            yield own


def _beside(snapshot: Snapshot, here: Namespace, links: tuple[Link, ...]) -> Iterator[tuple[Namespace, Link]]:
    """The other stations of the segments of some interfaces."""
    ground = Ground(unfiltered(snapshot), ask=False)
    for link in links:
        for name, end in stations(ground, here.name, link):
            if name != here.name:
                yield snapshot[name], end
