"""A picture of terminal output as SVG, for a README: a window that stands on a light page and on a dark one.

Every word group is pinned to its column (x and textLength), so that the table keeps its shape in whichever
font the reader has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.sax.saxutils import escape

from netprobe.render.escape import safe
from netprobe.render.pen import columns

_ADVANCE, _LINE, _PADDING, _BAR = 8.4, 20, 18, 36  # pixels: a column, a line, the frame, the title bar
_LEAST_COLUMNS = 40
_SEQUENCE = re.compile(r"\x1b\[([0-9;]*)m")
_GROUP = re.compile(r"\S+(?: \S+)*")  # words; two spaces divide columns
_CLASSES = {"1": "bold", "2": "dim", "31": "red", "32": "green", "33": "yellow", "36": "cyan"}

_STYLE = """\
.window{fill:#24272e;stroke:#57606a}
.bar{fill:#343941}
text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#dbdfe5}
.title{fill:#a9b1bb;text-anchor:middle}
.bold{font-weight:bold}
.dim{fill:#868e99}
.red{fill:#ff7b72}
.green{fill:#7ee787}
.yellow{fill:#f2cc60}
.cyan{fill:#79c0ff}"""


def window(text: str, title: str = "") -> str:
    """A terminal window that shows `text`, which may carry the colours of a `Pen`.

    `title` stands in the bar: the command.
    """
    rows = [list(_runs(line)) for line in text.rstrip("\n").split("\n")]
    width = max(
        [_LEAST_COLUMNS, columns(safe(title)) + 16, *(sum(columns(said) for _, said in row) for row in rows)]
    )
    across, down = round(width * _ADVANCE + 2 * _PADDING), _BAR + len(rows) * _LINE + 2 * _PADDING - 6
    label = escape(safe(title))
    drawn = [
        element for at, row in enumerate(rows) for element in _row(row, _BAR + _PADDING + 10 + at * _LINE)
    ]
    return (
        "\n".join(
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" width="{across}" height="{down}" '
                f'viewBox="0 0 {across} {down}" role="img">',
                f"<title>{label}</title>",
                f"<style>{_STYLE}</style>",
                f'<rect class="window" x=".5" y=".5" width="{across - 1}" height="{down - 1}" rx="8"/>',
                f'<path class="bar" d="M1 {_BAR}V8.5A7.5 7.5 0 0 1 8.5 1'
                f'H{across - 8.5}A7.5 7.5 0 0 1 {across - 1} 8.5V{_BAR}Z"/>',
                *(
                    f'<circle cx="{20 + 20 * at}" cy="18.5" r="6" fill="{fill}"/>'
                    for at, fill in enumerate(("#ff5f57", "#febc2e", "#28c840"))
                ),
                f'<text class="title" x="{across / 2:g}" y="23">{label}</text>',
                *drawn,
                "</svg>",
            )
        )
        + "\n"
    )


def _runs(line: str) -> Iterator[tuple[str, str]]:
    """The pieces of a line, each with its classes; a sequence that is no colour becomes visible."""
    classes = ""
    for at, piece in enumerate(_SEQUENCE.split(line)):
        if at % 2:
            classes = " ".join(_CLASSES[code] for code in piece.split(";") if code in _CLASSES)
        elif piece:
            yield classes, safe(piece)


def _row(row: list[tuple[str, str]], y: int) -> Iterator[str]:
    column = 0
    for classes, said in row:
        for group in _GROUP.finditer(said):
            x = _PADDING + (column + columns(said[: group.start()])) * _ADVANCE
            style = f' class="{classes}"' if classes else ""
            yield (
                f'<text{style} x="{x:.1f}" y="{y}"'
                f' textLength="{columns(group[0]) * _ADVANCE:.1f}">{escape(group[0])}</text>'
            )
        column += columns(said)
