"""Rules that nobody understands: the question stays open only where they can change the answer."""

from __future__ import annotations

from networks import edited, probe
from test_roots import MASQUERADE, filter_rules, ruled

from netprobe.predict.predict import predict
from netprobe.predict.prediction import Prediction

UNKNOWN = "-m bpf --object-pinned /sys/fs/bpf/x"  # a match that no reader knows


def walked(*lines: str, policy: str = "ACCEPT", mangle: str = "", **host: object) -> Prediction:
    mangled = "\n".join(("*mangle", ":PREROUTING ACCEPT [0:0]", f"[0:0] -A PREROUTING {mangle}", "COMMIT")) if mangle else ""
    snapshot = ruled("\n".join((MASQUERADE, filter_rules(*lines, policy=policy), mangled)))
    outcome = predict(edited(snapshot, "host", **host), probe(), ask=False)
    assert isinstance(outcome, Prediction)
    return outcome


def doubts(prediction: Prediction) -> set[str]:
    reply = prediction.reply.hops if prediction.reply else ()
    return {suspect.code for hop in (*prediction.request.hops, *reply) for suspect in hop.suspects}


def test_a_mark_that_nobody_looks_at_changes_nothing() -> None:
    found = walked(mangle=f"{UNKNOWN} -j MARK --set-mark 7")
    assert found.passes
    assert doubts(found) == set()


def test_one_that_a_rule_looks_at_does() -> None:
    found = walked("FORWARD -m mark --mark 7 -j DROP", mangle=f"{UNKNOWN} -j MARK --set-mark 7")
    assert doubts(found) == {"filtered-by-rule"}


def test_nor_does_one_by_which_both_ways_lead_to_a_drop() -> None:
    found = walked("FORWARD -m mark --mark 7 -j DROP", policy="DROP", mangle=f"{UNKNOWN} -j MARK --set-mark 7")
    assert found.stop is not None
    assert found.stop.code in ("filtered-by-rule", "policy-drop")


def test_one_that_leads_out_of_a_loss_leaves_it_open() -> None:
    found = walked(
        "FORWARD -i eth0 -j ACCEPT", "FORWARD -m mark --mark 7 -j ACCEPT", policy="DROP", mangle=f"{UNKNOWN} -j MARK --set-mark 7"
    )
    assert found.stop is None
    assert doubts(found)


def test_a_rule_that_may_drop_leaves_it_open() -> None:
    assert doubts(walked(f"FORWARD {UNKNOWN} -j DROP")) == {"filtered-by-rule"}


def test_two_that_only_together_change_it_do() -> None:
    both = f"{UNKNOWN} -j MARK --set-mark 1/1\n[0:0] -A PREROUTING {UNKNOWN} 2 -j MARK --set-mark 2/2"
    assert doubts(walked("FORWARD -m mark --mark 3 -j DROP", mangle=both)) != set()
    assert doubts(walked("FORWARD -m mark --mark 4 -j DROP", mangle=both)) == set()
