"""Rules lead what comes in by one interface to a chain, and nothing of another one of its kind; a sender has two addresses."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from networks import edited, local, tutorial, via
from test_beside import chosen, lines

from netprobe.diagnose.repair.segment import slipped
from netprobe.model import Chain, InterfaceAddress, NamedSet, Rule, Ruleset, Snapshot, Statement, Table, Term
from netprobe.rules.read.iptables_save import read_save


def dropping(hook: str, *rules: str) -> Ruleset:
    """The rules of a chain whose policy is DROP, and chains DOCKER and WEB."""
    text = "\n".join(("*filter", f":{hook} DROP [0:0]", ":DOCKER - [0:0]", ":WEB - [0:0]", *rules, "COMMIT", ""))
    return Ruleset(tables=tuple(read_save(text, "iptables", "ip")))


def forwarding(*rules: str) -> Snapshot:
    return edited(tutorial(), "host", ruleset=dropping("FORWARD", *rules))


ZONE = ("-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "-A DOCKER -j ACCEPT")


@pytest.mark.parametrize("verb", ["-g", "-j"])
def test_a_bridge_is_led_where_the_other_bridges_are(verb: str) -> None:
    refusing = ("-A FORWARD -j REJECT --reject-with icmp-admin-prohibited",)
    cause = chosen(forwarding(*ZONE, f"-A FORWARD -i docker0 {verb} DOCKER", *refusing), "red", "172.17.0.2")
    assert (cause.code, cause.thing.text) == ("rejected-by-rule", "FORWARD leads docker0 to DOCKER, but not br0")
    assert lines(cause) == [f"iptables -I FORWARD 2 -i br0 {verb} DOCKER"]


@pytest.mark.parametrize(
    "rules",
    [
        ("-A FORWARD -i eth0 -g DOCKER",),  # no bridge
        ("-A FORWARD -i docker0 -p tcp -g DOCKER",),  # for some of it
        ("-A FORWARD -i docker0 -g DOCKER", "-A FORWARD -i br0 -g WEB"),  # it has its own
        ("-A FORWARD -i docker0 -g WEB",),  # that would not help
    ],
)
def test_where_none_of_its_kind_is_led_anywhere_it_is_let_pass_alone(rules: tuple[str, ...]) -> None:
    cause = chosen(forwarding(*ZONE, *rules), "red", "172.17.0.2")
    assert cause.code == "policy-drop"
    assert not any("-g" in line for line in lines(cause))


@pytest.mark.parametrize(
    ("more", "lacking"),
    [
        ((), False),  # nobody has ever spoken of eth0: it may be kept out on purpose
        (("-A WEB -o eth0 -j ACCEPT",), True),
        (("-A FORWARD -i eth1 -g WEB",), True),  # several are led there
        (("-A FORWARD -i eth1 -g DOCKER",), False),
    ],
)
def test_a_way_in_of_which_nobody_speaks_is_let_in_by_the_policy(more: tuple[str, ...], lacking: bool) -> None:
    snapshot = forwarding(ZONE[0], "-A WEB -o br0 -j ACCEPT", "-A FORWARD -i eth2 -g WEB", *more)
    host = snapshot["host"]
    eth0 = host.link_named("eth0")
    assert eth0 is not None
    others = tuple(replace(eth0, index=index, name=name, link=None) for index, name in ((77, "eth1"), (78, "eth2")))
    cause = chosen(edited(snapshot, "host", links=(*host.links, *others)), "internet", "10.0.0.2")
    assert cause.code == "policy-drop"
    assert cause.thing.kind == ("rule" if lacking else "policy")


def test_the_same_in_nft() -> None:
    name = Statement("match", Term("key", "meta iifname"), "==", Term("value", "docker0"))
    zone = Rule(1, 'iifname "docker0" goto fwd_docker', (name, Statement("goto", target="fwd_docker")), handle=7)
    last = Rule(2, "reject with icmpx admin-prohibited", (Statement("reject"),), handle=8)
    accept = Rule(1, "accept", (Statement("accept"),), handle=9)
    chains = (Chain("fwd", (zone, last), "forward"), Chain("fwd_docker", (accept,)))
    cause = chosen(edited(tutorial(), "host", ruleset=Ruleset((), (Table("nft", "inet", "fw", chains),))), "red", "172.17.0.2")
    # the answer of c1 comes in by docker0, and has a chain of its own
    assert lines(cause) == ['nft insert rule inet fw fwd position 7 iifname "br0" goto fwd_docker']


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        ("-A FORWARD -s 172.17.0.0/16 -g DOCKER", "iptables -I FORWARD 2 -s 10.0.0.0/16 -g DOCKER"),
        ("-A FORWARD -d 10.0.0.0/16 -j DOCKER", "iptables -I FORWARD 2 -d 172.17.0.0/16 -j DOCKER"),
        ("-A FORWARD -s 203.0.113.0/24 -g DOCKER", ""),  # of another kind
        ("-A FORWARD -s 172.17.0.0/24 -g DOCKER", ""),  # nobody's network
    ],
)
def test_a_bridge_is_led_by_its_network_where_the_other_bridges_are(rule: str, line: str) -> None:
    """As firewalld's zones have the networks of containers for sources (podman#22807)."""
    cause = chosen(forwarding(*ZONE, rule), "red", "172.17.0.2")
    assert lines(cause)[:1] == [line] if line else not any("DOCKER" in each for each in lines(cause))


def test_an_interface_that_a_map_lacks() -> None:
    held = [
        Term("pair", args=(Term("value", name), Term("verdict", f"goto {to}"))) for name, to in (("docker0", "inside"), ("eth0", "out"))
    ]
    looked = Statement("vmap", Term("key", "meta iifname"), right=Term("set", args=tuple(held)))
    accept = Rule(1, "accept", (Statement("accept"),), handle=9)
    first = Rule(1, 'iifname vmap { "docker0" : goto inside, "eth0" : goto out }', (looked,), handle=7)
    chains = (Chain("forw", (first,), "forward", policy="drop"), Chain("inside", (accept,)), Chain("out"))
    cause = chosen(edited(tutorial(), "host", ruleset=Ruleset((), (Table("nft", "inet", "fw", chains),))), "red", "172.17.0.2")
    assert lines(cause) == ['nft insert rule inet fw forw position 7 iifname "br0" goto inside']


def held(*pairs: tuple[str, str]) -> tuple[Term, ...]:
    """The elements of a verdict map: an interface, and the chain that it leads to."""
    return tuple(Term("pair", args=(Term("value", name), Term("verdict", f"goto {to}"))) for name, to in pairs)


def by_a_map(*pairs: tuple[str, str], named: bool) -> Snapshot:
    """What comes by an interface is led to a chain, by a map with a name or without; what comes by no known one is refused."""
    right = Term("ref", "doors") if named else Term("set", args=held(*pairs))
    text = "@doors" if named else "{ " + ", ".join(f'"{name}" : goto {to}' for name, to in pairs) + " }"
    looked = Statement("vmap", Term("key", "meta iifname"), right=right)
    accept = Rule(1, "accept", (Statement("accept"),), handle=9)
    first = Rule(1, f"iifname vmap {text}", (looked,), handle=7)
    chains = (Chain("forw", (first,), "forward", policy="drop"), Chain("inside", (accept,)), Chain("out", (accept,)))
    sets = (NamedSet("doors", ("ifname",), "verdict", elements=held(*pairs)),) if named else ()
    return edited(tutorial(), "host", ruleset=Ruleset((), (Table("nft", "inet", "fw", chains, sets=sets),)))


GONE = [
    (False, ['nft replace rule inet fw forw handle 7 iifname vmap { "br0" : goto inside, "docker0" : goto out }']),
    (True, ["nft delete element inet fw doors { br9 }", 'nft add element inet fw doors { "br0" : goto inside }']),
]


@pytest.mark.parametrize(("named", "fix"), GONE)
def test_a_map_has_an_interface_that_is_not_there(named: bool, fix: list[str]) -> None:
    cause = chosen(by_a_map(("br9", "inside"), ("docker0", "out"), named=named), "red", "172.17.0.2")
    assert [line.replace("'", "") for line in lines(cause)] == fix


@pytest.mark.parametrize("named", [False, True])
def test_where_it_has_only_such_as_are_there_nothing_is_put_in_their_place(named: bool) -> None:
    cause = chosen(by_a_map(("eth0", "inside"), ("docker0", "out"), named=named), "red", "172.17.0.2")
    assert not any("eth0" in line or "delete" in line for line in lines(cause)), lines(cause)


def with_two_addresses() -> Snapshot:
    red = tutorial()["red"]
    own = (*red.addresses, InterfaceAddress(2, "10.0.0.9", 32))
    return edited(
        tutorial(),
        "red",
        addresses=own,
        routes=(*local("10.0.0.2", "10.0.0.9"), via("10.0.0.0/16", None, 2), via("0.0.0.0/0", "10.0.0.1", 2)),
    )


@pytest.mark.parametrize("known", ["10.0.0.9", "10.0.0.8/30"])
def test_the_other_address_of_a_sender_is_its_source_where_the_rules_know_that_one(known: str) -> None:
    rules = dropping("INPUT", f"-A INPUT -s {known} -j ACCEPT")
    cause = chosen(edited(with_two_addresses(), "c1", ruleset=rules), "red", "172.17.0.2")
    assert (cause.code, cause.place.namespace) == ("route-wrong-src", "red")
    assert lines(cause) == ["ip route replace default via 10.0.0.1 dev eth0 src 10.0.0.9"]


@pytest.mark.parametrize("known", ["192.0.2.7", "10.0.0.2"])
def test_it_is_left_alone_where_they_know_neither_or_both(known: str) -> None:
    rules = dropping("INPUT", "-A INPUT -s 10.0.0.9 -p tcp -j ACCEPT", f"-A INPUT -s {known} -p tcp -j ACCEPT")
    cause = chosen(edited(with_two_addresses(), "c1", ruleset=rules), "red", "172.17.0.2")
    assert cause.code == "policy-drop"


@pytest.mark.parametrize(
    ("written", "beside", "meant"),
    [
        ("192.186.66.11/24", "192.168.66.1/24", "192.168.66.11"),
        ("192.16.66.11/24", "192.168.66.1/24", "192.168.66.11"),
        ("10.9.0.5/24", "10.0.0.1/24", "10.0.0.5"),
        ("172.16.0.5/24", "10.0.0.1/24", None),
        ("fd00:12::5/64", "fd00:21::1/64", "fd00:21::5"),
    ],
)
def test_an_address_one_slip_away_from_the_network_beside_it(written: str, beside: str, meant: str | None) -> None:
    def of(text: str) -> InterfaceAddress:
        address, _, length = text.partition("/")
        return InterfaceAddress(2, address, int(length))

    assert slipped(of(written), of(beside)) == meant
