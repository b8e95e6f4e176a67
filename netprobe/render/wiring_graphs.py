"""A map in the languages of other programs: dot (Graphviz) and Mermaid.

No name is a word of these languages: nodes have numbers, and texts are quoted so that nothing in them is
markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from netprobe.model.wiring import Wiring

from .escape import safe
from .wiring_blocks import Cluster, Edge, Node, drawing
from .wiring_words import path_words

_DOT_EDGES = {
    "cable": "",
    "port": "",
    "member": "",
    "on": 'style="dotted"',
    "tunnel": 'style="dashed", color="purple"',
    "rule": 'style="dashed", color="goldenrod", dir="forward"',
    "gateway": 'style="dashed"',
    "more": 'style="dashed"',
    "path": 'color="darkgreen", penwidth="3", dir="forward", constraint="false"',
    "beyond": 'color="gray", style="dashed", penwidth="2", dir="forward", constraint="false"',
}
_DOT_FILLS = {"host": "#f6f8fa", "more": "#ffffff", "blind": "#ffffff", "outside": "#ffffff"}
_CONTAINER, _SPACE = "#e7f3fd", "#fff1ef"
_NAMED = ("netns", "pid", "path")
_MERMAID_EDGES = {
    "cable": "---", "port": "---", "member": "---", "on": "-.-", "tunnel": "-. tunnel .-", "rule": "-.->",
    "gateway": "-.-", "more": "-.-", "path": "==>", "beyond": "-. not reached .->",
}  # fmt: skip
_HARMLESS = re.compile(r"[A-Za-z0-9 _]")


def wiring_dot(wiring: Wiring) -> str:
    """The map in the DOT language, a cluster for each namespace."""
    drawn = drawing(wiring)
    numbers = _numbered(drawn.blocks)
    lines = [
        "graph wiring {",
        '  rankdir="LR";',
        '  node [shape="box", style="rounded,filled", fillcolor="white", fontname="sans-serif"];',
        f"  label={_dot(path_words(wiring))};",
    ]
    for at, block in enumerate(drawn.blocks):
        lines += _dot_block(at, block, numbers)
    lines += [
        f"  n{numbers[edge.near]} -- n{numbers[edge.far]}{_bracketed(_DOT_EDGES[edge.kind])};"
        for edge in _between(drawn.edges, numbers)
    ]
    return "\n".join([*lines, "}"]) + "\n"


def _numbered(blocks: Sequence[Cluster]) -> dict[str, int]:
    nodes = [node for block in blocks for node in block.nodes]
    return {node.key: number for number, node in enumerate(nodes)}


def _between(edges: Sequence[Edge], known: dict[str, int]) -> Iterator[Edge]:
    return (edge for edge in edges if edge.near in known and edge.far in known)


def _bracketed(attributes: str) -> str:
    return f" [{attributes}]" if attributes else ""


def _dot_block(at: int, block: Cluster, numbers: dict[str, int]) -> Iterator[str]:
    if block.outside:
        yield from (f"  {each}" for each in _dot_nodes(block, numbers))
        return
    fill = _DOT_FILLS.get(block.kind, _SPACE if block.kind in _NAMED else _CONTAINER)
    yield f"  subgraph cluster_{at} {{"
    yield f"    label={_dot(_title(block))};"
    yield f'    style="rounded,filled"; color="gray"; fillcolor="{fill}"; fontname="sans-serif";'
    yield from (f"    {each}" for each in _dot_nodes(block, numbers))
    if not block.nodes:  # a cluster without a node is not drawn
        yield f'    e{at} [label="", style="invis"];'
    yield "  }"


def _dot_nodes(block: Cluster, numbers: dict[str, int]) -> Iterator[str]:
    for node in block.nodes:
        shape = ', shape="ellipse"' if block.outside else ""
        dashed = ', style="rounded,filled,dashed"' if node.kind == "rule" or node.state else ""
        yield f"n{numbers[node.key]} [label={_dot(*node.whole_lines)}{shape}{dashed}];"


def _title(block: Cluster) -> str:
    return f"{block.title} ({block.note})" if block.note else block.title


def _dot(*lines: str) -> str:
    """Lines as a quoted string: no escape of an escString, no entity of HTML, and no quotation mark is left
    (Graphviz, "The DOT Language", "escString").
    """
    quoted = (safe(line).replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return '"' + "\\n".join(quoted) + '"'


def wiring_mermaid(wiring: Wiring) -> str:
    """The map as a flowchart of Mermaid, a subgraph for each namespace."""
    drawn = drawing(wiring)
    numbers = _numbered(drawn.blocks)
    lines = ["flowchart LR"]
    for at, block in enumerate(drawn.blocks):
        lines += _mermaid_block(at, block, numbers)
    lines += [
        f"  n{numbers[edge.near]} {_MERMAID_EDGES[edge.kind]} n{numbers[edge.far]}"
        for edge in _between(drawn.edges, numbers)
    ]
    lines += _mermaid_styles(wiring, drawn.blocks, numbers)
    return "\n".join(lines) + "\n"


def _mermaid_block(at: int, block: Cluster, numbers: dict[str, int]) -> Iterator[str]:
    if block.outside:
        yield from (f"  {_mermaid_node(node, numbers, '([', '])')}" for node in block.nodes)
        return
    yield f"  subgraph s{at}[{_mermaid(_title(block))}]"
    yield from (f"    {_mermaid_node(node, numbers, '[', ']')}" for node in block.nodes)
    if not block.nodes:
        yield f"    e{at}[{_mermaid('nothing but lo')}]"
    yield "  end"


def _mermaid_node(node: Node, numbers: dict[str, int], left: str, right: str) -> str:
    return f"n{numbers[node.key]}{left}{_mermaid(*node.whole_lines)}{right}"


def _mermaid(*lines: str) -> str:
    """Lines as a quoted text: every character that could be markup, of Mermaid's, of Markdown or of HTML,
    by its number (Mermaid, "Entity codes to escape characters").
    """
    return '"' + "<br/>".join("".join(map(_mermaid_char, safe(line))) for line in lines) + '"'


def _mermaid_char(char: str) -> str:
    return char if _HARMLESS.match(char) or char in ".,:/→…✗" else f"#{ord(char)};"


def _mermaid_styles(wiring: Wiring, blocks: Sequence[Cluster], numbers: dict[str, int]) -> Iterator[str]:
    """The colours of what is on the path."""
    path = wiring.path
    if path is None:
        return
    ends = {node.end: numbers[node.key] for block in blocks for node in block.nodes if node.end is not None}
    yield "  classDef onpath stroke:#1a7f37,stroke-width:3px"
    yield "  classDef stop stroke:#cf222e,stroke-width:3px,fill:#ffebe9"
    on_path = dict.fromkeys(f"n{ends[end]}" for end in path.ends if end in ends and end != path.stop)
    if on_path:
        yield f"  class {','.join(on_path)} onpath"
    if path.stop in ends:
        yield f"  class n{ends[path.stop]} stop"
