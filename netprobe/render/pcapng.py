"""The capture of a run: its frames as pcapng, each with a comment that says which hop it is and what changed.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest

from msgspec.structs import replace

from netprobe.model import Flow, Hop, Leg, Observation, Report, Run, Sighting

from .escape import safe
from .pcapng_blocks import Capture, Frame, InterfaceBlock, read, write

_Hops = dict[tuple[Leg | None, int | None], Hop]

__all__ = ["Capture", "Frame", "InterfaceBlock", "capture", "read", "write"]

_FIELDS = {
    "src": "source",
    "dst": "destination",
    "sport": "source port",
    "dport": "destination port",
    "icmp_id": "ICMP id",
    "ttl": "TTL",
}


def capture(
    run: Run,
    command: str,
    saved: bytes | None,
    *,
    application: str = "netprobe",
    system: str = "Linux",
    hardware: str = "",
) -> bytes:
    """The capture file of a run.

    `saved` is the run as `netprobe show` reads it, if it is kept; `command` is what was typed.
    """
    frames = sorted(
        (o for o in run.observations if o.kind == "seen" and o.interface), key=lambda o: o.time_ns
    )
    places = list(dict.fromkeys(_place(frame) for frame in frames))
    report = run.report
    return write(
        Capture(
            tuple(InterfaceBlock(_name(namespace, interface), link_type) for namespace, interface,
            link_type in places),
            tuple(
                Frame(places.index(_place(o)),
                _within(run.started_ns + o.time_ns if not o.stamp_ns else o.stamp_ns, 64), o.frame,
                      _within(o.wire_length or len(o.frame), 32), o.bound, comment)
                for o, comment in zip(frames, comments(report, frames), strict=True)
            ),
            f"{safe(command)}\n{report.verdict.value}: {safe(report.summary)}",
            safe(application),
            safe(hardware),
            safe(system),
            saved,
        )
    )  # fmt: skip


def _within(value: int, bits: int) -> int:
    """The nearest number that a field of so many bits can hold: a run that was saved may say anything."""
    return min(max(0, value), (1 << bits) - 1)


def _place(frame: Observation) -> tuple[str, str, int]:
    return frame.namespace, frame.interface or "", frame.link_type


def _name(namespace: str, interface: str) -> str:
    return safe(f"{namespace}/{interface}")


def comments(report: Report, frames: Sequence[Observation]) -> list[str]:
    """What each frame is: its hop and stage on the way, what changed since it was last seen, or why it is
    here at all.
    """
    hops: _Hops = {(leg, hop.n): hop for leg in Leg for hop in report.path.of(leg)}
    reasons = {(c.field, c.before, c.after): c.by for hop in hops.values() for c in hop.changes}
    sightings = report.sightings if len(report.sightings) == len(frames) else ()
    last: dict[tuple[Leg | None, int], Flow] = {}
    said = []
    for frame, sighting in zip_longest(frames, sightings):
        if sighting is not None:  # the diagnosis may know better what a frame is not
            frame = replace(frame, leg=sighting.leg, text=sighting.text)
        words = [_what(frame, report.probe.count), _where(frame, sighting, hops)]
        flow = frame.flow if _is_of_probe(frame) else None
        if flow is not None:
            key = (frame.leg, frame.sequence)
            words += _changes(last.get(key, flow), flow, reasons)
            last[key] = flow
        said.append(safe("; ".join(filter(None, words))))
    return said


def _is_of_probe(frame: Observation) -> bool:
    return frame.leg is not None and frame.error is None


def _what(frame: Observation, count: int) -> str:
    number = f" {frame.sequence + 1}" if count > 1 else ""
    if frame.error is not None:
        return f"ICMP error from {frame.error.sender} about the {frame.leg or 'probe'}{number}"
    if frame.leg is None:
        return frame.text or "not the probe: its neighbours being found"
    return ": ".join(filter(None, (f"{frame.leg}{number}", frame.text)))


def _where(frame: Observation, sighting: Sighting | None, hops: _Hops) -> str:
    place = f"{frame.namespace}/{frame.interface} {frame.bound or ''}".rstrip()
    hop = hops.get((frame.leg, sighting.hop)) if sighting is not None else None
    return place if hop is None else f"hop {hop.n}, {hop.stage.value}, {place}"


def _changes(before: Flow, after: Flow, reasons: dict[tuple[str, str, str], str]) -> Iterable[str]:
    """What is different from the same packet where it was seen before, and what did it."""
    for name, words in _FIELDS.items():
        old, new = getattr(before, name), getattr(after, name)
        if None not in (old, new) and old != new:
            reason = reasons.get((name, str(old), str(new)))
            by = f" ({reason})" if reason else ""
            yield f"{words} {old} → {new}{by}"
    match before.outer, after.outer:
        case None, Flow(src=source, dst=destination):
            yield f"inside a tunnel {source} → {destination}"
        case Flow(), None:
            yield "out of its tunnel"
