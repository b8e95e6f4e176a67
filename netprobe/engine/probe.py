"""A question becomes a probe: its endpoints resolved, its options checked."""

from __future__ import annotations

import os

from msgspec import Struct
from msgspec.structs import replace

from netprobe.endpoint import check_pair, source_address
from netprobe.errors import CannotLook, WrongQuestion
from netprobe.model import Endpoint, Namespace, Probe, Protocol, ReadNamespace, Snapshot
from netprobe.model.address import version
from netprobe.model.command import joined
from netprobe.model.lookup import sole, where
from netprobe.question import (
    DEFAULT_SIZE,
    Question,
    check_options,
    check_port,
    check_source,
    check_target,
    check_version,
)

from .clock import now
from .world import World


class Posed(Struct, frozen=True):
    """The probe of a question, and what was read of the configuration for it: a prediction goes on from
    there.
    """

    probe: Probe
    snapshot: Snapshot


def to_probe(world: World, question: Question) -> Posed:
    """Endpoints and options into a probe; whatever depends on the configuration is decided by the
    prediction.
    """
    source = _source(world, question)
    target, snapshot = _target(world, question, source)
    source, snapshot = _on_link(world, source, target, snapshot)
    check_version(question, target.address)
    protocol = _protocol(question, target)
    check_options(question, protocol, target.port)
    check_port(question, protocol, target.port)
    ports = protocol.has_ports
    probe = Probe(
        protocol, os.urandom(8).hex(), source, target, count=question.count, ttl=question.ttl, df=question.df,
        size=DEFAULT_SIZE if question.size is None else question.size,
        source_port=question.source_port or (_any(32768, 60768) if ports else None),
        icmp_id=None if ports else _any(1, 65536), mark=question.mark, uid=question.uid or 0,
        interval_ns=question.interval_ns, timeout_ns=question.timeout_ns,
        reused=question.source_port is not None,
    )  # fmt: skip
    return Posed(probe, snapshot)


def _source(world: World, question: Question) -> Endpoint:
    """SRC as the machine knows it, with the address of `--source-address`."""
    source = world.resolve(question.source)
    if source.namespace is None:
        raise WrongQuestion(
            f"{question.source} is no place to send from",
            "SRC is a namespace or a container; see `netprobe ls`.",
        )
    check_source(question, source)
    return _sent_from(source, question.source_address)


def _target(world: World, question: Question, source: Endpoint) -> tuple[Endpoint, Snapshot]:
    """DST as the machine knows it, with an address and the port that was asked for; and what was read."""
    target = world.resolve(question.destination, source)
    check_target(question, target)
    port = target.port if question.port is None else question.port
    address, snapshot = target.address, Snapshot(moment=now())
    if address is None:
        snapshot = world.read(snapshot, [*map(ReadNamespace, _ends(source, target))])
        wanted = question.version or _version(source.address)
        address = _address_of(snapshot, target, wanted, source)
    if address is None:
        snapshot = world.read(snapshot, snapshot.engines_asked(True))
        address, target = _as_given(snapshot, target, question, wanted)
    check_pair(source.address, address, question.destination)
    return replace(target, port=port, address=address), snapshot


def _ends(source: Endpoint, target: Endpoint) -> dict[str, None]:
    """The namespaces of both ends."""
    return dict.fromkeys(filter(None, (source.namespace, target.namespace)))


def _sent_from(source: Endpoint, written: str | None) -> Endpoint:
    """The source with the address of `--source-address`, and with the interface that may stand behind it."""
    if written is None:
        return source
    address, zone = source_address(written)
    if zone is not None and source.interface not in (None, zone):
        raise WrongQuestion(
            f"{written} is on {zone}, and {source.endpoint} is another interface", f"Write {address}"
        )
    return replace(source, address=address, interface=zone or source.interface)


def _on_link(
    world: World, source: Endpoint, target: Endpoint, snapshot: Snapshot
) -> tuple[Endpoint, Snapshot]:
    """The source with the interface on which a link-local destination is meant; any other needs none. And
    what is read now.
    """
    from netprobe.predict import destination, prefix

    if target.address is None or source.namespace is None or not prefix.needs_scope(target.address):
        return source, snapshot
    if source.namespace not in snapshot:
        snapshot = world.read(snapshot, [ReadNamespace(source.namespace)])
    zone = target.interface if target.namespace is None else None
    interface = destination.scope(snapshot[source.namespace], source, target.address, zone)
    return replace(source, interface=interface), snapshot


def _protocol(question: Question, target: Endpoint) -> Protocol:
    named = question.protocol or target.protocol or ("tcp" if target.port is not None else "icmp")
    six = ":" in (target.address or "")
    return {
        "icmp": Protocol.ICMPV6 if six else Protocol.ICMP,
        "arp": Protocol.ND if six else Protocol.ARP,
    }.get(named) or Protocol(named)


def _version(address: str | None) -> int | None:
    return None if address is None else version(address)


def _address_of(snapshot: Snapshot, target: Endpoint, wanted: int | None, source: Endpoint) -> str | None:
    """The address of a destination that is given as a namespace, of the IP version that is wanted: one on a
    network of the source first. None where it has none.
    """
    from netprobe.predict.destination import destination_address
    from netprobe.predict.unread import Unread, guarded

    assert target.namespace is not None
    try:
        return destination_address(guarded(snapshot), source, target, wanted)
    except Unread as unread:
        raise CannotLook(unread.reason.text) from unread


def _as_given(
    snapshot: Snapshot, target: Endpoint, question: Question, wanted: int | None
) -> tuple[str, Endpoint]:
    """The address that its engine gave a container which has none, and the container with a word on that."""
    from netprobe.diagnose.engines import given

    found = given(snapshot, snapshot.at(target.namespace), wanted)
    if found is None:
        kind = f"IPv{question.version} " if question.version else ""
        why = "".join(f": {note}" for note in target.notes[:1])
        raise WrongQuestion(
            f"{question.destination} has no {kind}address{why}", "Give the address instead, or -4 / -6."
        )
    return found, replace(target, notes=(*target.notes, f"it has no address; its engine gave it {found}"))


def other_segment(question: Question, probe: Probe, here: Namespace) -> WrongQuestion:
    """ARP does not pass a router: say so, and what to type instead; by an interface that is named any address
    is asked for, as by arping(8).
    """
    target = probe.destination.address
    named = question.destination if question.destination == target else f"{question.destination} ({target})"
    message = f"{named} is not on a segment of {question.source}: ARP and ND do not pass a router"
    links = where(here.outward, up=True, arp=True) if "@" not in question.source else ()
    asked = (_typed("arping", f"{question.source}/{each.name}", question) for each in sole(links))
    instead = f"Follow the packet instead: {_typed('trace', question.source, question)}"
    return WrongQuestion(
        message, "\n".join((instead, *(f"Ask there all the same: {each}" for each in asked)))
    )


def _typed(command: str, source: str, question: Question) -> str:
    return joined(("netprobe", command, source, question.destination))


def _any(first: int, end: int) -> int:
    """Some number from the first up to the end. `random` takes longer to import than all this."""
    return first + int.from_bytes(os.urandom(8), "big") % (end - first)
