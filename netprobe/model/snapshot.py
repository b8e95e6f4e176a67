"""What has been read of a machine: its namespaces, the wiring between them, and what a walk may ask for
besides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from .config import ConntrackEntry, FdbQuery, RouteAnswer, RouteQuery
from .engines import ContainerEngines
from .flow import Flow
from .link import Link
from .namespace import Namespace
from .place import Blind, Place
from .ruleset import ChainQuery, SetQuery


class FoundPeer(Struct, frozen=True, gc=False):
    """What `namespace` calls `nsid` is the namespace `peer`; None when that one is not visible from here.

    `why`: nobody could look, so that `peer` says nothing.
    """

    namespace: str
    nsid: int
    peer: str | None
    why: str | None = None


class FoundMacvlans(Struct, frozen=True, gc=False):
    """The namespaces that have a macvlan on interface `index` of `namespace`, or, of index 0, a VXLAN device
    that was made there, as far as they can be seen; `why` nobody could look.
    """

    namespace: str
    index: int
    names: tuple[str, ...] = ()
    why: str | None = None


class SeenBehind(Struct, frozen=True, gc=False):
    """What stands at `index` of the namespace that `namespace` calls `nsid`, looked at without reading that
    namespace: enough to tell whether a station has anything to do with a frame.

    `plain`: it takes frames for `mac` up and passes none on, and answers for nothing but `own`, the addresses
    and prefixes that it has for its own. What is not plain must be read. `why`: nobody could look.
    """

    namespace: str
    nsid: int
    index: int
    plain: bool = False
    mac: str = ""
    own: tuple[str, ...] = ()
    why: str | None = None


class FoundWire(Struct, frozen=True, gc=False):
    """The interfaces, as (namespace, ifindex), at the network between the hosts by which a host takes up what
    is for `sought`, an address or a MAC of its own.

    Of a host that could not be asked nothing is known: `why`, of the first one. `silent`: somebody of this
    run has asked who has that address, and got no answer.
    """

    sought: str
    ends: tuple[tuple[str, int], ...] = ()
    why: str | None = None
    silent: bool = False


class AskedRoute(Struct, frozen=True, gc=False):
    """A route query put to the kernel of `namespace`, and its answer; kept so that a recording replays it.

    `why`: it could not be asked, so that `answer` says nothing.
    """

    namespace: str
    query: RouteQuery
    answer: RouteAnswer
    why: str | None = None


class FoundConnection(Struct, frozen=True, gc=False):
    """What the connection tracking of `namespace` holds for `flow`; `why` it could not be asked, or None."""

    namespace: str
    flow: Flow
    entries: tuple[ConntrackEntry, ...] = ()
    why: str | None = None


class Moment(Struct, frozen=True, gc=False):
    """A time of the wall clock: seconds since 1970 in UTC, and how many the local time zone is ahead."""

    seconds: int
    ahead: int = 0


_NOT_READ, _NOT_ASKED = Namespace(""), ContainerEngines()


class Snapshot(Struct, frozen=True, gc=False):
    """The namespaces read so far, by name, the wiring between them, and what the kernel answered to route
    queries.

    `moment` is when it was begun, for rules that look at the clock. `homes` are the namespaces in which the
    hosts stand that can be asked, where there are others than this machine; between these is a network that
    nobody sees, and `wires` is who is there. `engines` is None until they were asked.
    """

    namespaces: Mapping[str, Namespace] = field(default_factory=dict)
    peers: tuple[FoundPeer, ...] = ()
    answers: tuple[AskedRoute, ...] = ()
    connections: tuple[FoundConnection, ...] = ()
    blind: tuple[Blind, ...] = ()
    macvlans: tuple[FoundMacvlans, ...] = ()
    behind: tuple[SeenBehind, ...] = ()
    wires: tuple[FoundWire, ...] = ()
    homes: tuple[str, ...] = ()
    moment: Moment | None = None
    engines: ContainerEngines | None = None

    def __getitem__(self, name: str) -> Namespace:
        return self.namespaces[name]

    def get(self, name: str | None) -> Namespace | None:
        """The namespace with this name, or None where it was not read."""
        return self.namespaces.get(name) if name is not None else None

    def at(self, name: str | None) -> Namespace:
        """The namespace with this name, or an empty one without a name where it was not read."""
        return self.namespaces.get(name or "", _NOT_READ)

    def link_at(self, place: Place) -> tuple[Namespace, Link] | None:
        """The namespace and the interface that a place names, or None."""
        namespace = self.get(place.namespace)
        if namespace is None:
            return None
        link = namespace.link_named(place.interface or "")
        return None if link is None else (namespace, link)

    def known(self, names: Iterable[str | None]) -> tuple[str, ...]:
        """Those of these namespaces that were read, each once, in their order."""
        return tuple(dict.fromkeys(name for name in names if name is not None and name in self))

    def changed_from(self, before: Snapshot) -> set[str]:
        """The namespaces that are otherwise than in another snapshot, or new in this one."""
        return {name for name, each in self.namespaces.items() if each != before.namespaces.get(name)}

    def __contains__(self, name: object) -> bool:
        return name in self.namespaces

    def host_of(self, name: str) -> str | None:
        """The namespace in which the host stands whose prefix a name bears; None where that is not known."""
        known = {_prefix(home): home for home in self.homes}
        return known.get(_prefix(name), known.get(""))

    @property
    def told_engines(self) -> ContainerEngines:
        """What the engines said; nothing where they were not asked."""
        return self.engines or _NOT_ASKED

    def engines_asked(self, wanted: bool) -> tuple[AskEngines, ...]:
        """The request for the engines' word where it is wanted: they are those of this machine, and were not
        asked yet.
        """
        return (AskEngines(),) if wanted and self.engines is None and not self.homes else ()

    def with_namespace(self, namespace: Namespace) -> Snapshot:
        """This snapshot with `namespace` put in (or in the place of the one with its name)."""
        return replace(self, namespaces={**self.namespaces, namespace.name: namespace})


def _prefix(name: str) -> str:
    """What stands before the first colon; nothing where there is none."""
    return "".join(name.split(":", 1)[:-1])


STARTED_IN = "host"  # what the namespace in which netprobe was started is called


class ReadNamespace(Struct, frozen=True, gc=False):
    """Predict's request: read this namespace's configuration."""

    name: str


class FindPeer(Struct, frozen=True, gc=False):
    """Predict's request: which namespace does `namespace` call `nsid`?"""

    namespace: str
    nsid: int


class FindMacvlans(Struct, frozen=True, gc=False):
    """Predict's request: which namespaces have a macvlan on interface `index` of `namespace`, or, of index 0,
    a VXLAN device that was made there? The kernel tells it the other way only.
    """

    namespace: str
    index: int


class FindBare(Struct, frozen=True, gc=False):
    """Predict's request: from which of the named namespaces of the machine of `namespace` does nothing lead
    out? They are read.
    """

    namespace: str


class FindOthers(Struct, frozen=True, gc=False):
    """The diagnosis' request: which of the named namespaces of the machine of `namespace` has nobody come to
    yet? The first few of them are read.
    """

    namespace: str


class FindWire(Struct, frozen=True, gc=False):
    """Predict's request: by which interfaces do the hosts take up what comes over the network between them
    for `sought`, an address or a MAC?
    """

    sought: str


class LookBehind(Struct, frozen=True, gc=False):
    """Predict's request: has the station at `index` of what `namespace` calls `nsid` anything to do with
    frames? Asked for all ports of a large bridge together, of which a few are read then.
    """

    namespace: str
    nsid: int
    index: int


class AskRoute(Struct, frozen=True, gc=False):
    """Predict's request: what does the kernel's FIB of `namespace` answer to `query`?"""

    namespace: str
    query: RouteQuery


class AskSet(Struct, frozen=True, gc=False):
    """Predict's request: what does the kernel of `namespace` answer to `query`? The answer goes into its
    ruleset (`with_answer`).
    """

    namespace: str
    query: SetQuery


class ReadChain(Struct, frozen=True, gc=False):
    """Predict's request: read this chain of a large table of `namespace`. It goes into its ruleset
    (`with_chain`).
    """

    namespace: str
    query: ChainQuery


class ReadRoute(Struct, frozen=True, gc=False):
    """Predict's request: read the routes of `namespace` that `query` leads to; it has too many to be read
    whole.
    """

    namespace: str
    query: RouteQuery


class ReadFdb(Struct, frozen=True, gc=False):
    """Predict's request: read the forwarding entries of `namespace` that answer `query`; its bridges have too
    many to be read whole.
    """

    namespace: str
    query: FdbQuery


class ReadAsking(Struct, frozen=True, gc=False):
    """Predict's request: read how the interface of `namespace` asks for neighbours whose settings stand below
    the name `query` (`net.ipv4.neigh.eth0`); it has too many interfaces for all to be read.
    """

    namespace: str
    query: str


class AskConnection(Struct, frozen=True, gc=False):
    """Predict's request: which tracked connections of `namespace` does `flow` belong to?"""

    namespace: str
    flow: Flow


class AskEngines(Struct, frozen=True, gc=False):
    """The diagnosis' request: what do the container engines say of their containers and networks?"""


Need = (
    ReadNamespace
    | FindPeer
    | FindMacvlans
    | FindBare
    | FindOthers
    | FindWire
    | LookBehind
    | AskRoute
    | AskSet
    | ReadChain
    | ReadRoute
    | ReadFdb
    | ReadAsking
    | AskConnection
    | AskEngines
)
