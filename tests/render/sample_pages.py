"""Reports of a kind that pages must bear: long, in tunnels, with names that mean harm; and a check."""

from __future__ import annotations

from collections.abc import Callable

import sample_matrices
import sample_reports
from msgspec.structs import replace
from sample_reports import HEALTHY, INSIDE, hop

from netprobe.model import Cause, Change, Command, Evidence, Flow, Hop, Object, Paths, Place, Protocol, Report, Source, Stage, Verdict
from netprobe.model.check import Checked, CheckReport, Status
from netprobe.render.html.check import html as check_page
from netprobe.render.html.matrix import html as matrix_page
from netprobe.render.html.report import html

OUTER = Flow("192.168.50.1", "192.168.50.2", Protocol.UDP, sport=44949, dport=4789)
PIPED = replace(INSIDE, outer=OUTER)
TUNNEL = replace(
    HEALTHY,
    path=Paths((
        hop(1, "red", "eth0", Stage.TRANSMIT, INSIDE, 0, "via 10.0.0.1 (default route)", bound="out"),
        hop(2, "node1", "vpod", Stage.RECEIVE, INSIDE, 6, "port of br0 (red), forwarding", bound="in"),
        hop(3, "node1", "vx0", Stage.ENCAPSULATE, PIPED, None, "in a VXLAN packet to 192.168.50.2, id 42"),
        hop(4, "node1", "u0", Stage.TRANSMIT, PIPED, 45, "to 192.168.50.2, neighbour 66:5d:80:53:03:52", bound="out"),
        hop(5, "node2", "u0", Stage.RECEIVE, PIPED, 56, "arrived", bound="in"),
        hop(6, "node2", "vx0", Stage.DECAPSULATE, INSIDE, 58, "out of the VXLAN packet"),
        hop(7, "pod2", "eth0", Stage.RECEIVE, INSIDE, 63, "arrived", bound="in"),
        hop(8, "pod2", "eth0", Stage.DELIVER, INSIDE, None, "8.8.8.8 is pod2's own"),
    )),
)  # fmt: skip


def long(count: int = 200, namespaces: int = 50, name: str = "container-{}") -> Report:
    """A way of so many hops through so many namespaces; each hop says as much as real ones do."""
    return replace(HEALTHY, path=Paths(tuple(_long(n, name.format(n * namespaces // count)) for n in range(count))))


def _long(n: int, space: str) -> Hop:
    flow = replace(INSIDE, ttl=64 - n // 8, src_mac=f"02:00:00:00:00:{n:02x}", dst_mac=f"02:00:00:00:01:{n:02x}")
    if n % 4 == 2:
        route = Object("route", f"10.{n}.0.0/24 via 10.{n}.0.1 dev eth{n}", f"10.{n}.0.0/24 metric 100")
        ttl = Change("ttl", str(64 - n // 8), str(63 - n // 8), "forward")
        return hop(n + 1, space, None, Stage.FORWARD, flow, None, f"to eth{n} via 10.{n}.0.1", object=route, changes=(ttl,))
    stage = Stage.RECEIVE if n % 4 == 1 else Stage.TRANSMIT
    return hop(n + 1, space, f"eth{n}", stage, flow, 7 * n, f"via 10.{n}.0.1, neighbour 02:00:00:00:01:{n:02x}", bound="out")


LONG_WORDS = "a-namespace-with-a-name-that-a-person-has-thought-about-for-too-long-{}"
REPORTS = {
    "tunnel": TUNNEL,
    "long": long(),
    "long-names": long(12, 6, LONG_WORDS),
    "cut": replace(HEALTHY, complete=False, verdict=Verdict.UNDETERMINED, path=Paths()),
}
CHECK = CheckReport(
    (
        Checked("the way out", "red → 8.8.8.8 icmp", "reachable", Status.FAILED, "a firewall rule in the host namespace drops the packet",
                "net.yaml", 3, 214_000_000, report=sample_reports.FORWARD_DROP),
        Checked("", "c1 → c2:80 tcp", "reachable", Status.HELD, "c2 is reachable from c1", "net.yaml", 7, 31_000_000,
                report=sample_reports.HEALTHY),
        Checked("", "c1 → c9 icmp", "reachable", Status.ERROR, "there is no c9", "net.yaml", 9, hint="Did you mean c1?\nsee ls",
                code=2),
        Checked("the database", "c1 → db:5432 tcp", "blocked", Status.UNDETERMINED, "the ruleset of host could not be read", "net.yaml", 12,
                notes=("needs CAP_NET_ADMIN",), report=sample_reports.UNDETERMINED),
    ),
    4,
)  # fmt: skip

BROKEN_MATRIX = sample_matrices.SHOWN["broken"]
MATRIX = replace(BROKEN_MATRIX, groups=(replace(BROKEN_MATRIX.groups[0], report=sample_reports.FORWARD_DROP), *BROKEN_MATRIX.groups[1:]))

ATTACKS = (
    "<script>window.ran = 1</script>",
    '"><img src=x onerror="window.ran = 1">',
    "'><svg onload='window.ran = 1'>",
    "</style></title></svg></pre><script>window.ran = 1</script>",
    "]]><!-- <?xml version='1.0'?> &lt;b&gt; &amp; &#60;",
    "</body></html><iframe src='javascript:window.ran = 1'>",
    "\x00\x1b[2J\u202e\u2028\ufffe\ud800\udcff\r\n",
    "{}:root{background:url(https://192.0.2.1/)}",
)


def named(evil: str) -> Report:
    """A broken run in which this stands wherever a name or a text of a tool may."""
    flow = replace(INSIDE, outer=OUTER)
    path = (
        hop(1, evil, evil, Stage.TRANSMIT, INSIDE, 0, evil, bound="out", object=Object("route", evil, f"{evil}\n{evil}", evil)),
        hop(2, f"{evil}2", evil, Stage.ENCAPSULATE, flow, 4, evil),
        hop(3, f"{evil}2", None, Stage.POSTROUTING, INSIDE, 5, evil, changes=(Change("src", evil, evil, evil),)),
        hop(4, f"{evil}3", evil, Stage.RECEIVE, INSIDE, None, evil, observed=False),
    )
    cause = Cause(
        "filtered-by-rule", Place(f"{evil}3", evil, Stage.RECEIVE), evil, Object("rule", evil, evil, evil),
        (Evidence(Source.TAP, evil),), commands=(Command.of("ip", "link", "set", evil, "up", namespace=evil),), advice=evil, reason=evil,
    )  # fmt: skip
    given = sample_reports.PROBE
    source = replace(given.source, endpoint=evil, namespace=evil)
    probe = replace(given, source=source, destination=replace(given.destination, endpoint=evil, host_name=evil))
    return replace(
        sample_reports.HOSTILE, probe=probe, summary=evil, path=Paths(path, path[::-1]), causes=(cause, cause), blockers=(cause,),
        alternatives=(cause,), notes=(evil, f"after this fix {evil}"), capture=evil, sent=3, received=0,
    )  # fmt: skip


ALL_AT_ONCE = " ".join(ATTACKS)
HOSTILE: dict[str, Callable[[], str]] = {
    **{f"attack {n}": lambda evil=evil: html(named(evil)) for n, evil in enumerate(ATTACKS)},
    "all at once": lambda: html(named(ALL_AT_ONCE)),
    "names of an older sample": lambda: html(sample_reports.HOSTILE),
    "matrix": lambda: matrix_page(hostile_matrix(ALL_AT_ONCE)),
    "check": lambda: check_page(hostile_check(ALL_AT_ONCE)),
}


def hostile_matrix(evil: str) -> sample_matrices.Matrix:
    """A matrix whose members and causes have this name."""
    made = sample_matrices.SHOWN["broken"]
    members = tuple(replace(member, endpoint=f"{evil}{n}", group=evil) for n, member in enumerate(made.members))
    groups = tuple(replace(group, summary=evil, code=evil) for group in made.groups)
    return replace(made, members=members, groups=groups, notes=(evil,))


def hostile_check(evil: str) -> CheckReport:
    """A check all of whose texts are this."""
    results = tuple(
        replace(each, name=evil, asked=evil, reason=evil, file=evil, hint=f"{evil}\n{evil}", notes=(evil,)) for each in CHECK.results
    )
    return replace(CHECK, results=results, changes=(evil,), recording=evil)


TAGS = frozenset(
    [
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "header",
        "section",
        "div",
        "h1",
        "h2",
        "h3",
        "p",
        "span",
        "b",
        "code",
        "pre",
        "dl",
        "dt",
        "dd",
        "ul",
        "li",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "svg",
        "g",
        "text",
        "rect",
        "path",
    ]
)
"""All elements that pages have."""
ATTRIBUTES = frozenset(
    [
        "lang",
        "charset",
        "http-equiv",
        "content",
        "name",
        "class",
        "scope",
        "width",
        "height",
        "viewBox",
        "role",
        "aria-label",
        "x",
        "y",
        "rx",
        "d",
        "transform",
        "xmlns",
    ]
)
"""All attributes that elements have."""
