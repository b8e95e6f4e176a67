"""Rules that are not understood: whether the packet is refused is open, by which rule it would be may be known."""

from __future__ import annotations

import pytest
from literal_rules import ACCEPT, DROP, nft_forward, test
from networks import edited, probe, tutorial

from netprobe.model import Ruleset, Stage
from netprobe.predict.predict import Prediction, predict

UNKNOWN = test({"osf": {"key": "name"}}, "Linux")
MARKED = {"mangle": {"key": {"meta": {"key": "mark"}}, "value": 9}}
OF_MARK = test({"meta": {"key": "mark"}}, 9)


@pytest.mark.parametrize(
    ("ruleset", "code", "object"),
    [
        (nft_forward([UNKNOWN, ACCEPT], policy="drop"), "policy-drop", "nft inet t f policy"),
        (nft_forward([UNKNOWN, MARKED], [OF_MARK, ACCEPT], [{"reject": None}]), "rejected-by-rule", "nft inet t f handle 12"),
        (nft_forward([UNKNOWN, DROP]), "filtered-by-rule", "nft inet t f handle 10"),
        # whichever it is, one of them refuses: the first that is not understood is named
        (nft_forward([UNKNOWN, DROP], [UNKNOWN, ACCEPT], [DROP]), "filtered-by-rule", "nft inet t f handle 10"),
    ],
)
def test_who_would_refuse_is_named_where_there_is_one(ruleset: Ruleset, code: str, object: str) -> None:
    outcome = predict(edited(tutorial(), "host", ruleset=ruleset), probe("red", "8.8.8.8"), ask=False)
    assert isinstance(outcome, Prediction)
    suspects = (suspect for hop in outcome.request.hops for suspect in hop.suspects)
    first = next(each for each in suspects if each.place.stage is Stage.FORWARD)
    assert (first.code, first.thing.id) == (code, object)
    assert "could not be evaluated" in first.text
