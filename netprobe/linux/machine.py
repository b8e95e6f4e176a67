"""This machine, live: the world behind the engine's seam.

It resolves names, reads, observes, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec.structs import replace

from netprobe.endpoint import Named, parse
from netprobe.errors import CannotLook, NetprobeError, WrongQuestion, for_want_of_resources
from netprobe.kernel.elsewhere import Place
from netprobe.model import (
    AskConnection,
    AskedRoute,
    AskEngines,
    AskRoute,
    AskSet,
    Blind,
    Endpoint,
    FindBare,
    FindMacvlans,
    FindOthers,
    FindPeer,
    FindWire,
    FoundConnection,
    FoundMacvlans,
    FoundPeer,
    FoundWire,
    Link,
    LookBehind,
    Namespace,
    Need,
    Observation,
    ReadAsking,
    ReadChain,
    ReadFdb,
    ReadNamespace,
    ReadRoute,
    SeenBehind,
    Snapshot,
    Space,
    Watch,
)
from netprobe.model.uplinks import Uplinks

from . import apart, deadline, namespace, netns
from .blind import blinded, reason, without_table
from .names.names import Found, UnknownName
from .names.namespaces import Directory
from .names.peers import Peers
from .netfilter import remembered
from .open_settings import OpenSettings
from .tables import bpf
from .tables.conntrack import entries
from .tables.links import interface_names

if TYPE_CHECKING:
    from netprobe.model.matrix import Member, Pair, Plan, Sweep
    from netprobe.model.wiring import MachineReading
    from netprobe.wire.craft import Craft


class Machine:
    """The namespaces of this machine, opened as they are asked for; closed at the end of the `with` block.

    `host` names the namespace that the word `host` means, `exclude` those to treat as not visible (see
    `Directory`). `crafter` makes the packets. `directory` knows other namespaces than those that can be seen
    from here. Raises WrongQuestion, NotPermitted or CannotLook.
    """

    def __init__(
        self,
        host: str | None = None,
        exclude: Sequence[str] = (),
        crafter: Craft | None = None,
        directory: Directory | None = None,
    ) -> None:
        self._crafter = crafter
        self._directory = directory or Directory(host, exclude)
        self._peers = Peers(self._directory)
        self._settings = OpenSettings()
        self._standing: Namespace | None = None  # the interfaces and addresses of its home, for one question

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, *_: object) -> None:
        self._settings.close()
        self._directory.close()

    def reading(self, limit_ns: int) -> AbstractContextManager[deadline.Pauses]:
        """In the block, which is one question, all reading together takes no longer than this many ns.

        What is not read by then is a blind spot. The wait of `observe` does not count.
        """
        self._standing = None
        self._peers.begin()
        bpf.forget()
        return deadline.within(limit_ns / 1e9)

    def _forget(self) -> None:
        """A new question begins."""
        apart.forget()
        remembered.forget()

    # --- resolving

    def resolve(self, text: str, inside: Endpoint | None = None, version: int | None = None) -> Endpoint:
        """The endpoint that `text` names.

        With `inside` (the source) a host name may stand as well, and is resolved there.

        A bare address gives `namespace` None; `version` (4 or 6) chooses among the addresses of a host name.
        """
        if inside is None:  # with its source a question begins
            self._forget()
        named = self._parse(text)
        if named.ip is not None:
            return Endpoint(
                text, interface=named.interface, address=named.ip, port=named.port, protocol=named.protocol
            )
        try:
            name = self._directory.open(named)
        except UnknownName:
            if inside is None or inside.namespace is None or not named.may_be_host:
                raise
            return self._host_name(named, inside.namespace, version)
        if named.interface is not None:
            self._check_interface(named, name)
        notes = self._directory.notes(named)
        return Endpoint(
            text, name, named.interface, named.address, named.port, protocol=named.protocol, notes=notes
        )

    def _parse(self, text: str) -> Named:
        """`text` taken apart, unless it is as a whole the name of a namespace and no address."""
        try:
            named = parse(text)
        except WrongQuestion:
            if self._directory.named_whole(text):
                return Named(text, name=text)
            raise
        return Named(text, name=text) if named.ip is None and self._directory.named_whole(text) else named

    def _check_interface(self, named: Named, name: str) -> None:
        with netns.inside(self._handle(name)):
            known = interface_names()
        if named.interface not in known:
            raise WrongQuestion(f"{name} has no interface {named.interface}", "It has " + ", ".join(known))

    def _host_name(self, named: Named, inside: str, version: int | None) -> Endpoint:
        from .names.resolver import addresses_of, files_of

        found = self._directory.found(inside)
        place = self._handle(inside)
        files = files_of(inside, found.pid if found else None, netns.identity(place))
        here = netns.here(place, "looking up a host name")
        addresses = addresses_of(named.name, here, version, files, inside)
        notes = self._directory.containers.heard()  # files of a container that could not be read in time
        return Endpoint(
            named.text,
            address=addresses[0],
            port=named.port,
            host_name=named.name,
            protocol=named.protocol,
            notes=notes,
        )

    def members(
        self, endpoints: Sequence[Endpoint], groups: Sequence[str], version: int
    ) -> tuple[Member | Blind, ...]:
        """Each endpoint with its addresses of an IP version, or why it could not be looked at."""
        from .members import read_member

        found: list[Member | Blind] = []
        for endpoint, group in zip(endpoints, groups, strict=True):
            try:
                found.append(read_member(endpoint, self._handle(endpoint.namespace or ""), version, group))
            except (NetprobeError, OSError) as error:
                found.append(Blind(endpoint.endpoint, reason(error)))
        return tuple(found)

    def connected(self, network: str) -> tuple[str, ...]:
        """The running containers on the network of an engine, written as docker:front."""
        kind, _, name = network.partition(":")
        source = next((each for each in self._directory.containers.sources if each.kind == kind), None)
        if source is None or not name:
            raise WrongQuestion(f"{network} is no network of an engine", "Write docker:NAME or podman:NAME.")
        running = list(source.all())
        found = [each for each in running if name in _networks(each)]
        if not found:
            known = dict.fromkeys(other for each in running for other in _networks(each))
            raise WrongQuestion(
                f"no container that runs is on a network {name} of {kind}",
                f"There are containers on: {', '.join(known)}" if known else "See `netprobe ls`.",
            )
        return tuple(each.text for each in found)

    # --- reading

    def ahead(self, needs: Sequence[Need]) -> None:
        """These will be asked for; on this machine nothing is to be begun before."""

    def read(self, snapshot: Snapshot, needs: Sequence[Need]) -> Snapshot:
        """`snapshot` with what `needs` asks for; what cannot be had becomes a blind spot, never an
        exception.
        """
        for need in needs:
            if isinstance(
                need, AskRoute | ReadRoute | ReadFdb | ReadAsking | LookBehind | FindMacvlans | FindWire
            ):
                continue
            try:
                deadline.check()
                snapshot = self._read(snapshot, need)
            except (NetprobeError, OSError) as error:
                snapshot = blinded(snapshot, need, reason(error))
        for table in namespace.LARGE_TABLES:
            for name, sought in _by_namespace(each for each in needs if isinstance(each, table.need)).items():
                snapshot = self._looked_into(snapshot, table, name, [need.query for need in sought])
        for name, asked in _by_namespace(each for each in needs if isinstance(each, AskRoute)).items():
            snapshot = self._looked_up(snapshot, name, asked)
        for name, ports in _by_namespace(each for each in needs if isinstance(each, LookBehind)).items():
            snapshot = self._looked_behind(snapshot, name, ports)
        for wire in (each for each in needs if isinstance(each, FindWire)):
            snapshot = replace(snapshot, wires=(*snapshot.wires, self._at_the_network(wire.sought)))
        standing = [each for each in needs if isinstance(each, FindMacvlans)]
        return self._found_macvlans(snapshot, standing) if standing else snapshot

    def _looked_behind(self, snapshot: Snapshot, name: str, ports: Sequence[LookBehind]) -> Snapshot:
        """`snapshot` with what stands behind ports of bridges of one namespace."""
        try:
            deadline.check()
            self._handle(name)
            found = self._peers.look_behind(ports)
        except (NetprobeError, OSError) as error:
            why = reason(error)
            unseen = (SeenBehind(port.namespace, port.nsid, port.index, why=why) for port in ports)
            blind = Blind(f"the stations behind the ports of a bridge of {name}", why)
            return replace(snapshot, behind=(*snapshot.behind, *unseen), blind=(*snapshot.blind, blind))
        return replace(snapshot, behind=(*snapshot.behind, *found))

    @property
    def home(self) -> str:
        """The name of the namespace that netprobe, or its agent on this host, was started in; it is open from
        now on.
        """
        return self._directory.open_home()

    def _at_the_network(self, sought: str) -> FoundWire:
        """By which interfaces this host takes up what comes from others for an address or a MAC."""
        try:
            deadline.check()
            if self._standing is None:
                self._standing = namespace.read_standing(self.home, self._handle(self.home))
            found = Uplinks(self._standing, self._is_loose).of(sought)
            return FoundWire(sought, tuple((self.home, link.index) for link in found))
        except (NetprobeError, OSError) as error:
            return FoundWire(sought, why=reason(error))

    def _is_loose(self, link: Link) -> bool:
        """Whether the other end of a veth of the host's own namespace cannot be seen."""
        far = link.far_end
        return far is not None and self._peers.find(self.home, far[0]) is None

    def _found_macvlans(self, snapshot: Snapshot, parents: Sequence[FindMacvlans]) -> Snapshot:
        """`snapshot` with who stands on these interfaces; everybody is asked once for all of them."""
        try:
            deadline.check()
            for parent in parents:
                self._handle(parent.namespace)
            found = self._peers.macvlans_on([(parent.namespace, parent.index) for parent in parents])
        except (NetprobeError, OSError) as error:
            for parent in parents:
                snapshot = blinded(snapshot, parent, reason(error))
            return snapshot
        standing = (FoundMacvlans(*parent, names) for parent, names in found.items())
        return replace(snapshot, macvlans=(*snapshot.macvlans, *standing))

    def _looked_into(
        self, snapshot: Snapshot, table: namespace.LargeTable, name: str, queries: Sequence[Any]
    ) -> Snapshot:
        """`snapshot` with what these queries lead to in a table of a namespace that has very many entries."""
        try:
            deadline.check()
            return table.find(snapshot, name, queries, self._handle(name))
        except (NetprobeError, OSError) as error:
            return without_table(snapshot, table, name, queries, reason(error))

    def _looked_up(self, snapshot: Snapshot, name: str, asked: Sequence[AskRoute]) -> Snapshot:
        """`snapshot` with the kernel's answers to route lookups in one namespace."""
        try:
            deadline.check()
            answers = namespace.ask_routes(self._handle(name), [need.query for need in asked])
        except (NetprobeError, OSError) as error:
            for need in asked:
                snapshot = blinded(snapshot, need, reason(error))
            return snapshot
        found = (AskedRoute(name, need.query, answer) for need, answer in zip(asked, answers, strict=True))
        return replace(snapshot, answers=(*snapshot.answers, *found))

    def _read(self, snapshot: Snapshot, need: Need) -> Snapshot:
        if isinstance(need, ReadNamespace):
            held = self._held(need.name)
            if held != need.name and held in snapshot:
                return snapshot  # one namespace stands in a snapshot under one name
            read = namespace.read_namespace(held, self._directory.handles[held], self._settings)
            return snapshot.with_namespace(replace(read, enter=self._directory.enter(held)))
        if isinstance(need, FindPeer):
            self._handle(need.namespace)
            peer = self._peers.find(need.namespace, need.nsid)
            unasked = tuple(
                Blind("the names of containers", why) for why in self._directory.containers.heard()
            )
            return replace(
                snapshot,
                peers=(*snapshot.peers, FoundPeer(need.namespace, need.nsid, peer)),
                blind=(*snapshot.blind, *unasked),
            )
        if isinstance(need, AskConnection):
            found = entries(self._handle(need.namespace), need.flow)
            why, known = (found.why, ()) if isinstance(found, Blind) else (None, found)
            return replace(
                snapshot,
                connections=(*snapshot.connections, FoundConnection(need.namespace, need.flow, known, why)),
            )
        if isinstance(need, FindBare):
            bare = (name for name in self._peers.bare() if name not in snapshot)
            return self.read(snapshot, [*map(ReadNamespace, bare)])
        if isinstance(need, FindOthers):
            others = self._peers.others(snapshot.namespaces)
            return self.read(snapshot, [*map(ReadNamespace, others)])
        if isinstance(need, AskEngines):
            told = self._directory.containers.engines()
            return replace(snapshot, engines=replace(told, home=self.home))
        if isinstance(need, ReadChain):
            return namespace.read_chain(snapshot, need, self._handle(need.namespace))
        assert isinstance(need, AskSet)
        return namespace.answer_set(snapshot, need, self._handle(need.namespace))

    def _handle(self, name: str) -> Place:
        return self._directory.handles[self._held(name)]

    def _here(self, name: str) -> int:
        return netns.here(self._handle(name), "asking all pairs")

    def _held(self, name: str) -> str:
        """The name under which a namespace is open; `host` may be a container, too, and is opened when it is
        asked for.
        """
        if name in self._directory.handles:
            return name
        if name != self._directory.home_name:
            raise CannotLook(f"the namespace {name} is not open")
        if self._directory.is_home_excluded:
            raise CannotLook(f"{name} is excluded by --exclude")
        return self._directory.open_home()

    def spaces(self) -> tuple[Space, ...]:
        """Every namespace that can be seen from here, with its interfaces and the far ends of its veths."""
        self._forget()
        with for_want_of_resources():
            from .names.listing import list_spaces

            return list_spaces(self._directory)

    def wiring(self) -> MachineReading:
        """Every namespace that can be seen from here as a map shows it, and the networks of the engines."""
        apart.forget()
        with for_want_of_resources():
            from .names.wiring import read_wiring

            return read_wiring(self._directory)

    def heard(self) -> tuple[str, ...]:
        """What a person should know about how the names of `spaces` were found: which container engine did
        not answer.
        """
        return self._directory.containers.heard()

    def opened(self, names: Iterable[str]) -> dict[str, Place]:
        """The open namespaces among these, in that order, by name."""
        return {name: self._directory.handles[name] for name in names if name in self._directory.handles}

    def behind_port(self, name: str, protocol: str, port: int) -> tuple[str, ...]:
        """Which programs hold a port of an open namespace, in sentences, and where a docker-proxy leads."""
        from .runtimes.holders import holders, sentence
        from .tables.sockets import inodes

        try:
            with netns.inside(self._handle(name)):
                sought = inodes(protocol, port)
        except (NetprobeError, OSError):
            return ()
        registry = self._directory.containers.registry if sought else None
        found = holders(sought) if sought else ()
        return tuple(sentence(each, f"{protocol.upper()} port {port} of {name}", registry) for each in found)

    # --- observing

    def observe(
        self, watch: Watch, settled: Callable[[Sequence[Observation], int], bool]
    ) -> tuple[Observation, ...]:
        """Send the probe of `watch` and report what was seen of it, until `settled` or its timeout."""
        from netprobe.wire.craft import craft

        from .sensors.observe import observe

        bpf.forget()  # what is read after a loss is read anew
        with deadline.stopped():  # the probe's own wait
            return observe(watch, self._directory.handles, settled, self._crafter or craft)

    def sweep(
        self,
        plan: Plan,
        progress: Callable[[int, int], None],
        meanwhile: Callable[[Sequence[Pair]], Iterable[object]],
    ) -> Sweep:
        """Ask all pairs of a matrix; the namespace that netprobe was started in may route between them."""
        from netprobe.wire.craft import craft

        from .sensors.sweep.sweep import sweep

        home = None if self._directory.is_home_excluded else self._here(self._directory.open_home())
        handles = {each.namespace: self._here(each.namespace) for each in plan.members}
        return sweep(plan, handles, home, progress, meanwhile, self._crafter or craft)

    def tidied(self, plan: Plan, pair: Pair) -> AbstractContextManager[None]:
        """Neighbour entries that the block makes for the two of a pair are removed again."""
        from .sensors.sweep.post import tidied

        members = [plan.members[n] for n in pair]
        return tidied([(each, self._here(each.namespace)) for each in members], plan.version)


_AskedOf = TypeVar("_AskedOf", AskRoute, LookBehind, ReadRoute | ReadFdb | ReadAsking)


def _networks(found: Found) -> tuple[str, ...]:
    """The networks that a container is connected to, as its engine says."""
    container = getattr(found, "container", None)
    return (container.networks or ()) if container is not None else ()


def _by_namespace(needs: Iterable[_AskedOf]) -> dict[str, list[_AskedOf]]:
    """Needs by the namespace that they are about."""
    found: dict[str, list[_AskedOf]] = {}
    for need in needs:
        found.setdefault(need.namespace, []).append(need)
    return found
