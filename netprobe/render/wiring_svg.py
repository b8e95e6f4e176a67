"""A map as a picture: one SVG without script, font or anything else from elsewhere, for light and dark pages.

Every line of text is pinned to its width, so that it fits its box in whichever font the reader has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netprobe.model.runtime import BY_KIND
from netprobe.model.wiring import Wiring

from .markup import escaped
from .pen import columns
from .wiring_blocks import Cluster, Edge, Node, drawing
from .wiring_layout import ADVANCE, FRAME, LINE, PAD, Layout, Rect, laid_out
from .wiring_words import path_words

_MARGIN, _HEAD = 24, 30  # pixels around it, and of a line above it
_BEND = 70.0
_LEAST_WIDTH = 640.0
_LEGEND = (
    ("cable", "veth"), ("port", "port of a bridge or bond"), ("on", "stands on"), ("tunnel", "tunnel"),
    ("rule", "translated"), ("gateway", "default route"),
)  # fmt: skip
_ON_PATH = (("path", "path"), ("beyond", "not reached"))

STYLE = """\
.wiring{--page:#fff;--ink:#1f2328;--dim:#59636e;--line:#8c959f;--node:#fff;--edge:#57606a;--host:#f6f8fa;
--space:#fff1ef;--space-line:#f0b8b1;--container:#e7f3fd;--container-line:#a9d0f0;--more:#f6f8fa;
--rule:#fff8e5;--rule-line:#b07d00;--tunnel:#8250df;--good:#1a7f37;--bad:#cf222e;--bad-fill:#ffebe9;
--good-fill:#e6f6ea}
@media(prefers-color-scheme:dark){.wiring{--page:#0d1117;--ink:#e6edf3;--dim:#9198a1;--line:#6e7681;
--node:#161b22;--edge:#8b949e;--host:#11161d;--space:#2a1718;--space-line:#6b3331;--container:#0f2236;
--container-line:#2b5a85;--more:#11161d;--rule:#2b2410;--rule-line:#c69026;--tunnel:#ab7df8;--good:#3fb950;
--bad:#f85149;--bad-fill:#3c1618;--good-fill:#12301b}}
.wiring text{fill:var(--ink);
font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
.wiring .page{fill:var(--page)}
.wiring .dim{fill:var(--dim)}
.wiring .bold{font-weight:bold}
.wiring .block{fill:var(--host);stroke:var(--line)}
.wiring .block.space{fill:var(--space);stroke:var(--space-line)}
.wiring .block.container{fill:var(--container);stroke:var(--container-line)}
.wiring .block.more,.wiring .block.blind{fill:var(--more);stroke-dasharray:5 4}
.wiring .node{fill:var(--node);stroke:var(--edge)}
.wiring .node.bridge{stroke-width:2.2}
.wiring .node.rule{fill:var(--rule);stroke:var(--rule-line);stroke-dasharray:4 3}
.wiring .node.down{stroke-dasharray:2 3}
.wiring .node.on-path{stroke:var(--good);stroke-width:2.2;fill:var(--good-fill)}
.wiring .node.stop{stroke:var(--bad);stroke-width:2.6;fill:var(--bad-fill)}
.wiring .wire{fill:none;stroke:var(--edge);stroke-width:1.4}
.wiring .wire.port{stroke-width:1}
.wiring .wire.on{stroke-dasharray:2 3}
.wiring .wire.tunnel{stroke:var(--tunnel);stroke-width:1.8;stroke-dasharray:8 4}
.wiring .wire.rule{stroke:var(--rule-line);stroke-dasharray:4 3}
.wiring .wire.gateway,.wiring .wire.more{stroke-dasharray:5 4}
.wiring .wire.path{stroke:var(--good);stroke-width:3}
.wiring .wire.beyond{stroke:var(--dim);stroke-width:2.4;stroke-dasharray:6 5}
.wiring .tip.path{fill:var(--good)}
.wiring .tip.beyond{fill:var(--dim)}
.wiring .tip.rule{fill:var(--rule-line)}
.wiring .answer{font-weight:bold}
.wiring .answer.good{fill:var(--good)}
.wiring .answer.bad{fill:var(--bad)}"""


def wiring_svg(wiring: Wiring) -> str:
    """The map as one SVG file."""
    return "\n".join(_lines(wiring, STYLE)) + "\n"


def inner_svg(wiring: Wiring) -> str:
    """The same for a page that has its style."""
    return "\n".join(_lines(wiring, ""))


def _lines(wiring: Wiring, style: str) -> Iterator[str]:
    drawn = drawing(wiring)
    layout = laid_out(drawn.blocks, drawn.edges)
    said = _folded(path_words(wiring), max(layout.width, _LEAST_WIDTH))
    top = _MARGIN + len(said) * LINE + (14 if said else 0)
    legend = _legend(wiring, drawn.edges)
    across = round(max(layout.width, _LEAST_WIDTH if said or legend else 0) + 2 * _MARGIN)
    down = round(top + layout.height + _MARGIN + (_HEAD if legend else 0))
    yield (
        f'<svg class="wiring" xmlns="http://www.w3.org/2000/svg" width="{across}" height="{down}" '
        f'viewBox="0 0 {across} {down}" role="img">'
    )
    yield f"<title>{escaped(_title(wiring))}</title>"
    if style:
        yield f"<style>{style}</style>"
    yield f'<rect class="page" width="{across}" height="{down}"/>'
    good = wiring.path is not None and wiring.path.verdict.value == "reachable"
    for at, line in enumerate(said):
        yield _text(line, _MARGIN, _MARGIN + 4 + at * LINE, f"answer {'good' if good else 'bad'}")
    yield f'<g transform="translate({_MARGIN} {top})">'
    yield from _picture(wiring, drawn.blocks, drawn.edges, layout)
    yield "</g>"
    yield from _drawn_legend(legend, top + layout.height + _MARGIN + 8)
    yield "</svg>"


def _title(wiring: Wiring) -> str:
    count = len(wiring.spaces) + sum(group.count for group in wiring.groups)
    of = f" connected with {', '.join(wiring.asked)}" if wiring.asked else ""
    return f"The wiring of {count} namespaces{of}"


def _folded(text: str, width: float) -> list[str]:
    """A text in lines that fit into so many pixels."""
    room = int(width / ADVANCE)
    rows: list[str] = []
    for word in text.split():
        if rows and columns(rows[-1]) + 1 + columns(word) <= room:
            rows[-1] += f" {word}"
        else:
            rows += [word[at : at + room] for at in range(0, len(word), room)]
    return rows


def _picture(
    wiring: Wiring, blocks: Sequence[Cluster], edges: Sequence[Edge], layout: Layout
) -> Iterator[str]:
    path = wiring.path
    on_path = set(path.ends) if path is not None else set()
    for block in blocks:
        yield from _block(block, layout.blocks[block.key])
    nodes = {node.key: node for block in blocks for node in block.nodes}
    for edge in sorted(edges, key=lambda edge: edge.kind in ("path", "beyond")):
        if edge.near in nodes and edge.far in nodes:
            yield from _wire(edge, layout.nodes[edge.near], layout.nodes[edge.far])
    for node in nodes.values():
        mark = "on-path" if node.end in on_path else ""
        if path is not None and node.end is not None and node.end == path.stop:
            mark = "stop"
        yield from _node(node, layout.nodes[node.key], mark)


def _block(block: Cluster, place: Rect) -> Iterator[str]:
    if block.outside:
        return
    kind = "container" if block.kind in BY_KIND else "space"
    kind = {"host": "", "more": "more", "blind": "blind"}.get(block.kind, kind)
    yield _rect(place, f"block {kind}".strip(), 10)
    yield _text(block.title, place.x + FRAME, place.y + 16, "bold")
    if block.note:
        x = place.x + FRAME + (columns(block.title) + 2) * ADVANCE
        yield _text(block.note, x, place.y + 16, "dim")


def _node(node: Node, place: Rect, mark: str) -> Iterator[str]:
    classes = " ".join(filter(None, ("node", node.kind or "device", node.state, mark)))
    yield "<g>"
    if node.tip:
        yield f"<title>{_tip(node.tip)}</title>"
    yield _rect(place, classes, place.height / 2 if node.kind == "outside" else 6)
    for at, line in enumerate(node.lines):
        yield _text(line, place.x + PAD, place.y + PAD + 9 + at * LINE, "" if at else "bold")
    if node.beside:
        x = place.x + PAD + (columns(node.lines[0]) + 2) * ADVANCE
        yield _text(node.beside, x, place.y + PAD + 9)
    yield "</g>"


def _tip(text: str) -> str:
    return "&#10;".join(map(escaped, text.split("\n")))


def _rect(place: Rect, classes: str, radius: float) -> str:
    size = f'x="{place.x:.1f}" y="{place.y:.1f}" width="{place.width:.1f}" height="{place.height:.1f}"'
    return f'<rect class="{classes}" {size} rx="{radius:g}"/>'


def _text(said: str, x: float, y: float, classes: str = "") -> str:
    style = f' class="{classes}"' if classes else ""
    wide = columns(said) * ADVANCE
    return f'<text{style} x="{x:.1f}" y="{y:.1f}" textLength="{wide:.1f}">{escaped(said)}</text>'


def _wire(edge: Edge, near: Rect, far: Rect) -> Iterator[str]:
    """A line from the side of one box to that of the other; of boxes above each other, around their right
    sides.
    """
    y, z = near.middle, far.middle
    if near.right <= far.x:
        x, w, turn, end = near.right, far.x, 1.0, 1.0
    elif far.right <= near.x:
        x, w, turn, end = near.x, far.right, -1.0, -1.0
    else:
        x, w, turn, end = near.right, far.right, 1.0, -1.0
    reach = min(_BEND, max(24.0, abs(w - x) / 2))
    bend = f"C{x + turn * reach:.1f} {y:.1f} {w - end * reach:.1f} {z:.1f} {w:.1f} {z:.1f}"
    yield f'<path class="wire {edge.kind}" d="M{x:.1f} {y:.1f}{bend}"/>'
    if edge.kind in ("path", "beyond", "rule"):
        back = w - end * 9
        yield f'<path class="tip {edge.kind}" d="M{w:.1f} {z:.1f}L{back:.1f} {z - 5:.1f}V{z + 5:.1f}Z"/>'


def _legend(wiring: Wiring, edges: Sequence[Edge]) -> list[tuple[str, str]]:
    """The kinds of lines that are in the picture, with what they mean."""
    kinds = {edge.kind for edge in edges} | ({"port"} & {w.kind for w in wiring.wires})
    return [(kind, said) for kind, said in (*_LEGEND, *_ON_PATH) if kind in kinds]


def _drawn_legend(legend: Sequence[tuple[str, str]], y: float) -> Iterator[str]:
    x = float(_MARGIN)
    for kind, said in legend:
        yield f'<path class="wire {kind}" d="M{x:.1f} {y - 4:.1f}h34"/>'
        yield _text(said, x + 42, y, "dim")
        x += 42 + columns(said) * ADVANCE + 26
