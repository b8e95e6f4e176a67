"""Which policy rules select a packet: as one would find them who asks each in its turn."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from netprobe.model import Namespace, PolicyRule, RouteQuery
from netprobe.predict import policy

SOURCES = [f"10.0.0.{n}" for n in range(4)]
RULES = st.lists(
    st.builds(
        PolicyRule,
        priority=st.integers(0, 9),
        version=st.just(4),
        action=st.sampled_from(["lookup", "lookup", "nop", "goto"]),
        table=st.just(254),
        src=st.sampled_from([None, *SOURCES, *(f"{each}/32" for each in SOURCES), "10.0.0.0/31", "0.0.0.0/0"]),
        mark=st.integers(0, 1),
        inverted=st.booleans(),
        goto=st.integers(0, 9),
    ),
    max_size=12,
)


@given(RULES, st.sampled_from([None, *SOURCES]))
def test_the_rules_that_select_a_packet_are_those_of_who_asks_each(rules: list[PolicyRule], src: str | None) -> None:
    namespace, query = Namespace("n", rules=tuple(rules)), RouteQuery(src, "8.8.8.8")
    assert list(policy.selected(namespace, query)) == list(each_asked(namespace, query))


def each_asked(namespace: Namespace, query: RouteQuery) -> Iterator[PolicyRule]:
    """fib_rules_lookup, word for word."""
    rules = list(policy.rules_for(namespace, 4))
    while rules:
        rule = rules.pop(0)
        if not policy.matches(namespace, rule, query):
            continue
        if rule.action != "goto":
            yield rule
        elif any(other.priority == rule.goto for other in rules):
            while rules[0].priority != rule.goto:
                rules.pop(0)


def test_of_many_rules_for_others_none_is_asked(monkeypatch) -> None:
    asked: list[PolicyRule] = []
    matches = policy.matches
    monkeypatch.setattr(policy, "matches", lambda *words: asked.append(words[1]) or matches(*words))
    theirs = tuple(PolicyRule(1000 + n, 4, table=99, src=f"10.66.{n >> 8}.{n & 255}/32") for n in range(3000))
    everybodys = (PolicyRule(0, 4, table=255), PolicyRule(32766, 4, table=254))
    namespace = Namespace("n", rules=(*theirs, *everybodys))
    assert tuple(policy.selected(namespace, RouteQuery("10.66.1.7", "8.8.8.8"))) == (everybodys[0], theirs[263], everybodys[1])
    assert len(asked) == 3


def test_where_every_rule_is_of_one_source_it_is_found() -> None:
    rule = PolicyRule(5, 4, "lookup", 254, src="10.0.0.1/32")
    for src, found in (("10.0.0.1", [rule]), ("10.0.0.2", []), (None, [])):
        assert list(policy.selected(Namespace("n", rules=(rule,)), RouteQuery(src, "8.8.8.8"))) == found
    six = PolicyRule(5, 6, "lookup", 254, src="fd00::a:0:0:1/128")
    assert list(policy.selected(Namespace("n", rules=(six,)), RouteQuery("fd00::a:0:0:1", "fd00::9"))) == [six]
    assert list(policy.selected(Namespace("n", rules=(six,)), RouteQuery("fd00:0:0:0:a::1", "fd00::9"))) == [six]
