"""Maps as people see them: goldens, nothing cut or on top of each other, hostile names inert in every format, crowds in groups."""

import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import jsonschema
import pytest
import sample_wirings
from hostile_wirings import wirings
from hypothesis import HealthCheck, given, settings
from msgspec.structs import replace
from sample_wirings import FRONT, MAPS, REACHED, WHOLE, crowd, end

from netprobe import codec
from netprobe.formats import wiring_as
from netprobe.model.wiring import WiredInterface, WiredSpace, Wiring
from netprobe.render.escape import safe
from netprobe.render.pen import columns
from netprobe.render.terminal import NARROWEST, Terminal
from netprobe.render.wiring_blocks import drawing
from netprobe.render.wiring_groups import grouped
from netprobe.render.wiring_layout import ADVANCE, laid_out
from netprobe.render.wiring_text import wiring_text

FORMATS = ("text", "svg", "html", "dot", "mermaid", "json")
LOOKS = {
    "80": Terminal(80),
    "48": Terminal(48),
    "piped": Terminal(),
    "ascii": Terminal(80, ascii=True),
    "colour": Terminal(80, colour=True),
}
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("name", ["stopped", "crowd"])
def test_text(golden, name, look):
    golden(f"map-{name}.{look}.txt", wiring_as(MAPS[name], "text", LOOKS[look]))


@pytest.mark.parametrize("output", ["svg", "dot", "mermaid", "html"])
def test_pictures(golden, output):
    golden(f"map-stopped.{output}", wiring_as(MAPS["stopped"], output, Terminal()))


GROUPED = [grouped(wiring) for wiring in (*MAPS.values(), Wiring())]


@pytest.mark.parametrize("width", range(NARROWEST, 141))
def test_no_line_is_wider_than_the_terminal(width):
    for wiring in GROUPED:
        assert max(map(columns, wiring_text(wiring, Terminal(width)).splitlines())) <= max(width, 27)


@pytest.mark.parametrize("width", [NARROWEST, 48, 80, 200, None])
def test_nothing_is_lost_in_the_tree(width):
    """Each interface that is worth a line, each address, rule and reason is there."""
    shown = re.sub(r"[\s│├└─]+", "", wiring_text(WHOLE, Terminal(width)))
    for space in WHOLE.spaces:
        assert space.name in shown
        for each in space.interfaces:
            if each.kind != "loopback":
                assert each.name in shown
                assert all(address in shown for address in each.addresses if not address.startswith("fe80"))
        for rule in space.translations:
            assert rule.rule.replace(" ", "") in shown
    assert "needsCAP_SYS_ADMIN" in shown
    assert "fe80" not in shown


def test_a_station_is_told_where_it_is_plugged_in():
    shown = wiring_text(WHOLE, Terminal())
    assert "veth1  ── c1/eth0  172.18.0.2/16  docker\n" in shown
    assert f"{FRONT} (front)  bridge  172.18.0.1/16\n" in shown
    assert "lan/eth0  macvlan mode bridge  192.0.2.77/24  podman\n" in shown
    assert [line for line in shown.splitlines() if re.match("[a-z]", line)] == [
        "host", "c2  docker", "empty  netns  no interface besides lo", "node2  netns",
        "not read: entering another network namespace needs CAP_SYS_ADMIN; `netprobe doctor` says what helps",
        "not read: CAP_NET_ADMIN is missing; `netprobe doctor` says what helps",
    ]  # fmt: skip
    assert "└─ closed, shut\n" in shown


def test_a_bridge_without_ports_says_so():
    assert "docker0 (bridge)  bridge  no carrier  172.17.0.1/16  no port\n" in wiring_text(WHOLE, Terminal())


def test_the_path_is_told_by_numbers_and_not_by_colour_alone():
    shown = wiring_text(MAPS["stopped"], Terminal())
    assert f"[3]  {FRONT} (front)  stops here  bridge" in shown
    assert "[2]  veth1  ── [1]  c1/eth0" in shown
    assert "[4]  eth0" in shown
    assert shown.startswith("c1 → 8.8.8.8: unreachable [filtered-by-rule] (predicted): host drops")
    assert "stops here" not in wiring_text(MAPS["reached"], Terminal())


def test_quiet_is_the_answer_or_the_names():
    assert wiring_as(MAPS["reached"], "text", Terminal(), quiet=True) == "c1 → 192.0.2.1: reachable (predicted)\n"
    names = ["host", "c1", "c2", "c2//red", "closed", "db", "empty", "far", "lan", "node2", "shut"]
    assert wiring_as(WHOLE, "text", Terminal(), quiet=True).splitlines() == names


def test_colour_changes_no_width():
    painted = wiring_text(MAPS["stopped"], Terminal(80, colour=True))
    assert re.sub(r"\x1b\[[0-9;]*m", "", painted) == wiring_text(MAPS["stopped"], Terminal(80))


def test_ascii_alone():
    assert wiring_text(MAPS["stopped"], Terminal(80, ascii=True)).isascii()


# groups


def test_a_crowd_is_a_group():
    small = grouped(crowd(300))
    assert [space.name for space in small.spaces] == ["host", "c1", "c2", "c3"]
    assert [(group.count, group.first, group.last) for group in small.groups] == [(297, "c4", "c300")]
    assert [each.name for each in small.spaces[0].interfaces] == [FRONT, "eth0", "veth1", "veth2", "veth3"]
    for output in ("text", "svg", "html", "dot", "mermaid"):
        assert "297 more of front" in wiring_as(crowd(300), output, Terminal())
    assert wiring_as(crowd(300), "mermaid", Terminal()).count("subgraph") == 5


def test_json_and_who_asks_for_all_have_each_of_them():
    assert len(json.loads(wiring_as(crowd(300), "json", Terminal()))["spaces"]) == 301
    assert "c299/eth0" in wiring_as(crowd(300), "text", Terminal(), whole=True)


def test_up_to_fifty_are_all_shown():
    assert grouped(crowd(49)) == crowd(49)
    assert grouped(crowd(50)).groups


def test_who_was_asked_about_is_in_no_group():
    wiring = replace(crowd(300), asked=("c250", "c251/eth0"), path=replace(REACHED, ends=(end("c299/eth0"), end("host/veth299"))))
    names = {space.name for space in grouped(wiring).spaces}
    assert {"c250", "c251", "c299"} < names
    assert len(names) == 7


def test_only_stations_are_grouped():
    """Who passes packets on, translates them, or is blind stays on the map; stations on two bridges are a group of their own."""
    router = WiredSpace("r", "netns", interfaces=(WiredInterface("eth0", kind="veth"), WiredInterface("br0", kind="bridge")))
    shut = WiredSpace("shut", "netns", blind="no")
    bare = tuple(WiredSpace(f"e{n}", "netns", interfaces=(sample_wirings.LO,)) for n in range(20))
    base = crowd(100)
    wiring = replace(base, spaces=(*base.spaces, router, shut, *bare))
    small = grouped(wiring)
    assert {"r", "shut", "e0", "e1", "e2", "c1"} < {space.name for space in small.spaces}
    assert {(group.count, len(group.at)) for group in small.groups} == {(97, 1), (17, 0)}
    assert "17 more that nothing is connected to (e3 … e19)" in wiring_text(small, Terminal())


# layout


def overlaps(one, other):
    return one.x < other.right and other.x < one.right and one.y < other.bottom and other.y < one.bottom


def check_layout(wiring):
    drawn = drawing(wiring)
    layout = laid_out(drawn.blocks, drawn.edges)
    assert layout == laid_out(drawn.blocks, drawn.edges)
    for block in drawn.blocks:
        outer = layout.blocks[block.key]
        assert outer.x >= 0
        assert outer.right <= layout.width + 0.1
        assert outer.y >= 0
        assert outer.bottom <= layout.height + 0.1
        assert columns(block.title) * ADVANCE <= outer.width
        for node in block.nodes:
            inner = layout.nodes[node.key]
            assert outer.x <= inner.x
            assert inner.right <= outer.right + 0.1
            assert outer.y < inner.y
            assert inner.bottom <= outer.bottom
            assert node.columns * ADVANCE <= inner.width
    rects = [layout.blocks[block.key] for block in drawn.blocks]
    assert [(a, b) for n, a in enumerate(rects) for b in rects[:n] if overlaps(a, b)] == []
    nodes = list(layout.nodes.values())
    assert [(a, b) for n, a in enumerate(nodes) for b in nodes[:n] if overlaps(a, b)] == []
    return layout


@pytest.mark.parametrize("name", MAPS)
def test_nothing_stands_on_top_of_another(name):
    check_layout(grouped(MAPS[name]))


def test_fifty_stations_stand_beside_their_ports():
    wiring = crowd(49)
    layout = check_layout(wiring)
    for n in range(1, 50):
        station, port = layout.nodes[f"interface c{n}/eth0"], layout.nodes[f"interface host/veth{n}"]
        assert abs(station.middle - port.middle) < 1
        assert station.right < port.x
    assert layout.nodes[f"interface host/{FRONT}"].right < layout.nodes["interface host/eth0"].x
    assert layout.width < 1000


def test_the_order_in_which_namespaces_are_met_does_not_matter():
    other = replace(WHOLE, spaces=WHOLE.spaces[::-1])
    drawn, turned = drawing(WHOLE), drawing(other)
    assert laid_out(drawn.blocks, drawn.edges).nodes == laid_out(turned.blocks, turned.edges).nodes


# hostile names

hostile = given(wirings())
often = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@hostile
@often
def test_text_moves_no_cursor(wiring):
    for line in wiring_text(wiring, Terminal(80)).splitlines():
        assert safe(line) == line
        assert columns(line) <= 80


ALLOWED = {
    "svg": {"xmlns", "class", "width", "height", "viewBox", "role"}, "rect": {"class", "x", "y", "width", "height", "rx"},
    "text": {"class", "x", "y", "textLength"}, "path": {"class", "d"}, "g": {"transform"}, "title": set(), "style": set(),
}  # fmt: skip
OF_A_PAGE = ALLOWED | {
    "html": {"lang"}, "head": set(), "meta": {"charset", "name", "content", "http-equiv"}, "body": set(), "h1": set(), "h2": set(),
    "p": set(), "div": {"class"}, "table": set(), "tr": set(), "th": set(), "td": set(), "details": {"open"}, "summary": set(),
    "pre": set(), "ul": set(), "li": set(),
}  # fmt: skip
PLAIN = re.compile(r"[\w .,%:()#;/'=-]*")


def check_elements(root):
    for element in root.iter():
        tag = element.tag.removeprefix(SVG)
        assert set(element.attrib) <= ALLOWED[tag]
        assert all(PLAIN.fullmatch(value) for value in element.attrib.values())


@hostile
@often
def test_svg_is_well_formed_and_has_no_element_of_others(wiring):
    picture = wiring_as(wiring, "svg", Terminal())
    root = ElementTree.fromstring(picture)
    check_elements(root)
    assert len(list(root.iter(f"{SVG}style"))) == 1
    assert all(safe(each.text or "") == (each.text or "") for each in root.iter(f"{SVG}text"))


class Elements(HTMLParser):
    """The elements of a page, as a browser's parser sees them."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, attrs))


@hostile
@often
def test_a_page_has_no_element_of_others(wiring):
    page = Elements()
    page.feed(wiring_as(wiring, "html", Terminal()))
    lower = {tag: {name.lower() for name in names} for tag, names in OF_A_PAGE.items()}
    for tag, attributes in page.found:
        assert {name for name, _ in attributes} <= lower[tag]
    assert [tag for tag, _ in page.found].count("style") == 1


def test_a_page_asks_nobody_for_anything():
    page = wiring_as(MAPS["stopped"], "html", Terminal())
    assert "default-src 'none'" in page.replace("&#39;", "'")
    assert not re.search(r"<(script|link|img|iframe|object|embed|base|form)|\bsrc=|href=|url\(|@import", page)


QUOTED = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
DOT_LINE = re.compile(
    r'graph wiring \{|\}|subgraph cluster_\d+ \{|rankdir="";|label="";|style=""; color=""; fillcolor=""; fontname="";'
    r'|(?:n|e)\d+ \[(?:\w+="")(?:, \w+="")*\];|n\d+ -- n\d+(?: \[\w+=""(?:, \w+="")*\])?;|node \[(?:\w+="")(?:, \w+="")*\];'
)


@hostile
@often
def test_dot_has_no_statement_of_others(wiring):
    for line in wiring_as(wiring, "dot", Terminal()).splitlines():
        assert DOT_LINE.fullmatch(QUOTED.sub('""', line).strip()), line
        for text in QUOTED.findall(line):
            assert re.fullmatch(r'(?:[^\\&]|\\n|\\\\|\\"|&amp;)*', text), text
            assert text.isprintable()


MERMAID_TEXT = r'"(?:[A-Za-z0-9 _.,:/→…✗]|#\d+;|<br/>)*"'
MERMAID_LINE = re.compile(
    rf"flowchart LR|subgraph s\d+\[{MERMAID_TEXT}\]|end|[ne]\d+(?:\[{MERMAID_TEXT}\]|\(\[{MERMAID_TEXT}\]\))"
    r"|n\d+ (?:---|-\.-|-\.->|==>|-\. tunnel \.-|-\. not reached \.->) n\d+|classDef \w+ [\w:#,-]+|class [n\d,]+ \w+"
)


@hostile
@often
def test_mermaid_has_no_statement_of_others(wiring):
    for line in wiring_as(wiring, "mermaid", Terminal()).split("\n")[:-1]:
        assert MERMAID_LINE.fullmatch(line.strip()), line


VALIDATOR = jsonschema.Draft202012Validator(json.loads(codec.wiring_schema()))


@hostile
@often
def test_json_fits_its_schema_and_keeps_the_names(wiring):
    data = wiring_as(wiring, "json", Terminal())
    assert data.rstrip("\n").isprintable()
    told = json.loads(data)
    VALIDATOR.validate(told)
    assert codec._decode(data.encode(), Wiring, "").spaces == wiring.spaces


@hostile
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_any_wiring_has_a_layout(wiring):
    check_layout(wiring)


def test_the_schema_is_a_schema_and_its_keys_are_those_of_the_map():
    schema = json.loads(codec.wiring_schema())
    jsonschema.Draft202012Validator.check_schema(schema)
    told = json.loads(wiring_as(MAPS["stopped"], "json", Terminal()))
    VALIDATOR.validate(told)
    assert told["schema"] == schema["title"] == "netprobe.map/1"
    assert sorted(told) == sorted(schema["$defs"]["Wiring"]["required"])
    with pytest.raises(jsonschema.ValidationError, match="is a required property"):
        VALIDATOR.validate({key: value for key, value in told.items() if key != "wires"})


def test_every_format_is_made_of_an_empty_machine():
    for output in FORMATS:
        assert wiring_as(Wiring(), output, Terminal(80)).endswith("\n")
