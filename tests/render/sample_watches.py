"""A watch written by hand: rounds of the sample reports folded, a rule that was added, and its end."""

from msgspec.structs import replace
from sample_reports import ALL

from netprobe.diagnose.live import after_failure, after_round
from netprobe.model import Changed
from netprobe.model.live import Live, LiveChange
from netprobe.render.terminal import Terminal

HEALTHY, BROKEN = ALL["healthy"], ALL["forward-drop"]
START_NS, SECOND = 1_770_000_000_000_000_000, 1_000_000_000
RULE = "nft inet filter FORWARD handle 12"
ADDED = LiveChange(
    START_NS + 3 * SECOND + 250_000_000,
    Changed("rule", RULE, "ip daddr @bad counter drop", namespace="host", after="ip daddr @bad counter drop"),
    heard=True,
    by="nft",
)
LINK = LiveChange(
    START_NS + 2 * SECOND, Changed("link", "veth7", "veth7", namespace="host", before="", after="down, then up"), heard=True, passing=True
)
LEGACY = LiveChange(
    START_NS + SECOND, Changed("policy", "iptables-legacy filter FORWARD policy", "", namespace="host", before="ACCEPT", after="DROP")
)


def clock(at_ns):
    """Seconds and ms since the start, as a clock shows them."""
    ms = (at_ns - START_NS) // 1_000_000
    return f"14:02:{ms // 1000:02d}.{ms % 1000:03d}"


def timed(report, factor):
    """The report with other times: each hop `factor` % later."""
    legs = {"request": report.path.request, "reply": report.path.reply}
    hops = {
        leg: tuple(replace(hop, time_ns=hop.time_ns * factor // 100) if hop.time_ns is not None else hop for hop in path)
        for leg, path in legs.items()
    }
    return replace(report, path=replace(report.path, **hops), rtt_ns=tuple(ns * factor // 100 for ns in report.rtt_ns))


def folded(*rounds, limit=None):
    """The state and all events after these rounds: reports, each with its changes, or the trouble of one that could not be asked."""
    state, events = Live(HEALTHY.probe, SECOND, limit, START_NS), []
    for number, (found, *changes) in enumerate(rounds):
        at_ns = START_NS + number * SECOND
        state, told = after_failure(state, found, at_ns) if isinstance(found, str) else after_round(state, found, changes, at_ns)
        events += told
    return state, events


GOOD = [(timed(HEALTHY, percent),) for percent in (100, 120, 90)]
WATCHES = {
    "healthy": folded(*GOOD, limit=60),
    "broken": folded(*GOOD, (BROKEN, LEGACY, LINK, ADDED), (BROKEN,)),
    "mended": folded(*GOOD, (BROKEN, ADDED), (timed(HEALTHY, 250),)),
    "trouble": folded(*GOOD, ("there is no namespace red",)),
    "never": folded((BROKEN,), (BROKEN,)),
}
LOOKS = {
    "120": Terminal(120),
    "80": Terminal(80),
    "48": Terminal(48),
    "ascii": Terminal(80, ascii=True),
    "colour": Terminal(120, colour=True),
}
