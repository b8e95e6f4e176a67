"""What a tool reads of a word: commands are offered where that is the word itself, and advice where it is not."""

from __future__ import annotations

from typing import Any

import pytest

from netprobe.model import Chain, Command, Flow, InterfaceAddress, Link, Object, Protocol, Rule, Ruleset, Table
from netprobe.predict import allow, fixes


def words(fix: fixes.Fix) -> list[tuple[str, ...]]:
    return [command.words for command in fix]


@pytest.mark.parametrize("name", ["-x", "--help", "up", "dev", "e;id>pwn", "a b"])
def test_the_name_of_an_interface_stands_behind_dev(name: str) -> None:
    """ip(8) takes whatever stands there for a name, and reads `up` or `-x` elsewhere as its own."""
    link, own = Link(2, name), InterfaceAddress(2, "fd00::1", 64)
    commands = [fixes.link_set(link, "up"), fixes.bridge_port(link, "state", "3"), fixes.address("del", own, link),
                fixes.forget_neighbour("10.0.0.1", link), fixes.with_address(link), *fixes.with_right_length(own, link),
                *fixes.with_another(own, link)]  # fmt: skip
    assert len(commands) == 9
    for command in commands:
        assert command.words[command.words.index("dev") + 1] == name


@pytest.mark.parametrize("key", ["net.ipv4.ip_forward", "net.ipv4.conf.eth0/7.rp_filter", "net.ipv4.conf.$(id).rp_filter"])
def test_a_sysctl_is_written(key: str) -> None:
    assert words(fixes.sysctl(key, 1)) == [("sysctl", "-w", f"{key}=1")]


@pytest.mark.parametrize("name", ["a=1", "a*", "a?", "[a]", "a\\", "a\nb", "a b"])
def test_a_sysctl_that_would_be_another_one_is_not(name: str) -> None:
    [told] = fixes.sysctl(f"net.ipv4.conf.{name}.rp_filter", 1)
    assert told.words == ()
    assert "/proc/sys" in told.note


def test_iptables_takes_a_plus_for_any_end_of_a_name() -> None:
    asked = ("10.0.0.2", "10.0.0.0/8")
    for source in asked:
        [made] = fixes.masquerade("iptables", source, Link(2, "-x"))
        assert made == Command.of("iptables", "-t", "nat", "-A", "POSTROUTING", "-s", source, "-o", "-x", "-j", "MASQUERADE")
    assert fixes.masquerade("ip6tables", "fd00::2", Link(2, "eth0"), "-I")[0].words[:5] == ("ip6tables", "-t", "nat", "-I", "POSTROUTING")
    assert words(fixes.masquerade("iptables", "10.0.0.2", Link(2, "eth+"))) == [()]
    assert fixes.masquerade("iptables", None, None)[0].lacks("INTERFACE")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("nft", "inet", "fw", "a-b/c.d_e", "handle", "7"), ("nft", "delete", "rule", "inet", "fw", "a-b/c.d_e", "handle", "7")),
        (("arptables-legacy", "filter", "a;b", "2"), ("arptables-legacy", "-D", "a;b", "2")),
        (("ebtables", "nat", "OUTPUT", "2"), ("ebtables", "-t", "nat", "-D", "OUTPUT", "2")),
    ],
)
def test_a_rule_is_named_by_its_words(names: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert words(fixes.without(Object("rule", " ".join(names), words=names))) == [expected]


@pytest.mark.parametrize("name", ["a b", "a;b", "$x", "{", "9a", "-a", "ü", "a\n", '"a"', "", "@a", "a,b", "\udcff"])
@pytest.mark.parametrize("place", [2, 3])
def test_nft_gets_no_name_that_is_none_in_its_language(name: str, place: int) -> None:
    for rest in (("handle", "7"), ("policy",)):
        names = ["nft", "inet", "fw", "in", *rest]
        names[place] = name
        thing = Object("rule", "", words=tuple(names))
        [told] = fixes.without(thing) or allow.accepting(thing, allow.Passing("forward", FLOW, "a0", "b0"))
        assert told.words == ()


def test_a_policy_is_never_opened() -> None:
    for names in (("nft", "inet", "fw", "in", "policy"), ("iptables", "filter", "FORWARD", "policy")):
        assert fixes.without(Object("policy", " ".join(names), words=names)) == ()


@pytest.mark.parametrize(
    ("printed", "typed"),
    [
        ("-i br0 ! -o eth0 -j DROP", ("-i", "br0", "!", "-o", "eth0", "-j", "DROP")),
        ('-m comment --comment "two \\"words\\" $(id)" -j DROP', ("-m", "comment", "--comment", 'two "words" $(id)', "-j", "DROP")),
        ('-m comment --comment -x -j "DROP"', ("-m", "comment", "--comment", "-x", "-j", "DROP")),
        ("-j DROP -i eth0 -c 12 840", ("-j", "DROP", "-i", "eth0")),
    ],
)
def test_a_rule_is_taken_away_by_its_text(printed: str, typed: tuple[str, ...]) -> None:
    thing = Object("rule", "", f"-A a;chain {printed}", words=("iptables", "raw", "a;chain", "7"))
    assert words(fixes.without(thing)) == [("iptables", "-t", "raw", "-D", "a;chain", *typed)]


@pytest.mark.parametrize("tool", ["iptables", "ip6tables", "iptables-legacy"])
def test_a_rule_that_its_tool_takes_from_nobody_is_taken_away_by_its_number(tool: str) -> None:
    """nft lets a chain of the table nat drop; iptables takes no such rule, not even to delete it."""
    thing = Object("nat-rule", "", "-A DOCKER -i docker0 -j DROP", words=(tool, "nat", "DOCKER", "3"))
    assert words(fixes.without(thing)) == [(tool, "-t", "nat", "-D", "DOCKER", "3")]


def test_a_rule_that_stands_twice_is_taken_away_twice() -> None:
    twins = chain("FORWARD", "-A FORWARD -j DROP", "-A FORWARD -j ACCEPT", "-A FORWARD -j DROP")
    rules = Ruleset(tables=(Table("iptables", "ip6", "filter", (chain("FORWARD", "-A FORWARD -j DROP"),)),
                            Table("iptables", "ip", "filter", (twins,))))  # fmt: skip
    thing = Object("rule", "", "-A FORWARD -j DROP", words=("iptables", "filter", "FORWARD", "1"))
    assert words(fixes.without(thing, rules)) == [("iptables", "-D", "FORWARD", "-j", "DROP")] * 2


def chain(name: str, *texts: str) -> Chain:
    return Chain(name, tuple(Rule(number, text) for number, text in enumerate(texts, 1)))


FLOW = Flow("10.0.0.2", "10.0.0.9", Protocol.TCP, 40000, 80)
ECHO = Flow("10.0.0.2", "10.0.0.9", Protocol.ICMP, icmp_type=8)
SIX = Flow("fd00::2", "fd00::9", Protocol.ICMPV6, icmp_type=128)


@pytest.mark.parametrize(
    ("names", "crossing", "expected"),
    [
        ("iptables filter FORWARD policy", ("forward", FLOW, "br0", "eth0"), "iptables -I FORWARD -i br0 -o eth0 -j ACCEPT"),
        ("iptables filter FORWARD policy", ("forward", FLOW, "eth0", "br0", True),
         "iptables -I FORWARD -i eth0 -o br0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"),
        ("iptables-legacy filter INPUT policy", ("input", FLOW, "eth0", "x"),
         "iptables-legacy -I INPUT -i eth0 -p tcp --dport 80 -j ACCEPT"),
        ("iptables filter OUTPUT policy", ("output", ECHO, "x", "eth0"),
         "iptables -I OUTPUT -o eth0 -p icmp -j ACCEPT"),
        ("ip6tables filter INPUT policy", ("input", SIX, "eth0"),
         "ip6tables -I INPUT -i eth0 -p ipv6-icmp -j ACCEPT"),
        ("iptables mangle POSTROUTING policy", ("postrouting", FLOW, "br0", "eth0"),
         "iptables -t mangle -I POSTROUTING -o eth0 -p tcp --dport 80 -j ACCEPT"),
        ("iptables raw PREROUTING policy", ("prerouting", FLOW, "br0", None),
         "iptables -t raw -I PREROUTING -i br0 -s 10.0.0.2 -d 10.0.0.9 -j ACCEPT"),
        ("ebtables filter FORWARD policy", ("forward", FLOW, "p1", "p2"), "ebtables -I FORWARD -i p1 -o p2 -j ACCEPT"),
        ("arptables filter INPUT policy", ("input", FLOW, "eth0", None), "arptables -I INPUT -i eth0 -j ACCEPT"),
        ("nft inet fw pass policy", ("forward", FLOW, "br0", "wan"), 'nft insert rule inet fw pass iifname br0 oifname "wan" accept'),
        ("nft inet fw in handle 7", ("input", FLOW, "eth0", None), "nft insert rule inet fw in iifname eth0 tcp dport 80 accept"),
        ("nft ip fw in policy", ("input", ECHO, "ip6", None), 'nft insert rule ip fw in iifname "ip6" icmp type echo-request accept'),
        ("nft inet fw in policy", ("input", SIX, "eth0", None, True),
         "nft insert rule inet fw in iifname eth0 ct state established,related accept"),
        ("nft bridge fw pass policy", ("forward", FLOW, "veth1", "veth2"),
         "nft insert rule bridge fw pass iifname veth1 oifname veth2 accept"),
        ("nft netdev fw in policy", ("ingress", SIX, "eth0"), "nft insert rule netdev fw in ip6 saddr fd00::2 ip6 daddr fd00::9 accept"),
    ],
)  # fmt: skip
def test_an_exception_is_narrow_and_stands_first(names: str, crossing: tuple[Any, ...], expected: str) -> None:
    thing = Object("policy", names, words=tuple(names.split()))
    assert words(allow.accepting(thing, allow.Passing(*crossing))) == [tuple(expected.split())]


@pytest.mark.parametrize("name", ['a"b', "a*", "a\\", "a b", "\udcff", "ü"])
def test_nft_gets_no_interface_that_it_would_read_as_another(name: str) -> None:
    thing = Object("policy", "", words=("nft", "inet", "fw", "pass", "policy"))
    [told] = allow.accepting(thing, allow.Passing("forward", FLOW, "br0", name))
    assert (told.words, "nft" in told.note) == ((), True)


def test_nothing_is_made_of_an_objects_id() -> None:
    assert fixes.without(Object("rule", "iptables filter FORWARD 1")) == ()
    assert fixes.without(None) == ()


def test_a_rule_that_names_more_than_a_chain_is_not_written_again() -> None:
    """A name may hold anything; what we put in braces is our own."""
    rule = ("add", "rule", "ip", "t", "c", "goto pod; flush ruleset")
    assert fixes.nft(("t", "c"), *rule) == (fixes.NO_NFT_NAME,)
    assert fixes.nft(("t", "c"), *rule[:5], "goto pod")[0].words == ("nft", *rule[:5], "goto pod")
    chain = ("add", "chain", "ip", "t", "c", "{ type nat hook output priority -100 ; }")
    assert fixes.nft(("t", "c"), *chain)[0].words == ("nft", *chain)


@pytest.mark.parametrize(
    ("text", "verbs"),
    [
        ("ip saddr { 10.1.0.0/24, 10.2.0.0/24 } accept", ["insert", "delete"]),
        ("tcp dport { 22, 80-90 } accept", ["insert", "delete"]),
        ("ip6 saddr { fd00::1-fd00::9 } accept", ["insert", "delete"]),
        ("ip saddr { 10.1.0.1, 10.1.0.2 } accept", ["replace"]),
        ("ip saddr 10.1.0.0/24 tcp dport 80-90 accept", ["replace"]),
        ("ip saddr @known icmp type { echo-request } accept", ["replace"]),
    ],
)
def test_a_rule_with_ranges_in_a_set_of_its_own_is_put_beside_itself(text: str, verbs: list[str]) -> None:
    """nft 1.0.6 aborts where such a rule is replaced."""
    made = fixes.nft(("t", "c"), "replace", "rule", "inet", "t", "c", "handle", "4", text)
    assert [each.words[1] for each in made] == verbs
    assert made[-1].words[2:] == ("rule", "inet", "t", "c", "handle", "4", *([text] if verbs == ["replace"] else []))
