"""Pages and pictures as text: whole, well-formed, small, and of known elements alone whatever names say."""

from __future__ import annotations

import ast
import re
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
import sample_matrices
import sample_pages
import sample_reports
from hypothesis import given, settings
from hypothesis import strategies as some
from msgspec.structs import replace
from sample_pages import ATTRIBUTES, TAGS, named

import netprobe.render.html
from netprobe.formats import checked, formatted, matrix_as
from netprobe.model import Leg, Paths, Report, Verdict
from netprobe.render.escape import safe
from netprobe.render.html import style
from netprobe.render.html.cards import Card, cards
from netprobe.render.html.check import html as check_page
from netprobe.render.html.elements import Markup, element, marked
from netprobe.render.html.ladder import rungs, sections
from netprobe.render.html.lanes import Lanes, lanes, widest
from netprobe.render.html.lanes_svg import laid
from netprobe.render.html.matrix import html as matrix_page
from netprobe.render.html.page import MEDIUM, NARROW, WIDE
from netprobe.render.html.picture import svg
from netprobe.render.html.repeat import again
from netprobe.render.html.report import html
from netprobe.render.html.widths import abridged, bold, mono, shortened, wrapped
from netprobe.render.marks import Fate
from netprobe.render.rows import rows
from netprobe.render.terminal import Terminal

REPORTS = {**sample_reports.ALL, **sample_pages.REPORTS}
WIDTHS = (WIDE, MEDIUM, NARROW)
NAMES = some.text(max_size=40) | some.sampled_from(sample_pages.ATTACKS) | some.text("<>&\"'\x00\n\u202e\ud800]-!{}", max_size=20)


def parsed(page: str) -> ElementTree.Element:
    """A page or picture, which is XML; all it has are known elements and attributes."""
    root = ElementTree.fromstring(page)
    for each in root.iter():
        assert each.tag.removeprefix("{http://www.w3.org/2000/svg}") in TAGS
        assert set(each.attrib) <= ATTRIBUTES
    return root


def said(root: ElementTree.Element) -> str:
    """What a reader sees, with one blank between words."""
    return " ".join(" ".join(root.itertext()).split())


def cell(root: ElementTree.Element, table: str, column: int) -> list[str]:
    """The texts of one column of a table of this class."""
    found = root.findall(f".//table[@class='{table}']/tbody/tr")
    return ["".join(row[column].itertext()) for row in found]


@pytest.mark.parametrize("name", REPORTS)
def test_a_page_has_all_parts(name: str) -> None:
    report = REPORTS[name]
    root = parsed(html(report))
    text = said(root)
    both = [*rows(report, Leg.REQUEST), *rows(report, Leg.REPLY)]
    assert cell(root, "hops", 2) == [safe(row.where) for row in both]
    assert cell(root, "hops", 0) == [row.mark.value[0] for row in both]
    for cause in (*report.causes, *report.blockers, *report.alternatives):
        assert cause.code in text
        assert " ".join(safe(cause.summary).split()) in text
        for proof in cause.evidence if cause in report.causes else ():
            assert safe(proof.text) in cell(root, "evidence", 2)
    for spot in report.blind:
        assert f"{safe(spot.what)}: {safe(spot.why)}" in text
    for hop in (*report.path.request, *report.path.reply):
        if hop.object is not None:
            assert any(safe(hop.object.id) in thing for thing in cell(root, "objects", 1))


@pytest.mark.parametrize("name", REPORTS)
def test_a_picture_is_the_lanes_alone(name: str) -> None:
    root = parsed(svg(REPORTS[name]))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    drawn = root.findall(".//*[@class='band tint0']") + root.findall(".//*[@class='band tint0 outside']")
    assert bool(drawn) is bool(rows(REPORTS[name], Leg.REQUEST))


@pytest.mark.parametrize("command", ["trace", "ping", "why", "show"])
@pytest.mark.parametrize("quiet", [False, True])
def test_the_same_page_for_every_command_and_terminal(command: str, quiet: bool) -> None:
    report = replace(sample_reports.HEALTHY, command=command)
    page = formatted(report, "html", Terminal(40, colour=True, ascii=True), quiet)
    assert page == html(report)
    assert formatted(report, "svg", Terminal(), quiet) == svg(report)


def test_matrix_and_check_have_their_page() -> None:
    made = sample_matrices.SHOWN["broken"]
    assert matrix_as(made, "html", Terminal(), quiet=True) == matrix_page(made)
    text = said(parsed(matrix_page(made)))
    assert "12 pairs: host FORWARD policy DROP [policy-drop]" in text
    assert "iptables -P FORWARD ACCEPT" in text
    assert "One of them: the request of red (10.0.0.2) → 8.8.8.8" in said(parsed(matrix_page(sample_pages.MATRIX)))
    assert checked(sample_pages.CHECK, "html", Terminal(), quiet=True) == check_page(sample_pages.CHECK)
    root = parsed(check_page(sample_pages.CHECK))
    assert cell(root, "checks", 0) == ["✗", "✓", "!", "?"]
    assert "Did you mean c1?" in said(root)
    assert len(root.findall(".//section[@class='block bad']")) == 1


@pytest.mark.parametrize("name", sample_matrices.SHOWN)
def test_the_map_has_each_pair_at_each_width(name: str) -> None:
    root = parsed(matrix_page(sample_matrices.SHOWN[name]))
    for picture in root.iter("svg"):
        sides = len(picture.findall("text[@class='row']"))
        signs = [text for text in picture.findall("text") if text.get("class", "").startswith("sign")]
        assert sum(len(sign.text or "") for sign in signs) == sides**2
        assert all(len(sign.text or "") == len((sign.get("x") or "").split()) for sign in signs)


@pytest.mark.parametrize("kind", sample_pages.HOSTILE)
def test_a_hostile_page_is_known_elements_alone(kind: str) -> None:
    parsed(sample_pages.HOSTILE[kind]())


@settings(max_examples=12, deadline=None)
@given(NAMES)
def test_no_name_gets_out_of_its_place(evil: str) -> None:
    harmless, hostile = parsed(html(named("x"))), parsed(html(named(evil)))
    assert [each.tag for each in harmless.iter() if each.tag in ("table", "tr", "td", "section")] == [
        each.tag for each in hostile.iter() if each.tag in ("table", "tr", "td", "section")
    ]
    parsed(svg(named(evil)))
    assert cell(hostile, "hops", 2)[0] == safe("/".join(filter(None, (evil, evil))) or "?")


@given(NAMES)
def test_escaping_shows_what_would_be_obeyed(text: str) -> None:
    found = ElementTree.fromstring(element("p", text, class_=text))
    assert (found.text or "", found.get("class")) == (safe(text), safe(text))
    assert marked(marked(text)) == marked(text)


def test_only_elements_make_markup_of_what_is_not_constant() -> None:
    """Everything else is escaped, as nothing else can say that it is markup already."""
    for file in Path(netprobe.render.html.__file__).parent.glob("*.py"):
        if file.name == "elements.py":
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Markup":
                names = [each for each in ast.walk(node.args[0]) if isinstance(each, ast.Name)]
                assert all(name.id.strip("_").isupper() for name in names), f"{file.name}:{node.lineno}"


def test_markup_is_told_from_text() -> None:
    assert element("b", "<", Markup("<br/>"), aria_label='"', hidden=None) == '<b aria-label="&quot;">&lt;<br/></b>'
    assert element("path", d="M0 0") == '<path d="M0 0"/>'
    assert element("td") == "<td></td>"


@given(some.text(max_size=60), some.integers(8, 200))
def test_what_is_shortened_fits(text: str, room: int) -> None:
    for measure in (mono(10.5), bold(12)):
        shown = shortened(text, room, measure)
        assert measure(shown) <= room or shown == "…"
        assert shown == text or text.startswith(shown.removesuffix("…"))


@given(some.text(max_size=60), some.integers(30, 200))
def test_what_is_abridged_fits_and_keeps_its_ends(name: str, room: int) -> None:
    shown = abridged(name, room, mono(10.5))
    assert mono(10.5)(shown) <= room
    start, _, end = shown.partition("…")
    assert shown == name or (name.startswith(start) and name.endswith(end) and len(start) + len(end) < len(name))


@given(some.text("ab cd:.", max_size=200), some.integers(20, 200), some.integers(1, 5))
def test_what_is_wrapped_fits_and_loses_nothing_unsaid(text: str, room: int, lines: int) -> None:
    shown = wrapped(text, room, lines, mono(10.5))
    assert len(shown) <= lines
    assert all(mono(10.5)(line) <= room for line in shown)
    kept = "".join("".join(shown).split())
    whole = "".join(text.split())
    assert kept == whole or (kept.endswith("…") and whole.startswith(kept[:-1]))


CARDS = some.builds(
    lambda lane, width, lines: Card(lane, "1 eth0", "", "send", ("x",) * lines, Fate.PASSED, "", width),
    some.sampled_from(["", "a", "b", "c"]), some.integers(92, 140), some.integers(0, 5),
)  # fmt: skip


@given(some.lists(CARDS, min_size=1, max_size=30), some.sampled_from(WIDTHS))
def test_cards_stand_apart_in_their_lanes(made: list[Card], width: int) -> None:
    pictures = lanes(made, width, "a", "b", ["", "c", "a", "b"])
    assert [each.card for drawn in pictures for each in drawn.standing] == made
    for drawn in pictures:
        for each in drawn.standing:
            assert 0 <= each.x < each.right <= width
            band = next(band for band in drawn.bands if band.y <= each.y < band.y + band.height)
            assert (band.name, each.y + each.height <= band.y + band.height) == (each.card.lane, True)
        edges = [(band.y, band.y + band.height) for band in drawn.bands]
        assert all(one[1] <= other[0] for one, other in pairwise(edges))
        assert edges[-1][1] <= drawn.height
        assert_apart(drawn)


def assert_apart(drawn: Lanes) -> None:
    for n, one in enumerate(drawn.standing):
        for other in drawn.standing[n + 1 :]:
            beside = one.right <= other.x or other.right <= one.x
            assert beside or one.y + one.height <= other.y or other.y + other.height <= one.y


def test_a_namespace_has_one_colour() -> None:
    report = replace(sample_pages.long(60, 7), verdict=Verdict.UNREACHABLE, direction=Leg.REPLY)
    report = replace(report, path=Paths(report.path.request, report.path.request[::-1]))
    tints = {(band.name, band.tint) for leg in Leg for drawn in laid(report, leg, NARROW) for band in drawn.bands}
    assert len(tints) == len({name for name, _ in tints}) == 8


def test_the_lost_hop_is_told_by_more_than_colour() -> None:
    made = cards(sample_reports.FORWARD_DROP, Leg.REQUEST, widest(WIDE))
    (lost,) = [card for card in made if card.fate is Fate.LOST]
    assert (lost.title, lost.remark, lost.fate.value[0]) == ("4 forward", "LOST HERE", "✗")
    assert {card.look for card in made[made.index(lost) + 1 :]} == {"not-reached"}


@pytest.mark.parametrize(
    ("name", "word"),
    [("tcp-closed", "REFUSED HERE"), ("ipv6-rejected", "REJECTED HERE"), ("why", "STOPS HERE"), ("intermittent", "SOME LOST")],
)
def test_what_ends_a_packet_is_called_by_its_name(name: str, word: str) -> None:
    made = cards(REPORTS[name], Leg.REQUEST, widest(WIDE))
    assert [card.remark for card in made if card.remark] == [word]
    assert f"✗ {word.lower()}" in said(parsed(html(REPORTS[name])))


def test_a_tunnel_is_drawn_around_its_hops() -> None:
    made = cards(sample_pages.TUNNEL, Leg.REQUEST, widest(WIDE))
    inside = [card.title for card in made if card.inside]
    assert inside == ["3 vx0", "4 u0", "5 u0"]
    assert html(sample_pages.TUNNEL).count('class="envelope"') == 9  # at three widths
    assert 'class="tunnel"' not in html(sample_reports.HEALTHY)


def test_the_far_end_out_of_sight_has_a_lane() -> None:
    for report, fate in ((sample_reports.HEALTHY, Fate.PASSED), (sample_reports.FORWARD_DROP, Fate.NOT_REACHED)):
        last = cards(report, Leg.REQUEST, widest(WIDE))[-1]
        assert (last.lane, last.title, last.fate) == ("", "8.8.8.8", fate)


def test_the_ladder_goes_there_and_back() -> None:
    told = [(rung.time, "/".join(rung.start), "/".join(rung.end), rung.said) for rung in rungs(sample_reports.HEALTHY)]
    assert told == [
        ("0 µs", "red/eth0", "host/veth0", "ICMP echo, ttl 64"),
        ("9 µs", "host/veth0", "host/br0", "bridge port in"),
        ("", "host/br0", "host/br0", "MASQUERADE: source 10.0.0.2 → 172.16.0.2 by iptables nat POSTROUTING 1"),
        ("14 µs", "host/br0", "host/eth0", "forward"),
        ("36 µs", "host/eth0", "outside/8.8.8.8", "send, ttl 63"),
        ("148 µs", "outside/8.8.8.8", "host/eth0", "the reply, ttl 64"),
        ("", "host/eth0", "host/eth0", "un-NAT: destination 172.16.0.2 → 10.0.0.2; conntrack entry of the request"),
        ("148 µs", "host/eth0", "host/br0", "forward"),
        ("171 µs", "host/br0", "host/veth0", "host to bridge, ttl 63"),
        ("177 µs", "host/veth0", "red/eth0", "bridge port out"),
        ("", "red/eth0", "red/eth0", "reply after 214 µs"),
    ]


def test_nothing_sent_has_no_ladder() -> None:
    assert rungs(sample_reports.WHY) == []
    assert "Step by step" not in html(sample_reports.WHY)


@given(some.integers(2, 12))
def test_sections_have_no_more_columns_than_there_is_room_for(most: int) -> None:
    found = rungs(sample_pages.long(40, 10))
    made = sections(found, most)
    assert [rung for part in made for rung in part.rungs] == found
    assert all(len(part.places) <= most for part in made)
    assert all({rung.start, rung.end} <= {*part.places} for part in made for rung in part.rungs)


def test_how_to_ask_again() -> None:
    assert again(sample_reports.HEALTHY) == ("netprobe", "trace", "red", "8.8.8.8")
    assert again(sample_reports.INTERMITTENT) == ("netprobe", "trace", "-c", "30", "red", "8.8.8.8")
    assert again(sample_reports.TCP_CLOSED) == ("netprobe", "trace", "c1", "c2:80")
    assert again(sample_reports.ARPING) == ("netprobe", "arping", "c1", "c2")
    assert again(sample_reports.IPV6) == ("netprobe", "trace", "-6", "red", "example.org")
    probe = replace(sample_reports.PROBE, size=1000, ttl=3, df=True, mark=16, uid=1000, timeout_ns=2_500_000_000)
    asked = again(replace(sample_reports.HEALTHY, probe=probe))
    options = ("-s", "1000", "--ttl", "3", "--mark", "0x10", "--uid", "1000", "--df", "-W", "2500ms")
    assert asked == ("netprobe", "trace", *options, "red", "8.8.8.8")


def test_a_long_report_is_small() -> None:
    """200 hops, 50 namespaces."""
    page = html(sample_pages.long())
    assert len({row.hop.namespace for row in rows(sample_pages.long(), Leg.REQUEST)}) == 50
    assert len(page.encode()) < 300_000


def test_many_hops_are_drawn_up_to_a_limit_and_all_in_the_table() -> None:
    hops = sample_reports.REQUEST[:3] * 1000
    report: Report = replace(sample_reports.HEALTHY, path=Paths(hops))
    page = html(report)
    assert len(page.encode()) < 3_000_000
    assert len(cell(parsed(page), "hops", 0)) == 3000
    assert "Drawn are 400 of 3,000 hops; the table has all." in page


def test_the_same_report_is_the_same_page() -> None:
    assert html(sample_reports.HEALTHY) == html(sample_reports.HEALTHY)


BEHIND = {  # the colours of text, and on what they stand
    "ink": "ground card shade badly natly oddly tint0 tint1 tint2 tint3 tint4",
    "dim": "ground card shade badly natly oddly tint0 tint1 tint2 tint3 tint4",
    "good": "ground card tint3", "bad": "ground badly", "nat": "ground natly", "odd": "ground card oddly",
}  # fmt: skip


@pytest.mark.parametrize("look", [style._LIGHT, style._DARK], ids=["light", "dark"])
def test_text_can_be_read_on_what_is_behind_it(look: str) -> None:
    """WCAG 2.2, success criterion 1.4.3: a contrast of 4.5 to 1."""
    colours = dict(re.findall(r"--(\w+):#(\w+);", look))
    pairs = [(text, ground) for text, grounds in BEHIND.items() for ground in grounds.split()]
    assert [pair for pair in pairs if contrast(*(colours[name] for name in pair)) < 4.5] == []


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted(map(luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    """Of a colour in hexadecimal digits, as WCAG defines it."""
    whole = "".join(digit * 2 for digit in colour) if len(colour) == 3 else colour
    parts = [int(whole[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
