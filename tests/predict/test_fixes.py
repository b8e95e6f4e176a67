"""What a tool reads of a word: commands are offered where that is the word itself, and advice where it is not."""

from __future__ import annotations

import pytest

from netprobe.model import Command, InterfaceAddress, Link, Object
from netprobe.predict import fixes


def words(fix: fixes.Fix) -> list[tuple[str, ...]]:
    return [command.words for command in fix]


@pytest.mark.parametrize("name", ["-x", "--help", "up", "dev", "e;id>pwn", "a b"])
def test_the_name_of_an_interface_stands_behind_dev(name: str) -> None:
    """ip(8) takes whatever stands there for a name, and reads `up` or `-x` elsewhere as its own."""
    link, own = Link(2, name), InterfaceAddress(2, "fd00::1", 64)
    commands = [fixes.link_set(link, "up"), fixes.bridge_port(link, "state", "3"), fixes.address("del", own, link),
                fixes.forget_neighbour("10.0.0.1", link), fixes.with_address(link), *fixes.with_right_length(own, link),
                *fixes.detected_again(own, link)]  # fmt: skip
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
        [made] = fixes.masquerade(source, Link(2, "-x"))
        assert made == Command.of("iptables", "-t", "nat", "-A", "POSTROUTING", "-s", source, "-o", "-x", "-j", "MASQUERADE")
    assert fixes.masquerade("fd00::2", Link(2, "eth0"), "-I")[0].words[:5] == ("ip6tables", "-t", "nat", "-I", "POSTROUTING")
    assert words(fixes.masquerade("10.0.0.2", Link(2, "eth+"))) == [()]
    assert fixes.masquerade("10.0.0.2", None)[0].lacks("INTERFACE")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("nft", "inet", "fw", "in", "policy"), ("nft", "chain", "inet", "fw", "in", "{ policy accept; }")),
        (("nft", "inet", "fw", "a-b/c.d_e", "handle", "7"), ("nft", "delete", "rule", "inet", "fw", "a-b/c.d_e", "handle", "7")),
        (("ip6tables", "filter", "FORWARD", "policy"), ("ip6tables", "-P", "FORWARD", "ACCEPT")),
        (("arptables-legacy", "filter", "a;b", "2"), ("arptables-legacy", "-D", "a;b", "2")),
        (("ebtables", "nat", "OUTPUT", "2"), ("ebtables", "-t", "nat", "-D", "OUTPUT", "2")),
    ],
)
def test_a_rule_or_policy_is_named_by_its_words(names: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert words(fixes.without(Object("rule", " ".join(names), words=names))) == [expected]


@pytest.mark.parametrize("name", ["a b", "a;b", "$x", "{", "9a", "-a", "ü", "a\n", '"a"', "", "@a", "a,b", "\udcff"])
@pytest.mark.parametrize("place", [2, 3])
def test_nft_gets_no_name_that_is_none_in_its_language(name: str, place: int) -> None:
    for rest in (("handle", "7"), ("policy",)):
        names = ["nft", "inet", "fw", "in", *rest]
        names[place] = name
        [told] = fixes.without(Object("rule", "", words=tuple(names)))
        assert told.words == ()


def test_nothing_is_made_of_an_objects_id() -> None:
    assert fixes.without(Object("rule", "iptables filter FORWARD 1")) == ()
    assert fixes.without(None) == ()
