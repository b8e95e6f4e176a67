"""Maps whose every text somebody else may have chosen: for tests that nothing of it is markup, in any format."""

from hypothesis import strategies as st
from msgspec.structs import replace

from netprobe.model import Verdict
from netprobe.model.wiring import LaidPath, Wire, WiredInterface, WiredSpace, WiredTranslation, WireEnd, Wiring

KERNEL_NAMES = (
    st.binary(min_size=1, max_size=15)
    .map(lambda raw: bytes(each for each in raw if each not in b"\0/: \t\n\v\f\r"))
    .filter(lambda raw: raw not in (b"", b".", b".."))
    .map(lambda raw: raw.decode("utf-8", "surrogateescape"))
)  # dev_valid_name, net/core/dev.c
MARKUP = st.sampled_from(
    ['"];x->y;a[b="', "<script>alert(1)</script>", "']]><x y='", "&quot;#34;", "`**x**`", "end\nsubgraph x", "\\N\\l", "\\", '\\"',
     "%%{init}%%",
     "--> n1", "\x1b]0;x\x07", "\u202egnp", "</pre><img src=x onerror=y>", "{{x}}", "javascript:x", "&#x41;", "\ud800", "a\\"]
)  # fmt: skip
TEXTS = st.one_of(MARKUP, st.text(max_size=30), st.text(st.characters(codec=None), max_size=12))
NAMES = st.one_of(KERNEL_NAMES, MARKUP)


@st.composite
def wirings(draw):
    names = draw(st.lists(TEXTS.filter(bool), min_size=1, max_size=5, unique=True))
    devices = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    kinds = st.sampled_from(["veth", "bridge", "", "vxlan", "macvlan", "loopback"])
    made = st.builds(
        WiredInterface, st.just(""), kind=kinds, up=st.booleans(), carrier=st.booleans(), detail=TEXTS, alias=TEXTS,
        addresses=st.lists(st.sampled_from(["10.0.0.1/8", "fd00::1/64", "fe80::1/64"]), max_size=3).map(tuple),
        network=st.one_of(st.none(), TEXTS), unseen=st.one_of(st.none(), TEXTS),
    )  # fmt: skip
    translations = st.builds(WiredTranslation, st.sampled_from(["SNAT", "DNAT"]), st.booleans(), TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS,
                               inside=st.just(tuple(devices[:1])), leaves=st.just(tuple(devices[-1:])), rule=TEXTS)  # fmt: skip
    rules = st.lists(translations, max_size=2)
    spaces = tuple(
        WiredSpace(name, draw(st.sampled_from(["docker", "netns", "host"])), (draw(TEXTS),), draw(TEXTS), draw(st.one_of(st.none(), TEXTS)),
                   tuple(replace(draw(made), name=each) for each in devices), tuple(draw(rules)))
        for name in names
    )  # fmt: skip
    ends = st.builds(WireEnd, st.sampled_from(names), st.sampled_from(devices))
    wires = draw(st.lists(st.builds(Wire, st.sampled_from(["cable", "port", "member", "on", "tunnel"]), ends, ends), max_size=8))
    ways = tuple(draw(st.lists(ends, max_size=4))), tuple(draw(st.lists(ends, max_size=2)))
    stop, code = draw(st.one_of(st.none(), ends)), draw(st.one_of(st.none(), TEXTS))
    path = LaidPath(draw(TEXTS), draw(TEXTS), draw(st.sampled_from(Verdict)), draw(TEXTS), *ways, stop, code)
    return Wiring(spaces, tuple(wires), asked=tuple(draw(st.lists(TEXTS, max_size=1))), path=draw(st.sampled_from([None, path])))
