"""Another host as a machine: what `linux` reads of this one is read of that one, over its agent."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING

from msgspec.structs import replace

from netprobe.endpoint import Named
from netprobe.errors import CannotLook, NetprobeError, WrongQuestion, for_want_of_resources
from netprobe.kernel.elsewhere import Elsewhere, at
from netprobe.linux import namespace, netns
from netprobe.linux.blind import blinded
from netprobe.linux.files import SMALL
from netprobe.linux.machine import Machine
from netprobe.linux.names.listing import list_spaces
from netprobe.linux.names.names import NamedNamespaces
from netprobe.linux.netfilter.kernel import GET_CHAIN, GET_SET, Nfnetlink
from netprobe.linux.netlink import Netlink
from netprobe.linux.netlink import Request as netlink_request
from netprobe.linux.tables import fib
from netprobe.model import (
    AskConnection,
    AskRoute,
    AskSet,
    Blind,
    Endpoint,
    FindWire,
    FoundWire,
    Need,
    ReadAsking,
    ReadChain,
    ReadFdb,
    ReadNamespace,
    ReadRoute,
    RouteQuery,
    Snapshot,
    Space,
)
from netprobe.model.command import quoted

from .connection import AgentConnection
from .directory import HostDirectory
from .place import DistantNamespace
from .questions import Questions, Rehearsal, Request

if TYPE_CHECKING:
    from netprobe.linux import deadline
    from netprobe.model.matrix import Member
    from netprobe.model.wiring import MachineReading
    from netprobe.wire.craft import Craft

# needs whose reading changes nothing here, so that it can be done again
REPEATABLE = (ReadNamespace, AskRoute, ReadRoute, ReadFdb, ReadAsking, AskConnection, ReadChain, AskSet)


LOOKUP_S = 2.0  # to look a host name up
Read = Callable[[Snapshot, Sequence[Need]], Snapshot]


class Host(Machine):
    """The namespaces of the host `name`, opened as they are asked for; closed at the end of the `with` block,
    as the connection is not. Every name of the host has the prefix `name:` in what comes from here, and none
    in what is asked.

    Threads take turns: one that was given up as late may still be at it. Raises CannotLook where no agent
    answers over `connection`.
    """

    def __init__(
        self,
        name: str,
        connection: AgentConnection,
        exclude: Sequence[str] = (),
        crafter: Craft | None = None,
        way: tuple[str, ...] | None = (),
    ) -> None:
        self.name = name
        self._turn = threading.RLock()
        self._questions = Questions(name, connection)
        self._there = HostDirectory(self._questions, exclude, way)
        super().__init__(crafter=crafter, directory=self._there)

    def reading(self, limit_ns: int) -> AbstractContextManager[deadline.Pauses]:
        """In the block, which is one question, all reading together takes no longer than this many ns."""
        self._questions.in_time()
        return super().reading(limit_ns)

    def _forget(self) -> None:
        """A new question begins."""
        super()._forget()
        self._there.forget()

    # --- resolving

    def resolve(self, text: str, inside: Endpoint | None = None, version: int | None = None) -> Endpoint:
        """The endpoint that `text` names on this host; of an address the namespace that has it."""
        with self._turn, self._understood():
            found = super().resolve(text, inside, version)
        if found.namespace is None and found.address is not None and found.host_name is None:
            found = replace(found, namespace=self._holder(found.address, text))
        return replace(found, endpoint=f"{self.name}:{found.endpoint}")

    def _host_name(self, named: Named, inside: str, version: int | None) -> Endpoint:
        """A host name, looked up by getent(1) in the namespace `inside` of this host; in one that ip-netns(8)
        knows with its own resolv.conf.
        """
        found, version_word = self._there.found(inside), f"v{version}" if version else ""
        is_named = found is not None and found.kind == NamedNamespaces.kind
        way = found.enter if found is not None and is_named else None
        line = (*(way or ()), "getent", f"ahosts{version_word}", "--", named.name)
        addresses = self._printed_by_getent(named.name, inside, line)
        return Endpoint(
            named.text,
            address=addresses[0],
            port=named.port,
            host_name=named.name,
            protocol=named.protocol,
        )

    def _printed_by_getent(self, name: str, inside: str, line: Sequence[str]) -> list[str]:
        """The addresses of a host name. Raises WrongQuestion where there is none, CannotLook."""
        place = self._handle(inside)
        assert isinstance(place, Elsewhere)
        ended = place.tools({"getent": line}, SMALL, LOOKUP_S)["getent"]
        if isinstance(ended, OSError):
            raise CannotLook(f"{name} cannot be looked up on {self.name}: getent: {ended.strerror}")
        if ended.code is None:
            raise CannotLook(
                f"{name}: no name server answered {self.name} in time",
                "Write the address instead of the name.",
            )
        lines = ended.output.decode("ascii", "replace").splitlines()
        addresses = [each.split()[0] for each in lines if each.split()]
        if not addresses:
            raise WrongQuestion(f"{name} is not known on {self.name}", "Write its address.")
        return addresses

    def _holder(self, address: str, text: str) -> str:
        """The name of the namespace that has an address; it is open from now on."""
        holders = [
            space
            for space in self.spaces()
            if address in {own.partition("/")[0] for each in space.interfaces for own in each.addresses}
        ]
        if not holders:
            raise WrongQuestion(f"no namespace of {self.name} that can be seen has the address {text}")
        if len(holders) > 1:
            raise WrongQuestion(
                f"more than one namespace of {self.name} has the address {text}",
                "Write one of: " + "  ".join(quoted(each.typed) for each in holders),
            )
        return super().resolve(holders[0].typed.removeprefix(f"{self.name}:")).namespace or ""

    # --- reading

    def ahead(self, needs: Iterable[Need]) -> None:
        """Ask for what is known to be asked for `needs`, in namespaces that are open, and do not wait for the
        answers: `read` does, and says why there are none.
        """
        if not self._turn.acquire(blocking=False):
            return
        try:
            self._ask_ahead(needs)
        finally:
            self._turn.release()

    def _ask_ahead(self, needs: Iterable[Need]) -> None:
        asked: dict[str, dict[Request, Request]] = {}
        for need in needs:
            if isinstance(need, ReadNamespace):
                asked.setdefault(need.name, {}).update(_usual())
            elif isinstance(need, AskRoute):
                asked.setdefault(need.namespace, {}).update(_route_questions(need.query))
        for name, requests in asked.items():
            if (place := self._directory.handles.get(name)) is not None:
                with suppress(NetprobeError, OSError):
                    self._questions.ahead(netns.number(place), requests)

    def read(self, snapshot: Snapshot, needs: Sequence[Need]) -> Snapshot:
        """`snapshot` with what `needs` asks for; what cannot be had becomes a blind spot, never an
        exception.
        """
        together = [need for need in needs if isinstance(need, REPEATABLE)]
        rest = [need for need in needs if not isinstance(need, REPEATABLE)]
        with self._turn:
            for some, read in ((together, self._read_together), (rest, super().read)):
                snapshot = self._read_somehow(snapshot, some, read) if some else snapshot
        return snapshot

    def _read_together(self, snapshot: Snapshot, needs: Sequence[Need]) -> Snapshot:
        """The same with all of them asked for at once. Raises NetprobeError or OSError."""
        read = super().read
        self.ahead(needs)
        return self._questions.rehearsed(lambda: read(snapshot, needs))

    def _read_somehow(self, snapshot: Snapshot, needs: Sequence[Need], read: Read) -> Snapshot:
        """By `read`, and where that fails one by one: each says why."""
        try:
            with self._understood():
                return read(snapshot, needs)
        except (NetprobeError, OSError):
            for need in needs:
                snapshot = self._read_one(snapshot, need)
            return snapshot

    def _read_one(self, snapshot: Snapshot, need: Need) -> Snapshot:
        try:
            with self._understood():
                return super().read(snapshot, [need])
        except (NetprobeError, OSError) as error:
            if isinstance(need, FindWire):
                return replace(snapshot, wires=(*snapshot.wires, FoundWire(need.sought, why=str(error))))
            return blinded(snapshot, need, str(error))

    def _at_the_network(self, sought: str) -> FoundWire:
        """By which interfaces this host takes up what comes from others for an address or a MAC."""
        try:
            if self._standing is None:  # read in the turn that `read` has
                name, place = self.home, self._handle(self.home)
                self._standing = self._questions.rehearsed(lambda: namespace.read_standing(name, place))
        except (NetprobeError, OSError) as error:
            return FoundWire(sought, why=str(error))
        return super()._at_the_network(sought)

    @contextmanager
    def _understood(self) -> Iterator[None]:
        """What the host says is taken apart as the word of a kernel, and may be anything.

        Raises CannotLook for what no kernel says.
        """
        try:
            yield
        except (NetprobeError, OSError, MemoryError):
            raise
        except Exception as error:
            raise CannotLook(f"{self.name} gives answers that no kernel gives ({error!r:.80})") from error

    def spaces(self) -> tuple[Space, ...]:
        """Every namespace of the host that can be seen, with its interfaces and the far ends of its veths."""
        with self._turn, for_want_of_resources(), self._understood():
            self._forget()
            return self._questions.rehearsed(lambda: list_spaces(self._directory))

    def members(
        self, endpoints: Sequence[Endpoint], groups: Sequence[str], version: int
    ) -> tuple[Member | Blind, ...]:
        """Each endpoint with its addresses of an IP version, or why it could not be looked at."""
        asked = zip(endpoints, groups, strict=True)
        with self._turn:
            return tuple(self._member(endpoint, group, version) for endpoint, group in asked)

    def _member(self, endpoint: Endpoint, group: str, version: int) -> Member | Blind:
        try:
            with self._understood():
                [found] = super().members([endpoint], [group], version)
        except CannotLook as error:
            return Blind(endpoint.endpoint, str(error))
        return found

    def connected(self, network: str) -> tuple[str, ...]:
        """The running containers on the network of an engine of this host, written as docker:front."""
        with self._turn, self._understood():
            return super().connected(network)

    def wiring(self) -> MachineReading:
        """Raises CannotLook."""
        raise CannotLook(f"{self.name}: another host is not drawn as a map")

    def behind_port(self, name: str, protocol: str, port: int) -> tuple[str, ...]:  # noqa: ARG002
        """Nothing: which program has a port is not looked for on another host."""
        return ()


@cache
def _usual() -> Mapping[Request, Request]:
    """What is asked of each namespace to begin with, as far as that is known without an answer."""
    questions = Rehearsal()
    place = DistantNamespace(questions, 0, (0, 0))
    with suppress(NetprobeError, OSError):
        namespace.read_namespace("", place)
    for kind in (GET_CHAIN, GET_SET):  # of every namespace with rules
        with at(place), suppress(OSError), Nfnetlink() as netlink:
            netlink.bodies(netlink_request(kind))
    return questions.missing()


def _route_questions(query: RouteQuery) -> Mapping[Request, Request]:
    """What is asked for the answer to a route query."""
    asked = Rehearsal()
    with at(DistantNamespace(asked, 0, (0, 0))), Netlink() as netlink:
        for question in fib.questions(query):
            with suppress(OSError):
                netlink.ask(question)
    return asked.missing()
