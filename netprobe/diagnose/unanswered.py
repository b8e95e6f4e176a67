"""Questions for the MAC of a next hop that nobody answered, as the taps saw them: ARP (RFC 826), neighbour
discovery (RFC 4861). Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netprobe.model import Confidence, Evidence, Hop, Observation, Source, Stage
from netprobe.model.lookup import find, where
from netprobe.predict.trace import Routed

from .correlate import frames, is_neighbour

# the operation of ARP, the type of ICMPv6
_QUESTIONS, _ANSWERS = (1, 135), (2, 136)


def unanswered(
    hops: Sequence[Hop], routed: Sequence[Routed], observations: Sequence[Observation]
) -> Iterator[Evidence]:
    """Who asked, at the place where a leg waits for a neighbour, how often, and how far an answer came.

    Only questions for that next hop count, each where it left its asker; one that was answered proves
    nothing. `hops` and `routed` are those of one leg.
    """
    for last in where(hops[-1:], stage=Stage.NEIGHBOUR):
        wanted, seen = _next_hop(routed, last.namespace), [*filter(is_neighbour, frames(observations))]
        here = where(seen, namespace=last.namespace, bound="out")
        asked = [o for o in here if _is_about("dst", o, wanted, _QUESTIONS)]
        answers = [o for o in seen if _is_about("src", o, wanted, _ANSWERS)]
        if asked and not where(answers, namespace=last.namespace, bound="in"):
            said = [f"the answer was last seen at {o.namespace}/{o.interface}" for o in answers[-1:]]
            texts = (_question(asked, wanted or ""), *said)
            for text in texts:
                yield Evidence(Source.TAP, text, Confidence.OBSERVED)


def _next_hop(routed: Sequence[Routed], name: str) -> str | None:
    """The address that a neighbour was last looked for by, in a namespace."""
    last = find(reversed(routed), namespace=name)
    return None if last is None else last.via


def _is_about(side: str, seen: Observation, wanted: str | None, types: tuple[int, int]) -> bool:
    """Whether a frame is a question for an address (`dst`), or an answer of it (`src`)."""
    flow = seen.flow
    return flow is not None and flow.icmp_type in types and {"src": flow.src, "dst": flow.dst}[side] == wanted


def _question(asked: Sequence[Observation], wanted: str) -> str:
    assert asked[0].flow is not None
    times = f", {len(asked)} times" if len(asked) > 1 else ""
    return f"{asked[0].flow.src} asked who has {wanted}{times}, and got no answer"
