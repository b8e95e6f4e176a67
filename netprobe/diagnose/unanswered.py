"""Questions for the MAC of a next hop that nobody answered, as the taps saw them: ARP (RFC 826), neighbour
discovery (RFC 4861). Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netprobe.model import Confidence, Evidence, Hop, Observation, Source, Stage
from netprobe.model.lookup import find, has, where
from netprobe.predict.trace import Routed

from .neighbour_messages import ANSWER, QUESTION, Message, neighbour_messages


def unanswered(
    hops: Sequence[Hop], routed: Sequence[Routed], observations: Sequence[Observation]
) -> Iterator[Evidence]:
    """Who asked, at the place where a leg waits for a neighbour, how often, and how far an answer came.

    Only questions for that next hop count, each where it left its asker; one that was answered proves
    nothing. `hops` and `routed` are those of one leg.
    """
    for last in where(hops[-1:], stage=Stage.NEIGHBOUR):
        wanted, seen = _next_hop(routed, last.namespace), neighbour_messages(observations)
        asked = where(seen, namespace=last.namespace, bound="out", says=QUESTION, dst=wanted)
        answers = where(seen, says=ANSWER, src=wanted)
        if asked and not has(answers, namespace=last.namespace, bound="in"):
            said = [f"the answer was last seen at {o.namespace}/{o.interface}" for o in answers[-1:]]
            for text in (_asking(asked), *said):
                yield Evidence(Source.TAP, text, Confidence.OBSERVED)


def _next_hop(routed: Sequence[Routed], name: str) -> str | None:
    """The address that a neighbour was last looked for by, in a namespace."""
    last = find(reversed(routed), namespace=name)
    return None if last is None else last.via


def _asking(asked: Sequence[Message]) -> str:
    times = f", {len(asked)} times" if len(asked) > 1 else ""
    return f"{asked[0].src} asked who has {asked[0].dst}{times}, and got no answer"
