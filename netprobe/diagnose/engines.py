"""What a container engine has to do with a loss, by its own word: its command mends for good what rules,
routes and cables made by hand would mend until the engine makes its own anew. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from operator import methodcaller

from msgspec.structs import replace

from netprobe.model import AskEngines, Cause, Command, Hop, Namespace, Probe, Snapshot, Stop
from netprobe.model.command import line
from netprobe.model.engines import ContainerEngines, EngineContainer
from netprobe.model.lookup import among, but, column, has, those_in, those_not_in, where
from netprobe.model.pattern import pattern
from netprobe.predict import prefix
from netprobe.predict.prediction import Prediction

from . import flushed

# the ends that an engine may have made, or may have to do with
_ENDS = {
    "port-closed", "link-missing", "no-route", "filtered-by-rule", "forwarding-off", "addr-missing",
    "neigh-no-answer", "policy-drop",
}  # fmt: skip
_BRIDGE = pattern(r"docker\d+|podman\d+|br-[0-9a-f]{12}")  # as the engines call theirs
_HOLDER = pattern(r"podman\d+")  # of an engine that holds the ports it publishes
APART = "isolated by design: networks are kept apart"
INTERNAL = "isolated by design: no packet leaves an internal network"
_COMPLAINS = "it complains that the interface is gone, and lets go of it all the same"
REMADE = "make the container again, with a network: podman run --network NETWORK ..."


def lacking(snapshot: Snapshot, stop: Stop) -> tuple[AskEngines, ...]:
    """The request for the engines' word, where it may matter and was not asked for."""
    may_matter = stop.code in _ENDS and any(map(_is_an_engines, snapshot.namespaces.values()))
    return snapshot.engines_asked(may_matter)


def _is_an_engines(namespace: Namespace) -> bool:
    """Whether a namespace may be a container's, or has bridges of an engine's."""
    return namespace.is_of_a_process or any(
        _BRIDGE.fullmatch(link.name) for link in namespace.links_of("bridge")
    )


def told(snapshot: Snapshot, prediction: Prediction, stop: Stop) -> Stop | None:
    """The end as the engine's word explains it, with the engine's own command; None where it does not."""
    engines = snapshot.engines
    if engines is None:
        return None
    return _published(engines, prediction, stop) or _apart(engines, snapshot, prediction, stop)


def _published(engines: ContainerEngines, prediction: Prediction, stop: Stop) -> Stop | None:
    """The container that publishes a port of the host at which nothing listens, and does not run, or is on no
    network.
    """
    closed = prediction.request.hops[-1:] if stop.code == "port-closed" else ()
    for one in _publishers(engines, closed):
        what, words = one.hindrance
        text = f"{stop.text}: {one.name}, which publishes it, is {what}"
        return replace(stop, text=text, commands=(Command.of(*words),), advice="") if words else None
    return None


def _publishers(engines: ContainerEngines, ends: Sequence[Hop]) -> Iterator[EngineContainer]:
    """The one container to which the port should lead at which a way ends; nothing where it is not known."""
    return chain.from_iterable(engines.publisher(end.namespace, end.flow) for end in ends)


def holding(snapshot: Snapshot, prediction: Prediction) -> tuple[AskEngines, ...]:
    """The request for the engines' word where the probe ends at a port of a host that an engine may hold."""
    ends = but(prediction.request.hops[-1:], namespace=None)
    links = chain.from_iterable(snapshot.at(hop.namespace).links_of("bridge") for hop in ends)
    return snapshot.engines_asked(any(_HOLDER.fullmatch(link.name) for link in links))


def notes(snapshot: Snapshot, asked: Probe, hops: Sequence[Hop], cause: Cause | None) -> Iterator[str]:
    """What a person should know of the engines' part in what came of a probe, with its request's `hops`."""
    if cause is None:
        yield from _held(snapshot, hops)
    else:
        yield from flushed.notes(snapshot, cause)
        yield from _by_design(snapshot, asked, cause)


def _held(snapshot: Snapshot, hops: Sequence[Hop]) -> Iterator[str]:
    """That the engine's hold on a port is all that answers at the end of a way, and nothing comes to the
    container: Podman binds what it publishes, and netavark's rules lead past that; without them the kernel
    takes connections that nobody serves.
    """
    engines = snapshot.told_engines
    for one in where(_publishers(engines, hops[-1:]), runs=True, is_held=True):
        port = hops[-1].flow
        words = one.hindrance[1] or (*one.runtime.reload.split(), one.name)
        yield (
            f"{one.engine} only holds {port.protocol}/{port.dport} for {one.name}, and no rule leads there:"
            f" nobody serves what is taken here; {line(Command.of(*words))}"
        )


def _by_design(snapshot: Snapshot, asked: Probe, cause: Cause) -> Iterator[str]:
    """That an engine's rule, which drops the probe, is what a network of its was made for: that its
    containers do not talk to each other, or that nothing is let in but what they publish.
    """
    engines = snapshot.told_engines
    dropping = cause.object if cause.code == "filtered-by-rule" else None
    owner = dropping.owner if dropping is not None else None
    source = container(engines, snapshot.at(asked.source.namespace))
    having = _having(engines, snapshot, asked.destination.address)
    for one in (each for each in where(having, engine=owner) if each.runtime.screens):
        if source is None:
            yield (
                f"isolated by design: {owner} lets in only what is published: of {one.name},"
                f" {_published_ports(one)}"
            )
        for name in those_in(one.joined, _sending_on(source, asked)) if source is not None else ():
            yield (
                f"isolated by design: the network {name} of {owner} was made so that its containers do not"
                f" talk to each other (enable_icc=false)"
            )


def _sending_on(one: EngineContainer, asked: Probe) -> tuple[str, ...]:
    """The networks of a container but for those of which the packet has not the address that it has there."""
    source = asked.source.address
    others = (
        each.network
        for each in one.endpoints
        if each.addresses and source not in {given.partition("/")[0] for given in each.addresses}
    )
    return those_not_in(one.joined, (*others,))


def _published_ports(one: EngineContainer) -> str:
    known = (f"{each.protocol}/{each.target} as {each.port} of the host" for each in one.published)
    return ", ".join(dict.fromkeys(known)) or "nothing"


def _apart(engines: ContainerEngines, snapshot: Snapshot, prediction: Prediction, stop: Stop) -> Stop | None:
    """The container that is on no network, on none that packets may leave, or on another one than the
    destination.
    """
    source, goal = snapshot.at(prediction.probe.source.namespace), prediction.probe.destination.address
    one = container(engines, source)
    if one is None or not _is_made(engines, stop, source) or is_beside(source, goal):
        return None
    if one.is_alone:
        return _alone(one, stop)
    others = _having(engines, snapshot, goal)
    theirs = (*chain.from_iterable(column(where(others, engine=one.engine), "joined")),)
    return _elsewhere(engines, one, theirs, stop) if {*theirs}.isdisjoint(one.joined) else None


def container(engines: ContainerEngines, namespace: Namespace) -> EngineContainer | None:
    """The container that a namespace is: it bears the name of one, and is entered by a process of it."""
    return engines.called(namespace.name) if namespace.is_of_a_process else None


def _having(
    engines: ContainerEngines, snapshot: Snapshot, address: str | None
) -> tuple[EngineContainer, ...]:
    """The container that has an address, where one has it."""
    having = filter(methodcaller("owner_of", address), snapshot.namespaces.values())
    return (*filter(None, map(partial(container, engines), having)),)[:1]


def given(snapshot: Snapshot, namespace: Namespace, version: int | None) -> str | None:
    """The first address, of an IP version where that matters, that its engine gave a container."""
    one = container(snapshot.told_engines, namespace)
    told = chain.from_iterable(column(one.endpoints if one is not None else (), "addresses"))
    addresses = (each.partition("/")[0] for each in told)
    return next((each for each in addresses if version in (None, prefix.version(each))), None)


def _is_made(engines: ContainerEngines, stop: Stop, source: Namespace) -> bool:
    """Whether the engine has made what is at the end: its rule, its network that does not forward, or the
    sender as it is.
    """
    if stop.code == "filtered-by-rule":
        return has(engines.networks, engine=stop.thing.owner)
    if stop.code == "forwarding-off":  # netavark makes internal networks so
        return has(engines.networks, interface=stop.place.interface, internal=True)
    return stop.code in ("link-missing", "no-route") and stop.place.namespace == source.name


def is_beside(source: Namespace, address: str | None) -> bool:
    """Whether an address is of a network that a namespace is on: no engine keeps these apart."""
    return bool(address and prefix.neighbours_of(address, source.addresses))


def _alone(one: EngineContainer, stop: Stop) -> Stop | None:
    """A container without a network, as it was made or left; None where it has an interface all the same."""
    if stop.code != "link-missing":
        return None
    if one.to_leave and one.runtime.keeps_none:
        return replace(stop, text=f"{stop.text}: it was made without a network", commands=(), advice=REMADE)
    fix = _connected(one, one.runtime.network, "")
    return replace(stop, text=f"{stop.text}: it is on no network", commands=fix, advice="")


def reconnected(snapshot: Snapshot, stop: Stop) -> Stop:
    """The want of a cable of a container that is on a network by its engine's word, which makes the cable
    anew; any other stop as it is.
    """
    one = container(snapshot.told_engines, snapshot.at(stop.place.namespace))
    if stop.code != "link-missing" or one is None or not one.endpoints:
        return stop
    network = one.endpoints[0].network
    text = f"{stop.text}: {one.engine} has it on its network {network}"
    leave, join = ((one.engine, "network", verb, network, one.name) for verb in ("disconnect", "connect"))
    note = _COMPLAINS if one.is_held else ""  # netavark
    fix = (replace(Command.of(*leave), note=note), Command.of(*join))
    return replace(stop, text=text, commands=fix, advice="")


def _elsewhere(
    engines: ContainerEngines, one: EngineContainer, theirs: Sequence[str], stop: Stop
) -> Stop | None:
    """A container whose networks are internal, or not those of the destination."""
    own = among(where(engines.networks, engine=one.engine), name=one.joined)
    wanted = next(iter(theirs), one.runtime.network)
    if own and not has(own, internal=False):
        why, note = f"its network {own[0].name} is internal", INTERNAL
    elif theirs:
        why, note = f"{one.name} is not on the network {wanted}", APART
    else:
        return None
    return replace(stop, text=f"{stop.text}: {why}", commands=_connected(one, wanted, note), advice="")


def _connected(one: EngineContainer, network: str, note: str) -> tuple[Command, ...]:
    """The commands that connect a container to a network, after those that it must leave."""
    join = replace(Command.of(one.engine, "network", "connect", network, one.name), note=note)
    left = (Command.of(one.engine, "network", "disconnect", each, one.name) for each in one.to_leave)
    return (*left, join)
