"""Policy rules that lead past the others."""

from __future__ import annotations

from networks import RULES, edited, tutorial
from test_beside import chosen, lines

from netprobe.model import PolicyRule


def test_a_rule_that_passes_over_main_is_taken_away() -> None:
    rule = PolicyRule(5, 4, "goto", goto=32767)
    cause = chosen(edited(tutorial(), "host", rules=(rule, *RULES)), "red", "8.8.8.8")
    assert (cause.code, lines(cause)) == ("rule-wrong-table", ["ip rule del pref 5 from all goto 32767"])
