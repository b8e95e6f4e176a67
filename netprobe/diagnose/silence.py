"""What the questions of the kernels on the way show that no configuration does: addresses for which nobody at
the network between the hosts answers, and whose answer came first where several did. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from netprobe.model import FoundWire, Need, Neighbour, Observation, Snapshot
from netprobe.model.lookup import all_but, among, column, where
from netprobe.predict import prefix
from netprobe.predict.drop import Unread
from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction

from .correlate import frames, is_probe
from .neighbour_messages import ANSWER, QUESTION, neighbour_messages


def heard(
    snapshot: Snapshot, prediction: Prediction, seen: Sequence[Observation]
) -> tuple[Snapshot, Prediction] | None:
    """The configuration with what was heard of who is not there, or answered first, and the walk over it;
    None where that tells nothing new.
    """
    found = listened(snapshot, prediction, seen)
    if found is None or not isinstance(found[1], Prediction):
        return None
    return found[0], found[1]


def listened(
    snapshot: Snapshot, prediction: Prediction, seen: Sequence[Observation]
) -> tuple[Snapshot, Prediction | tuple[Need, ...]] | None:
    """The same, or what must be read before that walk can be made."""
    try:
        silent = _silent(snapshot, seen)
    except Unread:  # which is said where the walk comes to it
        silent = ()
    told = [*_answering(snapshot, prediction, seen)]
    if not silent and not told:
        return None
    found = (FoundWire(address, silent=True) for address in silent)
    known = replace(snapshot, wires=(*snapshot.wires, *found))
    for name, entry in told:
        here = known[name]
        others = all_but(here.neighbours, where(here.neighbours, index=entry.index, address=entry.address))
        known = known.with_namespace(replace(here, neighbours=(*others, entry)))
    return known, predict(known, prediction.probe, ask=False)


def _answering(
    snapshot: Snapshot, prediction: Prediction, seen: Sequence[Observation]
) -> Iterator[tuple[str, Neighbour]]:
    """Who was believed to be a next hop, as the frames show that the probe was sent in, where the model
    believes another one: of several that answer, some only after a while (ip-sysctl, proxy_delay).
    """
    stations = {link.mac for each in snapshot.namespaces.values() for link in each.links}
    sent = where(filter(is_probe, frames(seen)), bound="out")
    for routed in prediction.routed:
        for link in filter(None, (snapshot[routed.namespace].link_of(routed.decision.leg),)):
            at = {"namespace": routed.namespace, "interface": link.name}
            foretold = {None, "", *column(where(prediction.hops, **at), "flow.dst_mac")}
            taken = {*column(where(sent, leg=routed.leg, **at), "flow.dst_mac")} & stations
            for mac in sorted(taken - foretold):
                yield routed.namespace, Neighbour(link.index, routed.via, mac, "reachable")


def _silent(snapshot: Snapshot, seen: Sequence[Observation]) -> tuple[str, ...]:
    """The addresses that a host has asked for by an interface of its own, in no tunnel, and got no answer
    there. Of a neighbour on both sides it is the question that was lost.
    """
    between = where(among(neighbour_messages(seen), namespace=snapshot.homes), outer=None)
    answered = {*column(where(between, bound="in", says=ANSWER), "src")}
    asked = {(each.namespace, each.dst) for each in where(between, bound="out", says=QUESTION)}
    wanted = sorted(asked | {*_in_vain(snapshot)})
    return tuple(
        address
        for name, address in wanted
        if address not in answered and not _is_beside(snapshot, name, address)
    )


def _in_vain(snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    """Who was asked for already, and has not answered: the kernel asks once a second, and not for each
    packet.
    """
    for home in filter(None, map(snapshot.get, snapshot.homes)):
        for entry in among(home.neighbours, state=("incomplete", "failed")):
            yield home.name, entry.address


def _is_beside(snapshot: Snapshot, asking: str, address: str) -> bool:
    """Whether a host has an address, and each of the two takes the other for a neighbour."""
    own = prefix.neighbours_of(address, where(snapshot.at(asking).addresses, scope="global"))
    theirs = filter(None, (home.address(address) for home in map(snapshot.at, snapshot.homes)))
    return any(prefix.neighbours_of(each.address, [other]) for other in theirs for each in own)
