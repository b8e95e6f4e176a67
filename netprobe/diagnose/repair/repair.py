"""A loss, and a repair of it that is to be tried. Values."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from functools import cached_property
from typing import Any, TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from netprobe.diagnose.apply import mend
from netprobe.diagnose.made_anew import as_made_anew
from netprobe.model import (
    Command,
    Hop,
    InterfaceAddress,
    Leg,
    Link,
    Namespace,
    Need,
    PolicyRule,
    Probe,
    Snapshot,
    Stop,
)
from netprobe.model.command import inside
from netprobe.model.lookup import column, find, indexed, where
from netprobe.predict import fib, hosts, prefix
from netprobe.predict.drop import Unread
from netprobe.predict.peers import mutual
from netprobe.predict.prediction import Prediction
from netprobe.predict.trace import Routed
from netprobe.predict.view import Ground, Lacking, Rulings

from .answers import still_answered
from .patience import Patience
from .segment import Station, first_cables, idle_cables, is_network, own_addresses, stations, unfiltered
from .tunnelled import decisions as of_tunnels
from .way_back import looked_for

_Made = TypeVar("_Made")


class Merit(IntEnum):
    """What speaks for a repair, the best first; `rank` has the reasons that a report states."""

    RESTORES = 0
    UNDOES = 1
    ADDS = 2
    GOES_AROUND = 3

    @classmethod
    def restoring(cls, meant: object, otherwise: int = ADDS) -> Merit:
        """RESTORES where something says that it is meant to be so."""
        return cls.RESTORES if meant else cls(otherwise)


class Repair(Struct, frozen=True):
    """A change that may be the cause: how it is named, the snapshot with it, and what speaks for it.

    `leg` is the leg it counts to where that is not the one that broke. `near` is how it stands to what has
    changed since the probe passed: 0 puts it back, 1 changes it, 2 neither. `agreeing` counts the other
    objects that say the same. `put_back`: it is what was there before, and any other repair of the object
    names it better. `trial`: what was carried out where a word of its commands is for the reader to know.
    """

    stop: Stop
    merit: Merit
    mended: Snapshot
    agreeing: int = 0
    leg: Leg | None = None
    near: int = 2
    put_back: bool = False
    trial: tuple[Command, ...] = ()

    @property
    def code(self) -> str:
        """The code of the cause that it is."""
        return self.stop.code

    @property
    def is_to_fill_in(self) -> bool:
        """Whether a word of its commands is for the reader to know."""
        return self.stop.is_to_fill_in

    @property
    def about(self) -> tuple[str | None, str, str]:
        """The object that it changes."""
        return self.stop.about

    @property
    def at(self) -> tuple[str | None, str | None]:
        """The namespace and the interface that it is about."""
        return self.stop.place.namespace, self.stop.place.interface

    def also(self, more: Repair) -> Repair:
        """This repair with another one, of the same namespace, that was made behind it; what speaks for
        either speaks for both.
        """
        name = self.stop.place.namespace
        commands, done = inside(name, more.stop.commands), inside(name, more.done)
        both = self.with_more(commands, more.mended, done)
        return replace(both, agreeing=self.agreeing + more.agreeing)

    def with_more(
        self, commands: Sequence[Command], mended: Snapshot, done: Sequence[Command] | None = None
    ) -> Repair:
        """This repair with more commands behind its own, and what comes of them; `done` was carried out in
        their place.
        """
        stop = replace(self.stop, commands=(*self.stop.commands, *commands))
        trial = (*self.done, *(commands if done is None else done))
        return replace(self, stop=stop, mended=mended, trial=trial)

    @property
    def done(self) -> tuple[Command, ...]:
        """The commands that were carried out on the snapshot."""
        return self.trial or self.stop.commands


def is_meant(repair: Repair) -> bool:
    """Whether it is no detour, which is never the cause."""
    return repair.merit is not Merit.GOES_AROUND


_EVERYWHERE = (fib.LOCAL, fib.MAIN, fib.DEFAULT)


def is_special(rule: PolicyRule) -> bool:
    """Whether somebody made a policy rule: it is none of those that every namespace starts with."""
    return not (rule.is_for_all and rule.action == "lookup" and rule.table in _EVERYWHERE)


def _idle_ends(loss: Loss, name: str) -> dict[Link, Station]:
    return dict(loss.known_ends(name, idle_cables(loss.snapshot[name])))


class Loss(Struct, frozen=True, dict=True):
    """What is to be repaired: the configuration, the walk over it, and its end.

    `needs` grows with what the candidates would have to know and nobody has read. `before` is the
    configuration of an earlier run in which the probe passed, where one is known. `rulings` keeps what rules
    said from one walk to the next: most candidates leave most namespaces as they are. `patience` is asked
    before each that is made or tried.
    """

    snapshot: Snapshot
    prediction: Prediction
    stop: Stop
    needs: dict[Need, None] = field(default_factory=dict)
    before: Snapshot | None = None
    rulings: Rulings = field(default_factory=dict)
    patience: Patience = field(default_factory=Patience)

    @staticmethod
    def of(
        snapshot: Snapshot,
        prediction: Prediction,
        stop: Stop,
        before: Snapshot | None = None,
        patience: Patience | None = None,
    ) -> Loss:
        """The loss in a snapshot in which both ends of each cable know each other."""
        now = mutual(snapshot)
        before = before and as_made_anew(mutual(before), now)
        return Loss(now, prediction, stop, before=before, patience=patience or Patience())

    def behind(self, mended: Snapshot, outcome: Prediction, stop: Stop) -> Loss:
        """What the probe meets behind a repair; what that lacks this one lacks as well."""
        known = self.needs, self.before, self.rulings, self.patience
        return Loss(mended, outcome, stop, *known)

    def far_end(self, name: str, link: Link) -> Station | None:
        """The interface at the other end of a cable, or below a stacked one; noted as a need where not
        read.
        """
        with self.noting():
            return self._ground.beyond(name, link.link)
        return None

    def home_of(self, name: str, link: Link) -> tuple[Namespace, ...]:
        """Where a tunnel's packets leave: the namespace in which its device was made, if that was read."""
        with self.noting():
            return tuple(map(self.snapshot.at, self.snapshot.known((self._ground.underlay(name, link),))))
        return ()

    def knows(self, name: str, link: Link) -> bool:
        """Whether the far end of a cable was read, so that looking there costs nothing."""
        return link.link is not None and self._ground.knows(name, link.link.nsid)

    def first_cables(self, name: str) -> frozenset[int]:
        """The first cables of a namespace, by ifindex, those first that are plugged nowhere: behind each may
        be a namespace to read.
        """
        return indexed(first_cables, self.snapshot.at(name).links)

    def known_end(self, name: str, link: Link | None) -> Station | None:
        """The far end of a cable that was read; None where it was not, and of no cable."""
        return self.far_end(name, link) if link is not None and self.knows(name, link) else None

    def asked_end(self, name: str, link: Link, asked: bool) -> Station | None:
        """The far end of a cable that was read, or of one of the first where it may be asked for: a host may
        have thousands.
        """
        if self.knows(name, link) or (asked and link.index in self.first_cables(name)):
            return self.far_end(name, link)
        return None

    def is_one_of_many(self, name: str, link: Link) -> bool:
        """Whether a cable is one of hundreds, behind which nobody looks: it is none of the first, and the
        packet was not lost there.
        """
        lost_here = (self.stop.place.namespace, self.stop.place.interface) == (name, link.name)
        looked_at = lost_here or self.knows(name, link) or link.index in self.first_cables(name)
        return link.kind == "veth" and not looked_at

    def known_ends(self, name: str, cables: Iterable[Link]) -> Iterator[tuple[Link, Station]]:
        """Those of the cables that lead to other namespaces that were read, with their far ends."""
        for link in cables:
            # of what leads to where it is, which it may have thousands of, nothing is asked
            far = self.known_end(name, link) if link.link and link.link.nsid is not None else None
            if far is not None and far[0] != name:
                yield link, far

    def idle_ends(self, name: str) -> dict[Link, Station]:
        """The cables of a namespace that lead to others that were read, and do nothing, with their far
        ends.
        """
        return self.once(_idle_ends, name)

    # What many candidates look at, made once.

    def once(self, make: Callable[..., _Made], *of: Hashable) -> _Made:
        """What is made of this loss and these names; made when it is asked for first."""
        if (make, of) not in self._made:
            self._made[make, of] = make(self, *of)
        found: _Made = self._made[make, of]
        return found

    @cached_property
    def _made(self) -> dict[tuple[Callable[..., object], tuple[Hashable, ...]], Any]:
        return {}

    @cached_property
    def _ground(self) -> Ground:
        return Ground(self.snapshot, ask=False)

    def stations(self, name: str, link: Link) -> tuple[Station, ...]:
        """Who hears a broadcast from an interface; noted as a need where not read. Nobody where nothing more
        is to be begun: a search that is over names nothing by it.
        """
        known = self._heard.get((name, link.index))
        if known is not None or self.patience.is_over() or self.is_one_of_many(name, link):
            return known or ()
        with self.noting():
            known = stations(self._wired, name, link)
        self._heard[name, link.index] = found = known or ()
        return found

    @cached_property
    def _heard(self) -> dict[tuple[str, int], tuple[Station, ...]]:
        return {}

    @cached_property
    def _wired(self) -> Ground:
        return Ground(unfiltered(self.snapshot), ask=False)

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Note as needs what turns out not to have been read, and what cannot be read as nothing."""
        try:
            yield
        except Lacking as lacking:
            self.needs.update(dict.fromkeys(lacking.needs))
        except Unread:
            pass

    def others(self, name: str, link: Link) -> tuple[Station, ...]:
        """The same in other namespaces."""
        return tuple(each for each in self.stations(name, link) if each[0] != name)

    @property
    def probe(self) -> Probe:
        """The probe, its source address chosen."""
        return self.prediction.probe

    @property
    def goal(self) -> str:
        """The address that is asked for."""
        return self.probe.destination.address or ""

    @property
    def version(self) -> int:
        """The IP version of the probe."""
        return prefix.version(self.goal)

    @cached_property
    def hops(self) -> tuple[Hop, ...]:
        """The hops of both ways, in order."""
        return self.prediction.hops

    @property
    def refused(self) -> tuple[Hop, ...]:
        """The last hop, where a source check refused the packet there; nothing of any other loss."""
        return self.hops[-1:] if self.stop.code == "rp-filter" else ()

    @cached_property
    def way(self) -> tuple[str, ...]:
        """The namespaces on the way that were read, each once, in order; the last is where it ended."""
        probe = self.probe
        names = [probe.source.namespace, *column(self.hops, "namespace"), self.stop.place.namespace]
        return self.snapshot.known((*names, probe.destination.namespace))

    def beside(self, name: str, link: Link, version: int) -> tuple[tuple[str, Link, InterfaceAddress], ...]:
        """The addresses of the other stations of a segment, with who bears them; none where it is off."""
        return tuple(
            (there, station, address)
            for there, station in (self.stations(name, link) if link.up else ())
            if (there, station.index) != (name, link.index)
            for address in filter(is_network, own_addresses(self.snapshot[there], station, version))
        )

    @cached_property
    def around(self) -> tuple[str, ...]:
        """The namespaces on the way, and those that hear what is asked at the place of the loss."""
        return tuple(dict.fromkeys([*self.way, *(name for name, _ in self.hearers())]))

    def hearers(self) -> tuple[Station, ...]:
        """The stations beside the interface at which the loss is; of a tunnel's, beside the one by which its
        packets leave.
        """
        place = self.snapshot.link_at(self.stop.place)
        if place is None:
            return ()
        namespace, link = place
        lower = namespace.link(link.vxlan.lower) if link.vxlan is not None else None
        return self.stations(namespace.name, lower or link)

    def out(self, routed: Routed | None) -> Link | None:
        """The interface that a decision leads out of; None where there is none."""
        return self.snapshot[routed.namespace].link_of(routed.decision.leg) if routed is not None else None

    @property
    def here(self) -> Namespace:
        """The namespace in which the packet was lost; an empty one where it was not read."""
        return self.snapshot.at(self.stop.place.namespace)

    def addresses_beside(self, name: str, link: Link, version: int) -> list[InterfaceAddress]:
        """The addresses of the other stations of a segment."""
        return [address for _, _, address in self.beside(name, link, version)]

    @cached_property
    def bare(self) -> tuple[Namespace, ...]:
        """The namespaces that were read and have a loopback alone."""
        return where(self.snapshot.namespaces.values(), is_bare=True)

    def bearers(self, address: str | None) -> list[str]:
        """The namespaces that have an address."""
        spaces = self.snapshot.namespaces.values()
        return [each.name for each in spaces if each.address(address) is not None]

    def ask_the_hosts(self) -> None:
        """Note as a need who of the hosts has the destination, where there are others than this machine."""
        if not self.snapshot.homes or self.goal in self.owned:
            return
        with self.noting():
            hosts.having(self._ground, self.goal)

    @cached_property
    def decisions(self) -> tuple[Routed, ...]:
        """The routing decisions of both ways, those of what tunnels on the way send to nodes that were read,
        and that of a source check.
        """
        tunnelled = of_tunnels(self.snapshot, self.prediction, self.stop, self.way, self.owned)
        return (*self.prediction.routed, *tunnelled, *self.checked)

    @cached_property
    def checked(self) -> tuple[Routed, ...]:
        """Where a source check would have routed back to, of the packet that it refused."""
        with self.noting():
            return tuple(looked_for(self.prediction, self.here, hop) for hop in self.refused)
        return ()

    def asked(self, leg: Leg) -> tuple[Routed, ...]:
        """The routing decisions of one leg."""
        return where(self.prediction.routed, leg=leg)

    def came_in(self, name: str) -> Link | None:
        """The interface by which the request came into a namespace; None where it did not."""
        came = find(self.asked(Leg.REQUEST), namespace=name)
        return came.iif if came is not None else None

    @cached_property
    def owned(self) -> frozenset[str]:
        """The addresses that somebody has."""
        return frozenset(a.address for each in self.snapshot.namespaces.values() for a in each.addresses)

    def repair(
        self,
        stop: Stop,
        merit: Merit,
        *,
        agreeing: int = 0,
        leg: Leg | None = None,
        trial: tuple[Command, ...] = (),
    ) -> tuple[Repair, ...]:
        """The repair that carries out the commands of `stop`; nothing where that cannot be done on a
        snapshot.

        `trial` stands in where a word of the commands is for the reader to know: any that would do.
        """
        if self.patience.is_over():
            return ()
        mended = mend(self.snapshot, replace(stop, commands=trial or stop.commands))
        if mended is None:
            return ()
        return (Repair(stop, merit, still_answered(self.snapshot, mended), agreeing, leg, trial=trial),)
