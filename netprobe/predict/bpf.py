"""Programs and queues on an interface: places that may drop a packet, whose decision nobody can read off the
configuration.

XDP, tc classifiers and queueing disciplines (net/core/dev.c, net/sched/): present means suspect. A BPF
program is none where all that it can answer lets every packet pass, and where all of it drops it is certain.
"""

from __future__ import annotations

import re
from math import inf

from msgspec import Struct
from msgspec.structs import replace

from netprobe.model import Command, Leg, Link, Namespace, Object, Qdisc, Stage, Stop, TcFilter

from .drop import link_down, lost, place_of
from .fixes import xdp_off

# Disciplines that a default system has, and that drop only under a load that a probe is not.
_HARMLESS = {
    "noqueue",
    "pfifo_fast",
    "fq_codel",
    "mq",
    "fq",
    "pfifo",
    "bfifo",
    "ingress",
    "clsact",
    "noop",
    "sfq",
    "cake",
}


_PASSES = {"pass", "continue"}  # answers that leave a packet alone


class Judged(Struct, frozen=True, gc=False):
    """What is known of the programs and queues at one place: `stop`, that they drop every packet, or what may
    drop it.
    """

    stop: Stop | None = None
    suspects: tuple[Stop, ...] = ()


_CERTAINLY, _MAYBE = "drops every packet", "may drop the packet"


def xdp(name: str, link: Link) -> Judged:
    """The XDP program on an interface."""
    if not link.xdp or _lets_pass(link.xdp_answers):
        return Judged()
    object, fix = Object("xdp", f"{link.name} xdp", link.xdp), (xdp_off(link),)
    text = f"an XDP program on {link.name} ({link.xdp})"
    stop = lost("filtered-by-xdp", name, link, Stage.RECEIVE, f"{text} {_CERTAINLY}", object=object, fix=fix)
    if _drops(link.xdp_answers):
        return Judged(stop)
    return Judged(suspects=(replace(stop, text=f"{text} {_MAYBE}"),))


def _lets_pass(answers: tuple[str, ...] | None) -> bool:
    return answers is not None and _PASSES.issuperset(answers)


def _drops(answers: tuple[str, ...] | None) -> bool:
    return answers == ("drop",)


def cgroup(namespace: Namespace, link: Link | None, leg: Leg) -> tuple[Stop, ...]:
    """The BPF programs on the sender's cgroup (netprobe's own: the probe is its), as suspects."""
    if leg is not Leg.REQUEST:
        return ()
    found = [text for text in namespace.cgroup_programs if "egress" in text]
    place = place_of(namespace.name, link, Stage.OUTPUT)
    return tuple(
        Stop(
            "filtered-by-cgroup",
            place,
            f"a BPF program on the sender's cgroup may drop the packet: {t}",
            Object("cgroup", t, t),
        )
        for t in found
    )


def ingress(namespace: Namespace, link: Link) -> Judged:
    """The tc filters on the way in."""
    return _filters(namespace, link, Stage.INGRESS)


def egress(namespace: Namespace, link: Link) -> Judged:
    """The tc filters on the way out and a queueing discipline that polices."""
    judged = _filters(namespace, link, Stage.EGRESS)
    policing = (_qdisc(namespace.name, link, each) for each in filter(_may_drop, link.qdiscs))
    return replace(judged, suspects=(*judged.suspects, *policing))


def _filters(namespace: Namespace, link: Link, stage: Stage) -> Judged:
    """The first filter that does not leave every packet to the next one is certain to be asked."""
    name = namespace.name
    asked = [each for each in link.filters if each.direction == stage and each.answers != ("continue",)]
    if asked and _drops(asked[0].answers):
        return Judged(_filter(name, link, asked[0], stage, "filtered-by-tc", _CERTAINLY))
    doubtful = (
        _dead_target(namespace, each) or _filter(name, link, each, stage, *_doubt(each))
        for each in asked
        if not (_lets_pass(each.answers) or _comes_back(namespace, each))
    )
    return Judged(suspects=tuple(doubtful))


def _dead_target(namespace: Namespace, found: TcFilter) -> Stop | None:
    """A filter that redirects to a device that is down, which loses what it is given (tcf_mirred_act)."""
    target = namespace.link(found.target)
    return None if target is None or target.up else link_down(namespace.name, target, Stage.TRANSMIT)


def _comes_back(namespace: Namespace, found: TcFilter) -> bool:
    """Whether a filter redirects to an intermediate device that runs: a packet goes on from there as if
    nothing had been (drivers/net/ifb.c).
    """
    target = namespace.link(found.target)
    return target is not None and target.kind == "ifb" and target.up


def _doubt(found: TcFilter) -> tuple[str, str]:
    """The code of what a filter may do, and how that is said."""
    if found.action is not None and "mirred" in found.action:
        return "diverted-by-tc", "may divert the packet"
    return "filtered-by-tc", _MAYBE


def _may_drop(qdisc: Qdisc) -> bool:
    """Whether a queue does more than to wait, or is a plain one without room for even one full packet (pfifo
    counts packets, bfifo bytes).
    """
    tiny = _limit(qdisc) < {"pfifo": 1, "bfifo": 1514}.get(qdisc.kind, 0)
    return tiny or qdisc.kind not in _HARMLESS


def _limit(qdisc: Qdisc) -> float:
    """What a queue holds at the most, in packets or bytes; no end where its text does not say."""
    said = re.search(r"\blimit (\d+)", qdisc.text)
    return int(said[1]) if said is not None else inf


def _filter(name: str, link: Link, found: TcFilter, stage: Stage, code: str, what: str) -> Stop:
    object = Object("tc-filter", f"{link.name} {found.direction}", found.text)
    fix = Command.of("tc", "filter", "del", "dev", link.name, found.direction)
    return lost(
        code,
        name,
        link,
        stage,
        f"a tc filter on {link.name} {found.direction} {what}: {found.text}",
        object=object,
        fix=(fix,),
    )


_ETHERNET, _ARP = (
    14,
    28,
)  # bytes: the header of a frame, and the length of what is in one without an IP packet


def no_room(name: str, link: Link, length: int | None) -> Stop | None:
    """The queue at the root of an interface that cannot hold even one packet of `length` bytes of IP: pfifo
    counts packets, bfifo and the queue of tbf bytes of frames (net/sched/sch_fifo.c, sch_tbf.c).
    """
    needed = {"pfifo": 1, "bfifo": (length or _ARP) + _ETHERNET, "tbf": (length or _ARP) + _ETHERNET}
    for qdisc in link.qdiscs:
        if qdisc.parent == "root" and _limit(qdisc) < needed.get(qdisc.kind, 0):
            held = f"limit {_limit(qdisc)}"
            text = f"the queueing discipline {qdisc.kind} on {link.name} has no room for it: {held}"
            return replace(_qdisc(name, link, qdisc), text=text)
    return None


def _qdisc(name: str, link: Link, qdisc: Qdisc) -> Stop:
    text = f"the queueing discipline {qdisc.kind} on {link.name} may drop the packet"
    object = Object("qdisc", f"{link.name} {qdisc.kind}", qdisc.text or qdisc.kind)
    fix = Command.of("tc", "qdisc", "del", "dev", link.name, *qdisc.parent.split())
    return lost("qdisc-drop", name, link, Stage.QDISC, text, object=object, fix=(fix,))
