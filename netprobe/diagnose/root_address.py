"""Addresses as the root of a loss: of another subnet, or a MAC that two stations bear. Pure."""

from __future__ import annotations

from netprobe.model import (
    Blank,
    Command,
    Flow,
    InterfaceAddress,
    Leg,
    Link,
    Namespace,
    Object,
    Place,
    Protocol,
    Snapshot,
    Stage,
    Stop,
)
from netprobe.predict import fixes, prefix
from netprobe.predict.outcome import BROADCAST
from netprobe.predict.peers import mutual
from netprobe.predict.prediction import Prediction
from netprobe.predict.view import Ground, Lacking, Packet
from netprobe.predict.walk import Walker

_MISLED = {
    "nat-missing", "nat-wrong-match", "no-route", "neigh-no-answer", "route-wrong-nexthop", "martian-source",
    "forwarding-off",
    "neigh-wrong-entry",
}  # fmt: skip


def root(snapshot: Snapshot, prediction: Prediction, stop: Stop) -> Stop | None:
    """The sender's address as the root of `stop`: it belongs to no network of the segment it is used on."""
    if stop.code not in _MISLED:
        return None
    return _wrong_subnet(snapshot, prediction) or _goal_elsewhere(snapshot, prediction)


def _wrong_subnet(snapshot: Snapshot, prediction: Prediction) -> Stop | None:
    """The sender and the first router behind its wire have addresses of networks that do not hold each
    other.
    """
    asked = [r for r in prediction.routed if r.leg is Leg.REQUEST]
    if len(asked) < 2 or asked[1].iif is None or asked[0].decision.leg is None:
        return None
    here, there, iif = snapshot[asked[0].namespace], snapshot[asked[1].namespace], asked[1].iif
    out, source = here.link(asked[0].decision.leg.index), asked[1].src
    own = next(
        (a for a in here.addresses if a.address == source and out is not None and a.index == out.index), None
    )
    others = [
        a
        for a in there.addresses_of(iif)
        if prefix.version(a.address) == prefix.version(source) and a.scope == "global"
    ]
    if (
        own is None
        or out is None
        or not others
        or not _is_network(own)
        or any(_share(own, a) or not _is_network(a) for a in others)
    ):
        return None
    theirs = ", ".join(f"{a.address}/{a.prefixlen}" for a in others)
    return _foreign(here, out, own, f"{theirs} of {there.name}/{iif.name}", others[0].prefixlen)


def _foreign(namespace: Namespace, link: Link, own: InterfaceAddress, theirs: str, length: int) -> Stop:
    written = f"{own.address}/{own.prefixlen}"
    text = f"{written} of {namespace.name}/{link.name} is of another network than {theirs} beside it"
    fix = (
        Command.of("ip", "address", "add", Blank(f"RIGHT-ADDRESS/{length}"), "dev", link.name),
        fixes.address("del", own, link),
    )
    named = f"{written} dev {link.name}"
    return Stop(
        "addr-wrong-subnet",
        Place(namespace.name, link.name, Stage.ROUTE),
        text,
        Object("address", named, named),
        fix,
    )


def _goal_elsewhere(snapshot: Snapshot, prediction: Prediction) -> Stop | None:
    """The destination that was named bears an address of another network than every station on its
    segment.
    """
    goal, target = (
        snapshot.namespaces.get(prediction.probe.destination.namespace or ""),
        prediction.probe.destination.address or "",
    )
    link = goal.owner_of(target) if goal is not None else None
    own = next((a for a in goal.addresses if a.address == target), None) if goal is not None else None
    if goal is None or link is None or own is None or not _is_network(own):
        return None
    beside = [
        (name, station, address)
        for name, station in _stations(snapshot, goal, link)
        for address in snapshot[name].addresses_of(station)
        if prefix.version(address.address) == prefix.version(target)
        and address.scope == "global"
        and _is_network(address)
    ]
    if not beside or any(_share(own, address) for _, _, address in beside):
        return None
    name, station, other = beside[0]
    return _foreign(
        goal, link, own, f"{other.address}/{other.prefixlen} of {name}/{station.name}", other.prefixlen
    )


def _stations(snapshot: Snapshot, namespace: Namespace, link: Link) -> tuple[tuple[str, Link], ...]:
    """Who hears a broadcast from an interface, as far as it was read."""
    ground = Ground(mutual(snapshot), ask=False)
    shout = Packet(Flow("", "", Protocol.OTHER, src_mac=link.mac, dst_mac=BROADCAST), Leg.REQUEST)
    try:
        return tuple(
            branch.at
            for branch in Walker(ground).transmit(namespace.name, link, shout, barred=False)
            if branch.at is not None
        )
    except Lacking:
        return ()


def _is_network(address: InterfaceAddress) -> bool:
    """Whether the prefix says anything about neighbours: a host prefix does not."""
    return address.prefixlen < (127 if ":" in address.address else 31)


def _share(one: InterfaceAddress, other: InterfaceAddress) -> bool:
    """Whether one of two addresses lies in the other's network."""
    first, second = (prefix.network(a.address, a.prefixlen) for a in (one, other))
    return prefix.contains(first, other.address) or prefix.contains(second, one.address)


_NONE = "00:00:00:00:00:00"  # of a loopback, and of a bridge that has no port


def same_mac(snapshot: Snapshot, prediction: Prediction, stop: Stop) -> Stop | None:
    """Two stations with one MAC address: the bridge sends their frames to whoever spoke last."""
    mac = _addressed(snapshot, prediction, stop)
    bearers = [
        (n.name, link)
        for n in snapshot.namespaces.values()
        for link in n.links
        if mac and mac != _NONE and link.mac == mac and link.master is None and link.kind != "bridge"
    ]
    if len({name for name, _ in bearers}) < 2 or stop.code in ("filtered-by-rule", "policy-drop"):
        return None
    others = [(n, li) for n, li in bearers if (n, li.name) != (stop.place.namespace, stop.place.interface)]
    name, link = next(
        (each for each in bearers if each[0] == prediction.probe.source.namespace), (*others, *bearers)[0]
    )
    everybody = ", ".join(f"{n}/{li.name}" for n, li in bearers)
    text = f"{everybody} have the same MAC address {mac}: frames for one of them go to the other"
    fix = (
        fixes.link_set(link, "down"),
        fixes.link_set(link, "address", Blank("NEW-MAC")),
        fixes.link_set(link, "up"),
    )
    return Stop(
        "mac-duplicate",
        Place(name, link.name, Stage.BRIDGE),
        text,
        Object("link", link.name, f"{link.name} link/ether {mac}"),
        fix,
        (stop.text,),
    )


def _addressed(snapshot: Snapshot, prediction: Prediction, stop: Stop) -> str | None:
    """The MAC that the lost frame was for; of an ARP question without an answer that is the asker's own."""
    walk = prediction.request if prediction.request.stop is not None else prediction.reply
    framed = [hop.flow.dst_mac for hop in walk.hops if hop.flow.dst_mac] if walk is not None else []
    unresolved = walk is not None and bool(walk.hops) and walk.hops[-1].stage is Stage.NEIGHBOUR
    asked_at = stop.place if stop.code == "neigh-no-answer" else None
    place = walk.hops[-1].place if walk is not None and unresolved else asked_at
    asker = snapshot.namespaces.get(place.namespace or "") if place is not None else None
    asking = asker.link_named(place.interface or "") if asker is not None and place is not None else None
    return asking.mac if asking is not None else next(reversed(framed), None)
