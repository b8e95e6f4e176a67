"""The answers to an ARP or ND probe, as arping prints them, and what it means when one request has several.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from netprobe.model import Answer, Leg, Link, Namespace, Observation, Probe, Snapshot, Source
from netprobe.model.lookup import among, column, find, where

_BROADCAST = "ff:ff:ff:ff:ff:ff"


class _Station(Struct, frozen=True):
    """Who answered: the MAC, and whose it is as far as the snapshot tells."""

    mac: str
    namespace: Namespace = Namespace("")
    link: Link | None = None

    @property
    def place(self) -> str:
        """c2/eth0, or the MAC of a station out of sight."""
        if self.link is not None:
            return f"{self.namespace.name}/{self.link.name}"
        return self.mac

    @property
    def home(self) -> str:
        """Its namespace, or the MAC of a station out of sight."""
        return self.namespace.name or self.mac

    def lacks(self, address: str) -> bool:
        """Whether it is known not to have the address: it answers in another's name."""
        return self.link is not None and self.namespace.address(address) is None


def answers(probe: Probe, snapshot: Snapshot, seen: Sequence[Observation]) -> tuple[Answer, ...]:
    """Every answer in the order of its arrival, `time_ns` counted from its own request; nothing for a probe
    of another protocol.
    """
    if not probe.protocol.on_segment:
        return ()
    asked = where(reversed(seen), kind="seen", leg=Leg.REQUEST, bound="out")
    sent = {o.sequence: o.time_ns for o in asked}
    found = among(where(seen, kind="answered"), source=(Source.TAP, Source.SOCKET))
    plain = [
        Answer(o.sequence, o.flow.src, o.flow.src_mac or "?", max(0, o.time_ns - sent.get(o.sequence, 0)),
        o.flow.dst_mac == _BROADCAST)
        for o in found if o.flow is not None
    ]  # fmt: skip
    return tuple(replace(answer, note=_note(snapshot, answer, plain[:at])) for at, answer in enumerate(plain))


def _note(snapshot: Snapshot, answer: Answer, before: Sequence[Answer]) -> str:
    """What is odd about one answer, `before` being those that came earlier."""
    station = _station(snapshot, answer.mac)
    if station.lacks(answer.address):
        return f"{station.place} answers in another's name (proxy): {answer.address} is not its own"
    again = find(before, sequence=answer.sequence, mac=answer.mac)
    return "the same station once more" if again is not None else ""


def notes(snapshot: Snapshot, found: Sequence[Answer]) -> tuple[str, ...]:
    """One sentence when an address has more than one station behind it."""
    stations = [_station(snapshot, mac) for mac in dict.fromkeys(column(found, "mac"))]
    if len(stations) < 2:
        return ()
    address, places = found[0].address, " and ".join(column(stations, "place"))
    homes = {*column(stations, "home")}
    what = "a duplicate address, and traffic goes to whoever was heard last"
    if any(station.lacks(address) for station in stations):
        what = "the owner, and a proxy that answers in its name"
    elif len(homes) == 1:
        what = "one stack on two interfaces; its sysctl arp_ignore=1 would stop that"
    return (f"{address} is answered for by {places}: {what}",)


def _station(snapshot: Snapshot, mac: str) -> _Station:
    return next(_of_that_mac(snapshot, mac), _Station(mac))


def _of_that_mac(snapshot: Snapshot, mac: str) -> Iterator[_Station]:
    """Ports of a bridge may have its MAC; the bridge is the station, so interfaces without a master come
    first.
    """
    found = [
        (name, link)
        for name, namespace in snapshot.namespaces.items()
        for link in where(namespace.links, mac=mac)
    ]
    for name, link in sorted(found, key=lambda place: place[1].master is not None):
        yield _Station(mac, snapshot[name], link)
