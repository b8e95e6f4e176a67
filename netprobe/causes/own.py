"""Our own limits: what netprobe could not see, said instead of guessed."""

from __future__ import annotations

from netprobe.diagnose.evidence import Case, source_place, where
from netprobe.model import Cause, Command, Confidence, Evidence, Leg, Object, Place, Source, Stage


def tap_starved(case: Case) -> Cause | None:
    """No fault of the network: netprobe's own observation lost packets, so it does not judge.

    What: The kernel queues the frames that a tap sees until netprobe reads them. On a very busy machine the
    queue can overflow, and a frame that was not seen may nevertheless have been there. Somebody who floods
    the segment with copies of the probe can fill it, or make netprobe stop reading, as it keeps a bounded
    number of frames. Rather than calling such a place a loss, netprobe says that the answer is undetermined.

    How we know: The kernel counts the frames that a packet socket could not take (PACKET_STATISTICS); the
    count was not zero.

    Fix: Run the probe again, when the machine is less busy or with several probes.
        netprobe trace SRC DST -c 5 -i 500ms

    See: packet(7), PACKET_STATISTICS
    """
    starved = [o for o in case.observations if o.kind == "starved"]
    answered = {o.sequence for o in case.observations if o.kind == "answered"}
    if not starved or len(answered) >= case.probe.count:
        return None
    names = ", ".join(sorted({o.namespace for o in starved}))
    evidence = tuple(
        Evidence(Source.TAP, o.text or f"frames were lost in {o.namespace}", Confidence.OBSERVED)
        for o in starved
    )
    place = Place(starved[0].namespace, starved[0].interface, Stage.RECEIVE)
    again = Command.of(
        "netprobe",
        "trace",
        "-c",
        "5",
        "-i",
        "500ms",
        "--",
        case.probe.source.endpoint,
        case.probe.destination.endpoint,
    )
    return Cause(
        "tap-starved",
        place,
        f"netprobe's own taps lost frames in {names}",
        Object("namespace", names, ""),
        evidence,
        Confidence.UNKNOWN,
        commands=(again,),
    )


def lost_between_hosts(case: Case) -> Cause | None:
    """The packet left one host and did not come to the other: the network between them loses it.

    What: Between two hosts are switches, routers, firewalls, hypervisors and the rules of a cloud (security
    groups, network policies), none of which netprobe can read. The configuration of both hosts lets the
    packet pass, the one sends it, and the other never gets it. Often UDP port 4789 of a VXLAN is not let
    through, or packets of full size are too long for a network on the way.

    How we know: The taps of both hosts watched. The packet was seen to leave the one, and not to come in at
    the other, by the interface that has the address it is for; or the question for that address was lost so.

    Fix: Ask those who run the network between the hosts, with the addresses and the port that the report
    names. See whether small packets pass.
        netprobe trace SRC DST --size 0
        ip netns exec NAMESPACE tcpdump -ni IFACE   # on the other host, while the probe is sent

    See: RFC 7348 (VXLAN); RFC 8085, 3.6 (UDP and middleboxes)
    """
    return case.by_stop("lost-between-hosts")


def unknown(case: Case) -> Cause | None:
    """The packet was lost between two places, and nothing that could be read says why.

    What: The configuration lets the packet pass, yet it was not seen at the next place. Something acts there
    that netprobe cannot read or does not understand: hardware, a driver, a kernel module, a program attached
    to the interface, a firewall outside this machine, or a ruleset that needs more privilege to be read.

    How we know: The taps saw it at one place and not at the next; the report lists both, and under "could not
    be seen" what was not readable.

    Fix: Let netprobe see more, then look closer at the place that it names.
        sudo netprobe trace SRC DST
        ip -s -d link show dev IFACE   # do the drop counters grow?
        nstat -az | grep -i drop

    See: nstat(8); ip-link(8); docs/causes.md
    """
    if (said := case.by_stop("unknown")) is not None:
        return said
    leg = case.leg or Leg.REQUEST
    last, missed = case.last_seen(leg), case.first_missed(leg)
    if last is None and missed is None:
        place, text = source_place(case), "the probe was seen nowhere"
    elif missed is None:
        assert last is not None
        place, text = (
            Place(last.namespace, last.interface, last.stage),
            f"the {leg} was last seen at {where(last)}",
        )
    else:
        before = f"after {where(last)}" if last else "at the sender"
        place, text = (
            Place(missed.namespace, missed.interface, missed.stage or Stage.OUTPUT),
            f"the {leg} was lost {before}, before {where(missed)}",
        )
    return Cause("unknown", place, text, evidence=case.witnesses(), confidence=Confidence.UNKNOWN)


CAUSES = (tap_starved, lost_between_hosts, unknown)
