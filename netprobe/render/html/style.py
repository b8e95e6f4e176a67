"""The colours and shapes of pages and pictures: light, dark where the reader asks for it, and on paper.

Signs and words say everything; colours and dashes only help to find it.
"""

from __future__ import annotations

from .elements import Markup

_SANS = 'system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",Arial,sans-serif'
_MONO = 'ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace'

_LIGHT = """\
--ground:#fff;--card:#fff;--ink:#1f2328;--dim:#59636e;--rule:#d1d9e0;--shade:#f6f8fa;
--good:#1a7f37;--bad:#cf222e;--badly:#ffebe9;--nat:#0969da;--natly:#ddf4ff;--odd:#9a6700;--oddly:#fff8c5;
--pipe:#8250df;--tint0:#f6f8fa;--tint1:#eef6fc;--tint2:#f7f1fb;--tint3:#f0f7ef;--tint4:#fbf4ea;"""
_DARK = """\
--ground:#0d1117;--card:#161b22;--ink:#e6edf3;--dim:#9198a1;--rule:#3d444d;--shade:#151b23;
--good:#3fb950;--bad:#ff7b72;--badly:#2d1416;--nat:#58a6ff;--natly:#0f2339;--odd:#d8a72f;--oddly:#2a2111;
--pipe:#b78aff;--tint0:#12171e;--tint1:#0f1b26;--tint2:#1a1524;--tint3:#111d15;--tint4:#201a10;"""

_COLOURS = f"""\
:root{{color-scheme:light dark;{_LIGHT}}}
@media screen and (prefers-color-scheme:dark){{:root{{{_DARK}}}}}
"""

_PICTURE = f"""\
svg text{{font:10.5px {_SANS};fill:var(--ink)}}
svg .name,svg .head,svg .sign{{font-weight:600;font-size:12px}}
svg .detail,svg .note,svg .time{{font-family:{_MONO};font-size:10.5px}}
svg .note,svg .under,svg .time{{fill:var(--dim)}}
svg .under,svg .remark,svg .said{{font-size:11px}}
.band{{stroke:var(--rule)}}
.tint0{{fill:var(--tint0)}}.tint1{{fill:var(--tint1)}}.tint2{{fill:var(--tint2)}}
.tint3{{fill:var(--tint3)}}.tint4{{fill:var(--tint4)}}
.band.outside{{fill:none;stroke-dasharray:2 4}}
.card rect{{fill:var(--card);stroke:var(--rule)}}
.card .sign{{text-anchor:end;fill:var(--good)}}
.card.translated rect{{stroke:var(--nat);fill:var(--natly)}}
.card.translated .sign{{fill:var(--nat)}}
.card.lost rect{{stroke:var(--bad);stroke-width:2.5;fill:var(--badly)}}
.card.lost .head,.card.lost .sign,.card.lost .remark{{fill:var(--bad)}}
.card .remark{{font-weight:600}}
.card.not-reached rect{{stroke:var(--dim);stroke-opacity:.7;stroke-dasharray:4 3;fill:none}}
.card.not-reached .head,
.card.not-reached .sign,.card.not-reached .detail{{fill:var(--dim)}}
.card.unknown rect{{stroke:var(--odd);stroke-dasharray:1.5 3}}
.card.unknown .sign{{fill:var(--odd)}}
.card.expected .sign{{fill:var(--dim)}}
.card.pointed rect{{stroke:var(--odd);stroke-width:2.5;fill:var(--oddly)}}
.card.pointed .remark{{fill:var(--odd)}}
.card rect.envelope{{fill:none;stroke:var(--pipe);stroke-width:1.5;stroke-dasharray:none}}
.way{{fill:none;stroke:var(--good);stroke-width:2}}
path.head{{fill:var(--good)}}
.way.translated{{stroke:var(--good)}}
.way.lost{{stroke:var(--bad)}}path.head.lost{{fill:var(--bad)}}
.way.not-reached{{stroke:var(--dim);stroke-width:1.5;stroke-dasharray:4 4}}
path.head.not-reached{{fill:var(--dim)}}
.way.unknown{{stroke:var(--odd);stroke-dasharray:1.5 4;stroke-linecap:round}}
path.head.unknown{{fill:var(--odd)}}
.way.expected{{stroke:var(--dim)}}path.head.expected{{fill:var(--dim)}}
.tunnel{{fill:none;stroke:var(--pipe);stroke-width:11;stroke-opacity:.28;stroke-linecap:round}}
.life{{stroke:var(--rule);fill:none}}
.place rect{{fill:var(--card);stroke:var(--rule)}}
.place text,svg text.said{{text-anchor:middle}}
svg text.said{{paint-order:stroke;stroke:var(--ground);stroke-width:4px;stroke-linejoin:round}}
.told text.said{{stroke:none}}
.told rect{{fill:var(--shade);stroke:var(--rule)}}
.told.translated rect{{fill:var(--natly);stroke:var(--nat)}}
.told.lost rect{{fill:var(--badly);stroke:var(--bad);stroke-width:2}}
.told.lost text.said{{fill:var(--bad);font-weight:600}}
.told.unknown rect{{fill:none;stroke:var(--odd);stroke-dasharray:1.5 3}}
.told.passed rect{{stroke:var(--good)}}
"""

_STANDALONE = f"""\
svg .title{{font-weight:600;font-size:16px}}
svg .ending{{font-weight:600;font-size:13px}}
svg .good{{fill:var(--good)}}svg .bad{{fill:var(--bad)}}svg .odd{{fill:var(--odd)}}
svg .label{{font-weight:600;font-size:11.5px}}
svg .typed{{font-family:{_MONO};font-size:11px}}
.ground{{fill:var(--ground)}}
"""

_PAGE = f"""\
*{{box-sizing:border-box}}
body{{margin:0 auto;padding:24px 16px 48px;max-width:1112px;background:var(--ground);color:var(--ink);
font:15px/1.5 {_SANS};-webkit-text-size-adjust:100%;overflow-wrap:anywhere}}
h1{{font-size:24px;line-height:1.25;margin:4px 0 8px}}
h2{{font-size:17px;line-height:1.35;margin:32px 0 10px}}
h3{{font-size:15px;margin:18px 0 6px}}
p{{margin:6px 0}}
code,pre,.mono{{font-family:{_MONO};font-size:13px}}
pre{{margin:4px 0;padding:7px 10px;background:var(--shade);border:1px solid var(--rule);border-radius:6px;
white-space:pre-wrap}}
pre b{{font-weight:400;color:var(--dim)}}
pre.typed code{{user-select:all}}
.what{{color:var(--dim);font-size:13px;margin:0}}
.badge{{display:inline-block;padding:3px 12px;border:2px solid currentColor;border-radius:14px;
font-weight:600}}
.good{{color:var(--good)}}.bad{{color:var(--bad)}}.odd{{color:var(--odd)}}.plain{{color:var(--dim)}}
.asked{{margin-left:10px;color:var(--dim)}}
.block{{margin:20px 0;padding:2px 18px 14px;border:1px solid var(--rule);border-left:5px solid var(--rule);
border-radius:8px}}
.block.bad{{border-left-color:var(--bad)}}.block.odd{{border-left-color:var(--odd)}}
.block.good{{border-left-color:var(--good)}}
.block h2{{margin:14px 0 8px}}.block.bad h2{{color:var(--bad)}}.block.odd h2{{color:var(--odd)}}
.block,.block p,.block dl{{color:var(--ink)}}
.aside{{margin:14px 0;padding:2px 0 2px 14px;border-left:3px solid var(--rule)}}
dl{{display:grid;grid-template-columns:92px minmax(0,1fr);gap:6px 12px;margin:8px 0}}
dt{{font-weight:600}}dd{{margin:0;min-width:0}}dd p{{margin:0 0 4px}}dd pre:first-child{{margin-top:0}}
.dim{{color:var(--dim)}}
ul{{margin:6px 0;padding-left:20px}}
.flow{{display:flex;flex-wrap:wrap;align-items:flex-start;gap:0 16px}}
svg{{display:block;margin:10px 0;max-width:100%;height:auto}}
.key{{display:inline-block;margin-right:14px;color:var(--dim);font-size:13px}}
.key b{{color:var(--good)}}.key.lost b{{color:var(--bad)}}.key.translated b{{color:var(--nat)}}
.key.unknown b{{color:var(--odd)}}.key.not-reached b,.key.expected b{{color:var(--dim)}}
.key.tunnel b{{color:var(--pipe)}}.key.unreachable b{{color:var(--bad)}}
.key.intermittent b,.key.undetermined b{{color:var(--odd)}}.key.plain b{{color:var(--dim)}}
table{{border-collapse:collapse;width:100%;font-size:13.5px;margin:8px 0}}
th{{text-align:left;font-size:12px;color:var(--dim);font-weight:600;border-bottom:1px solid var(--rule)}}
th,td{{padding:5px 12px 5px 0;vertical-align:top}}
tbody tr{{border-bottom:1px solid var(--rule);break-inside:avoid}}
td.n,th.n{{text-align:right;white-space:nowrap}}
td.place{{font-weight:600}}td.short,td.step{{white-space:nowrap}}
td .packet{{display:block;color:var(--dim);font-size:12px}}
tr.passed .mark{{color:var(--good)}}tr.translated .mark,tr.translated .step{{color:var(--nat)}}
tr.lost{{background:var(--badly)}}tr.lost td{{color:var(--bad);font-weight:600}}
tr.not-reached td{{color:var(--dim)}}tr.unknown .mark,tr.pointed td{{color:var(--odd)}}
tr.lost .packet{{font-weight:400}}
.medium,.narrow{{display:none}}
@media screen and (max-width:1111px){{.wide{{display:none}}.medium{{display:block}}}}
@media screen and (max-width:731px){{
.medium{{display:none}}.narrow{{display:block}}
body{{padding:14px 12px 32px}}h1{{font-size:20px}}.asked{{display:block;margin:6px 0 0}}
.block{{padding:2px 12px 10px}}
dl{{grid-template-columns:minmax(0,1fr);gap:2px}}dd{{margin-bottom:8px}}
table,tbody,td{{display:block}}thead{{display:none}}
tbody tr{{display:flex;flex-wrap:wrap;column-gap:8px;padding:6px 0}}td{{padding:0}}td.n{{text-align:left}}
td.said{{flex-basis:100%;order:1}}td.time::after{{content:' µs'}}
table.hops td.said,table.checks td.said{{padding-left:20px}}
td:empty{{display:none}}
}}
@media print{{
*{{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
body{{padding:0;max-width:none;font-size:12px}}.wide,.narrow{{display:none}}.medium{{display:block}}
h2{{break-after:avoid}}.block,svg,.aside{{break-inside:avoid}}
}}
"""

_MAP = f"""\
.map text{{font-family:{_MONO};font-size:12px}}
.map .axis{{fill:var(--dim)}}.map .row{{fill:var(--ink)}}
.map .sign{{text-anchor:middle}}
.map path{{stroke:var(--ground)}}.map path.none{{fill:var(--shade)}}.map text.none{{fill:var(--dim)}}
.map .reachable{{fill:var(--tint3)}}.map .unreachable{{fill:var(--badly)}}
.map .intermittent,.map .undetermined{{fill:var(--oddly)}}
.map text.unreachable{{fill:var(--bad);font-weight:600}}
.map text.intermittent,.map text.undetermined{{fill:var(--odd);font-weight:600}}
.map text.reachable{{fill:var(--good)}}
"""

PAGE = Markup(_COLOURS + _PAGE + _PICTURE + _MAP)
"""The style of a page, which may have pictures in it."""
PICTURE = Markup(_COLOURS + _PICTURE + _STANDALONE)
"""The style of a picture in a file of its own."""
