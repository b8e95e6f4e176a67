"""Rounds of a watch, small enough to count by hand."""

from netprobe.model import (
    Cause,
    Endpoint,
    Flow,
    Hop,
    Leg,
    Namespace,
    Paths,
    Place,
    Probe,
    Protocol,
    Report,
    Snapshot,
    Stage,
    Verdict,
)

PROBE = Probe(Protocol.ICMP, "abcd", Endpoint("red", "red", "eth0", "10.0.0.2"), Endpoint("8.8.8.8", None, None, "8.8.8.8"), icmp_id=7)
FLOW = Flow("10.0.0.2", "8.8.8.8", Protocol.ICMP, icmp_id=7)


def place(n, interface, bound, observed=True, reached=True):
    """A hop of the host, but for the first."""
    stage = Stage.TRANSMIT if bound == "out" else Stage.RECEIVE
    time_ns = n * 10_000 if observed else None
    return Hop(n, "red" if n == 1 else "host", interface, stage, FLOW, observed=observed, time_ns=time_ns, bound=bound, reached=reached)


def round_of(first, second, last):
    """A round that was answered, over these interfaces and back over two of them."""
    request = (place(1, first, "out"), place(2, second, "in"), place(3, last, "out"))
    reply = (place(4, last, "in"), place(5, first, "in"))
    return Report(
        "trace", PROBE, Verdict.REACHABLE, "red reaches 8.8.8.8", sent=1, received=1, rtt_ns=(60_000,), path=Paths(request, reply)
    )


HEALTHY = round_of("eth0", "veth0", "wan")
LOST = Report(
    "trace", PROBE, Verdict.UNREACHABLE, "a rule drops it", direction=Leg.REQUEST, sent=1,
    path=Paths((place(1, "eth0", "out"), place(2, "veth0", "in"), place(3, "wan", "out", observed=False, reached=False))),
    causes=(Cause("filtered-by-rule", Place("host", None, Stage.FORWARD), "a rule drops it"),),
)  # fmt: skip


def snapshot_with(forwarding, names=("red", "host")):
    """Namespaces with this ip_forward."""
    made = (Namespace(name, sysctls={"net.ipv4.ip_forward": forwarding}) for name in names)
    return Snapshot({each.name: each for each in made})
