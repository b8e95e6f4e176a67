"""No reader meets a broken table: every text for people, at the widths of their terminals, with names of every kind and very many hops."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
import sample_matrices
import sample_reports
from msgspec.structs import replace

from netprobe.causes.pages import pages
from netprobe.codec import report_from_json, report_to_json
from netprobe.formats import checked, compared, examined, explained, formatted, listed, matrix_as
from netprobe.linux.doctor.situation import Situation, privilege
from netprobe.model import Comparison, Difference, Paths, Report, Space, SpaceInterface
from netprobe.model.check import Checked, CheckReport, Status
from netprobe.model.examination import Examination, Finding, State
from netprobe.model.matrix import Matrix
from netprobe.render.pen import columns
from netprobe.render.terminal import Terminal

WIDTHS = (48, 80, 120, 200)
LOOKS = {"": {}, "ascii": {"ascii": True}, "colour": {"colour": True}}
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
HEADS = re.compile(r"(?:[A-ZµS#]+(?: [A-Z]+)*(?: {2,}|$)){3,}|( +#  WHERE .*)")
RIGHT = {"#", "µS", "US"}  # columns of numbers, whose heads stand at their right edge
NAMES = {  # of a namespace, an interface: wide, combining, hostile, as long as the kernel allows
    "wide": ("名前空間の名前がとても長い", "インタフェース"),
    "combining": ("e\u0301" * 20, "a\u0308" * 7),
    "hostile": ("\x1b[2J\u202ered\n  ok", "\x1b]0;x\x07\u200b"),
    "long": ("n" * 255, "i" * 15),
    "odd": ("| a  B  C |", "#  WHERE"),
}


def renamed(report: Report, namespace: str, interface: str) -> Report:
    """The report with other names for `red` and `eth0`, wherever these stand alone."""

    def spelled(value: object) -> object:
        if isinstance(value, str):
            return {"red": namespace, "eth0": interface}.get(value, value)
        if isinstance(value, dict):
            return {key: spelled(item) for key, item in value.items()}
        return [spelled(item) for item in value] if isinstance(value, list) else value

    import json

    return report_from_json(json.dumps(spelled(json.loads(report_to_json(report)))).encode())


def long(report: Report, count: int) -> Report:
    """So many hops out, and as many back."""
    once = report.path.request
    many = tuple(replace(once[n % len(once)], n=n + 1, time_ns=n * 1_000_000) for n in range(count))
    return replace(report, path=Paths(many, many))


def reports() -> Iterator[tuple[str, Report]]:
    yield from sample_reports.ALL.items()
    for kind, names in NAMES.items():
        for name in ("healthy", "forward-drop", "arping"):
            yield f"{name} {kind}", renamed(sample_reports.ALL[name], *names)
    yield "two hundred hops", long(sample_reports.HEALTHY, 200)
    yield "three hundred hops", long(renamed(sample_reports.FORWARD_DROP, *NAMES["wide"]), 300)


def spaces() -> Iterator[Space]:
    for kind, (namespace, interface) in NAMES.items():
        far = f"{namespace}/{interface}"
        yield Space(namespace, "netns", (namespace, f"docker:{kind}"), 1, (
            SpaceInterface("lo", "loopback", True, ("127.0.0.1/8", "10.9.9.9/32")),
            SpaceInterface(interface, "veth", False, ("2001:db8:1111:2222:3333:4444:5555:6666/128", "10.0.0.1/16"), far, "br0", interface),
        ))  # fmt: skip
        yield Space(namespace, "docker", (), 2, (), f"paused {namespace}", f"{namespace}: Operation not permitted")


def matrices() -> Iterator[tuple[str, Matrix]]:
    for name, found in sample_matrices.SHOWN.items():
        yield name, found
        for kind in NAMES if name != "large" else ("wide",):
            namespace, _ = NAMES[kind]
            members = tuple(replace(each, endpoint=f"{namespace}{n}") for n, each in enumerate(found.members))
            yield f"{name} {kind}", replace(found, members=members)


Draw = Callable[[Terminal], str]
NEW, OLD = sample_reports.FORWARD_DROP, sample_reports.HEALTHY
EXAMINED = Examination(
    (
        privilege(Situation(lacking=("NET_RAW",), engine="docker"), ["netprobe", "doctor"]),
        *(Finding(each[:16], State.LIMITED, " ".join(each * 3), "effect " * 9) for each, _ in NAMES.values()),
    )
)
CHANGED = Comparison(
    (Difference("verdict", "", "reachable", "unreachable"),),
    tuple(Difference("link", interface, "mtu 1500 " * 20, f"mtu 1400 {namespace}", namespace) for namespace, interface in NAMES.values()),
)
RESULTS = CheckReport(
    tuple(
        Checked("", f"{namespace} → c9 icmp", "reachable", status, f"{namespace} drops it", f"{interface}.yaml", 7, 1_000, report=NEW)
        for namespace, interface in NAMES.values()
        for status in Status
    ),
    99,
)


def drawings() -> Iterator[tuple[str, Draw, tuple[Report, ...]]]:
    """Everything that a person is shown: a name, how it is drawn, and the reports whose commands and captures may be in it."""
    for name, report in reports():
        yield f"report {name}", lambda terminal, report=report: formatted(report, "text", terminal), (report,)  # type: ignore[misc]
        yield f"explained {name}", lambda terminal, report=report: formatted(report, "text", terminal, explained=True), (report,)  # type: ignore[misc]
    for name, matrix in matrices():
        yield f"matrix {name}", lambda terminal, matrix=matrix: matrix_as(matrix, "text", terminal), ()  # type: ignore[misc]
    plain = [Space(f"c{n}", "docker", (), n, (SpaceInterface("eth0", "veth", True, (f"10.0.0.{n}/24",)),)) for n in range(99)]
    yield "ls plain", lambda terminal: listed(plain, "text", terminal), ()
    yield "ls", lambda terminal: listed(list(spaces()), "text", terminal), ()
    yield "explain", lambda terminal: explained(pages(), "text", terminal), ()
    for page in pages():
        yield f"explain {page.code}", lambda terminal, page=page: explained([page], "text", terminal), ()  # type: ignore[misc]
    yield "diff", lambda terminal: compared(OLD, NEW, CHANGED, "text", terminal), (OLD, NEW)
    yield "check", lambda terminal: checked(RESULTS, "text", terminal), (NEW,)
    yield "doctor", lambda terminal: examined(EXAMINED, "text", terminal), ()


DRAWINGS = {name: (draw, of) for name, draw, of in drawings()}


def is_copied(line: str, of: tuple[Report, ...]) -> bool:
    """Whether a line is there to be copied whole: one command, a file and a line in it, the capture's name."""
    causes = [cause for report in of for cause in (*report.causes, *report.blockers, *report.alternatives)]
    commands = [each for cause in causes for each in cause.fix] + [each for page in pages() for each in page.fix]
    return (
        any(each in line for each in commands) or re.search(r"capture: |   # in |: ?docker run|^ +docker run|\.yaml:\d+$", line) is not None
    )


def cells(line: str) -> str:
    """The line with as many characters as it takes columns: what follows a wide one is filled, what combines is dropped."""
    return "".join(char + "\0" * (columns(char) - 1) for char in line if columns(char))


def broken_rows(text: str) -> list[str]:
    """The rows of tables that do not keep the gaps between their columns."""
    found, starts = [], []
    for line in map(cells, text.splitlines()):
        if not line.strip():
            starts = []
        elif HEADS.fullmatch(line) and not starts:
            starts = [
                match.start() for match in re.finditer(r"(?<!\S)(?<! )?(?:(?<=^)|(?<=  ))\S+(?: \S+)*", line) if match[0] not in RIGHT
            ]
        elif any(at and line[max(0, at - 2) : at].strip() for at in starts) and not is_below(line, starts):
            found.append(line)
    return found


def is_below(line: str, starts: list[int]) -> bool:
    """Whether a line is a remark to the row above it: it begins where a later column does."""
    return len(line) - len(line.lstrip()) in starts and "  " not in line.strip()


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("width", WIDTHS)
def test_no_table_is_broken(width: int, look: str) -> None:
    bad = []
    for name, (draw, of) in DRAWINGS.items():
        text = draw(Terminal(width, **LOOKS[look]))  # type: ignore[arg-type]
        plain = COLOUR.sub("", text)
        assert "\x1b" not in plain, name
        bad += [(name, line) for line in plain.splitlines() if columns(line) > width and not is_copied(line, of)]
        bad += [(name, line) for line in broken_rows(plain)]
    assert bad == []


@pytest.mark.parametrize("name", ["report healthy", "report arping", "ls plain"])
def test_tables_are_there_to_be_looked_at(name: str) -> None:
    text = DRAWINGS[name][0](Terminal(200))
    assert any(HEADS.fullmatch(line) for line in map(cells, text.splitlines()))


def test_a_broken_table_is_seen() -> None:
    table = "NAME  KIND   ADDRESSES\nred   netns  10.0.0.2\n名前  netns  10.0.0.3\n"
    assert broken_rows(table) == []
    assert broken_rows(table.replace("名前  netns", "名前   netns"))
    assert broken_rows(table.replace("red   netns", "redred netns"))


def test_colour_says_nothing_alone() -> None:
    """Who hears the text, prints it or has set NO_COLOR is told the same."""
    for name, (draw, _) in DRAWINGS.items():
        assert COLOUR.sub("", draw(Terminal(80, colour=True))) == draw(Terminal(80)), name


def test_ascii_terminals_get_ascii() -> None:
    for name, (draw, _) in DRAWINGS.items():
        assert draw(Terminal(80, ascii=True)).isascii(), name
