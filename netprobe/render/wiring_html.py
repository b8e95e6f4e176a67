"""A map as one page: the picture, the rules that translate, and the same as text, to read and to search.

Nothing is fetched from anywhere, there is no script, and a policy in the page forbids both.
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.model.wiring import Wiring

from .markup import escaped
from .terminal import Terminal
from .wiring_svg import STYLE, inner_svg
from .wiring_text import wiring_text
from .wiring_words import meant, translated, unread

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE = """\
:root{color-scheme:light dark;--ground:#fff;--text:#1f2328;--soft:#59636e;--rim:#d1d9e0}
@media(prefers-color-scheme:dark){:root{--ground:#0d1117;--text:#e6edf3;--soft:#9198a1;--rim:#3d444d}}
body{margin:0 auto;padding:1.2rem;max-width:120rem;background:var(--ground);color:var(--text);
font:15px/1.5 system-ui,sans-serif}
h1{font-size:1.3rem;margin:.2rem 0 .6rem;overflow-wrap:anywhere}
h2{font-size:1.05rem;margin:1.4rem 0 .4rem}
.picture{overflow-x:auto;border:1px solid var(--rim);border-radius:8px}
.picture svg{display:block}
.table{overflow-x:auto}
table{border-collapse:collapse;font-size:.9rem}
th,td{text-align:left;vertical-align:top;padding:.25rem .8rem .25rem 0;border-bottom:1px solid var(--rim)}
td{min-width:6rem}
pre{overflow-x:auto;font:13px/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
.soft{color:var(--soft)}
@media print{.picture{overflow:visible;border:0}
.picture svg{max-width:100%;height:auto}details{display:none}}"""


def wiring_html(wiring: Wiring) -> str:
    """The page."""
    return "\n".join(_lines(wiring)) + "\n"


def _lines(wiring: Wiring) -> Iterator[str]:
    asked = f" of {', '.join(wiring.asked)}" if wiring.asked else ""
    title = escaped(f"Wiring{asked}")
    yield '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8"/>'
    yield f'<meta http-equiv="Content-Security-Policy" content="{escaped(_POLICY)}"/>'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
    yield f"<title>{title}</title>\n<style>{_STYLE}\n{STYLE}</style>\n</head>\n<body>"
    yield f"<h1>{title}</h1>"
    yield f'<div class="picture">\n{inner_svg(wiring)}\n</div>'
    yield from _rules(wiring)
    yield from _blind(wiring)
    yield "<details open><summary>As text</summary>"
    yield f"<pre>{_preformatted(wiring_text(wiring, Terminal()))}</pre>\n</details>\n</body>\n</html>"


def _preformatted(text: str) -> str:
    return "\n".join(map(escaped, text.split("\n")))


def _rules(wiring: Wiring) -> Iterator[str]:
    """Who translates, as a table."""
    rules = [(space.name, rule) for space in wiring.spaces for rule in space.translations]
    if not rules:
        return
    yield '<h2>Address translation</h2>\n<div class="table"><table>'
    yield "<tr><th>Namespace</th><th>What</th><th>For</th><th>Where</th><th>Rule</th></tr>"
    for name, rule in rules:
        where = translated(rule).removeprefix(f"{rule.kind} {meant(rule)}").strip()
        cells = (name, rule.kind, meant(rule), where, rule.rule)
        yield f"<tr>{''.join(f'<td>{escaped(cell)}</td>' for cell in cells)}</tr>"
    yield "</table></div>"


def _blind(wiring: Wiring) -> Iterator[str]:
    """What could not be read."""
    found = unread(wiring)
    if found:
        yield "<h2>Not read</h2>\n<ul>"
        yield from (f"<li>{escaped(why)}: {escaped(', '.join(whats))}</li>" for why, whats in found.items())
        yield "</ul>"
