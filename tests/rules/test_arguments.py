"""The arguments that iptables, ebtables and arptables print, and the statements they become."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from netprobe.model import Statement, Term
from netprobe.rules.read.arguments import blocks, tokens
from netprobe.rules.read.ebtables import arptables_arguments, ebtables_arguments
from netprobe.rules.read.iptables_save import read_arguments, read_chain, read_each, read_save

WORD = st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S"), exclude_characters="\"'\\"), min_size=1, max_size=8)


def spelled(term: Term | None) -> str:
    """A term in nft's manner."""
    if term is None:
        return ""
    inside = [spelled(each) for each in term.args]
    if term.kind in ("set", "any"):
        return f"{term.kind}({', '.join(inside)})"
    if term.kind == "concat":
        return " . ".join(inside)
    return f" {term.kind} ".join(inside) if inside else term.text


def said(statement: Statement) -> str:
    words = [statement.kind, spelled(statement.left), statement.op, spelled(statement.right), spelled(statement.port), statement.target]
    return " ".join(word for word in words if word)


def read(arguments: str, family: str = "ip", chains: tuple[str, ...] = ("MINE",)) -> list[str]:
    return [said(each) for each in read_arguments(arguments, family, chains)[0]]


@given(st.lists(WORD, max_size=6), st.text(st.characters(codec="ascii", categories=("L", "N", "Z", "P")), max_size=20))
def test_words_are_taken_apart_as_a_shell_does(words: list[str], quoted: str) -> None:
    inside = quoted.replace("\\", "\\\\").replace('"', '\\"')
    line = " ".join([*words, f'"{inside}"'])
    assert [word for word, _ in tokens(line)] == [*words, quoted]
    assert [word for word, _ in tokens(line)] == shlex.split(" ".join([*words, shlex.quote(quoted)]), posix=True)


def test_a_quoted_word_is_never_an_option() -> None:
    statements, comment = read_arguments('-s 10.0.0.1/32 -m comment --comment "! -j DROP" -j ACCEPT', "ip", ())
    assert comment == "! -j DROP"
    assert [said(each) for each in statements] == ["match ip saddr == 10.0.0.1/32", "accept"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("! -s 10.0.0.0/8 -d 10.1.0.1/255.255.0.255", ["match ip saddr != 10.0.0.0/8", "match ip daddr & 255.255.0.255 == 10.1.0.1"]),
        ("-i eth+ ! -o br0", ["match meta iifname == eth*", "match meta oifname != br0"]),
        ("-f", ["match ip frag-off & 8191 != 0"]),
        ("! -f", ["match ip frag-off & 8191 == 0"]),
        ("-p tcp -m tcp --sport 1024:65535 ! --dport 80", [
            "match meta l4proto == tcp", "match tcp sport == 1024-65535", "match tcp dport != 80"]),
        ("-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN", ["match meta l4proto == tcp", "match tcp flags & fin,syn,rst,ack == syn"]),
        ("-p tcp -m tcp --tcp-flags ALL NONE", ["match meta l4proto == tcp", "match tcp flags & fin,syn,rst,psh,ack,urg == 0"]),
        ("-p icmp -m icmp --icmp-type 3/4", ["match meta l4proto == icmp", "match icmp type . icmp code == 3 . 4"]),
        ("-p icmp -m icmp --icmp-type any", ["match meta l4proto == icmp", "match meta l4proto == icmp"]),
        ("-p udp -m multiport --dports 53,100:200", ["match meta l4proto == udp", "match th dport == set(53, 100-200)"]),
        ("-p udp -m multiport ! --ports 53", ["match meta l4proto == udp", "match any(th sport, th dport) != 53"]),
        ("-m conntrack --ctstate NEW,DNAT", ["match xt ctstate in set(new, dnat)"]),
        ("-m conntrack ! --ctstate INVALID", ["match xt ctstate not in invalid"]),
        ("-m conntrack --ctorigdst 10.0.0.0/8 --ctorigdstport 80", [
            "match ct original ip daddr == 10.0.0.0/8", "match ct original proto-dst == 80"]),
        ("-m conntrack --ctstatus NONE", ["match ct status == 0"]),
        ("-m addrtype --dst-type LOCAL --limit-iface-in", ["match fib daddr . iif type == local"]),
        ("-m mark --mark 0x1/0xff", ["match meta mark & 255 == 1"]),
        ("-m connmark ! --mark 0x1", ["match ct mark != 1"]),
        ("-m owner --uid-owner 1000-2000", ["match xt skuid == 1000-2000"]),
        ("-m mac ! --mac-source 02:00:00:00:00:99", ["match ether saddr != 02:00:00:00:00:99"]),
        ("-m length --length 1000:65535", ["match meta length == 1000-65535"]),
        ("-m ttl --ttl-lt 5", ["match ip ttl < 5"]),
        ("-m ttl ! --ttl-eq 5", ["match ip ttl != 5"]),
        ("-m iprange --src-range 10.0.0.1-10.0.0.9", ["match ip saddr == 10.0.0.1-10.0.0.9"]),
        ("-m physdev --physdev-in veth+ --physdev-is-bridged", ["match xt physdev-in == veth*", "match xt physdev-is-bridged == 1"]),
        ("-m tos --tos 0x10/0x3f", ["match ip tos & 63 == 16"]),
        ("-m policy --dir in --pol none", ["match meta ipsec == 0"]),
        ("-j MINE", ["jump MINE"]),
        ("-g MINE", ["goto MINE"]),
        ("-j LOG --log-prefix x", ["note"]),
        ("-j MARK --set-xmark 0x2/0x3", ["set meta mark meta mark & 4294967292 ^ 2"]),
        ("-j MARK --set-xmark 0x2/0xffffffff", ["set meta mark 2"]),
        ("-j MARK --set-xmark 0x0/0xff", ["set meta mark meta mark & 4294967040"]),
        ("-j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff", ["set meta mark ct mark"]),
        ("-j CT --notrack", ["notrack"]),
        ("-j CT --zone 5", ["set ct zone 5"]),
        ("-j TTL --ttl-inc 1", ["set ip ttl ip ttl + 1"]),
        ("-j DNAT --to-destination 10.0.0.3:80", ["dnat 10.0.0.3 80"]),
        ("-j DNAT --to-destination 10.0.0.3-10.0.0.9:80-90", ["dnat 10.0.0.3-10.0.0.9 80-90"]),
        ("-j MASQUERADE --to-ports 1024-2000 --random", ["masquerade 1024-2000"]),
        ("-j REDIRECT --to-ports 8080", ["redirect 8080"]),
        ("-j NETMAP --to 10.1.0.0/16", ["netmap 10.1.0.0/16"]),
        ("-j NFQUEUE --queue-balance 0:3 --queue-bypass", ["queue 0-3"]),
        ("-m u32 --u32 0x0=0x1 -j ACCEPT", ["u32 ==", "accept"]),
        ("-j SOMETHING", ["unknown"]),
    ],
)  # fmt: skip
def test_iptables_in_nfts_words(arguments: str, expected: list[str]) -> None:
    assert read(arguments) == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("-p ipv6-icmp -m icmp6 --icmpv6-type 135", ["match meta l4proto == ipv6-icmp", "match icmpv6 type == 135"]),
        ("-s fd00::/64 -m hl --hl-gt 4", ["match ip6 saddr == fd00::/64", "match ip6 hoplimit > 4"]),
        ("-j DNAT --to-destination [fd00::1]:80", ["dnat fd00::1 80"]),
        ("-j DNAT --to-destination fd00::1", ["dnat fd00::1"]),
        ("-m rt --rt-type 0", ["match exthdr rt == 1", "unknown"]),
    ],
)
def test_ip6tables_in_nfts_words(arguments: str, expected: list[str]) -> None:
    assert read(arguments, "ip6") == expected


def test_an_unknown_step_keeps_its_text() -> None:
    [statement] = read_arguments('-m cgroup --path "a b"', "ip", ())[0]
    assert (statement.kind, statement.text) == ("unknown", "-m cgroup --path a b")


def test_conditions_keep_their_options() -> None:
    [limit] = read_arguments("-m limit --limit 1/sec --limit-burst 3", "ip", ())[0]
    assert (limit.kind, limit.options) == ("limit", {"limit": "1/sec", "limit-burst": "3"})
    [recent] = read_arguments("-m recent ! --rcheck --seconds 600 --name ban --mask 255.255.255.255 --rsource", "ip", ())[0]
    assert (recent.kind, recent.op, recent.target) == ("recent", "!=", "ban")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("-p ARP --arp-op Request --arp-ip-dst ! 10.0.0.3 -j DROP", [
            "match ether type == arp", "match arp operation == request", "match arp daddr ip != 10.0.0.3", "drop"]),
        ("-s ! 02:00:00:00:00:01 -i veth+ -o ! veth1 -j ACCEPT", [
            "match ether saddr != 02:00:00:00:00:01", "match meta iifname == veth*", "match meta oifname != veth1", "accept"]),
        ("-p IPv4 --ip-proto udp --ip-dport 53:60 -j DROP", [
            "match ether type == ip", "match ip protocol == udp", "match udp dport == 53-60", "drop"]),
        ("-d Multicast -j CONTINUE", ["match ether daddr & 01:00:00:00:00:00 == 01:00:00:00:00:00", "note"]),
        ("-p IPv6 --ip6-proto ipv6-icmp --ip6-icmp-type neighbour-solicitation -j DROP", [
            "match ether type == ip6", "match ip6 nexthdr == ipv6-icmp", "match icmpv6 type == 135", "drop"]),
        ("-j mark --mark-set 0x5 --mark-target CONTINUE", ["set meta mark 5"]),
        ("-j dnat --to-dst 02:00:00:00:00:02 --dnat-target ACCEPT", ["set ether daddr 02:00:00:00:00:02", "accept"]),
        ("--among-src 2:0:0:0:0:2=1.2.3.4 -j DROP", ["match ether saddr . ip saddr == set(2:0:0:0:0:2 . 1.2.3.4)", "drop"]),
        ("--among-dst 2:0:0:0:0:2,2:0:0:0:0:3 -j DROP", ["match ether daddr == set(2:0:0:0:0:2, 2:0:0:0:0:3)", "drop"]),
        ("-p ARP --arp-htype 1 --arp-ptype 0x800 --arp-gratuitous -j DROP", [
            "match ether type == arp", "match arp htype == 1", "match arp ptype == 0x800", "match arp gratuitous == 1", "drop"]),
        ("-p IPv4 --ip-tos 0x10 -j DROP", ["match ether type == ip", "match ip tos == 0x10", "drop"]),
        ("-p Length -j DROP", ["match ether type == 0", "drop"]),
        ("-p ARP -j arpreply --arpreply-mac 2:0:0:0:0:2", [
            "match ether type == arp", "match arp operation == request", "set arp answer 2:0:0:0:0:2", "drop"]),
        ("-p ARP -j arpreply --arpreply-mac 2:0:0:0:0:2 --arpreply-target CONTINUE", [
            "match ether type == arp", "match arp operation == request", "set arp answer 2:0:0:0:0:2"]),
    ],
)  # fmt: skip
def test_ebtables_in_nfts_words(arguments: str, expected: list[str]) -> None:
    assert [said(each) for each in ebtables_arguments(arguments, "bridge", ())[0]] == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("-j DROP -i eth+ -s 10.0.0.0/24 --src-mac 02:00:00:00:00:01 ! -d 1.2.3.4 --opcode 1", [
            "match meta iifname == eth*", "match arp saddr ip == 10.0.0.0/24", "match arp daddr ip != 1.2.3.4",
            "match arp saddr ether == 02:00:00:00:00:01", "match arp operation == 1", "drop"]),
        ("-j mangle --mangle-ip-s 1.2.3.4", ["set arp saddr ip 1.2.3.4", "accept"]),
    ],
)  # fmt: skip
def test_arptables_in_nfts_words(arguments: str, expected: list[str]) -> None:
    assert [said(each) for each in arptables_arguments(arguments, "arp", ())[0]] == expected


def test_counters_policies_and_chains_of_a_save() -> None:
    text = """# Generated by iptables-save v1.8.9 on Mon Nov 23 17:10:15 2026
*nat
:PREROUTING ACCEPT [1:2]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
[3:252] -A POSTROUTING -s 10.0.0.0/16 -j MASQUERADE
-A DOCKER -i docker0 -j RETURN
COMMIT
"""
    [table] = read_save(text, "iptables", "ip")
    assert [(chain.name, chain.hook, chain.priority, chain.type) for chain in table.chains] == [
        ("PREROUTING", "prerouting", -100, "nat"), ("POSTROUTING", "postrouting", 100, "nat"), ("DOCKER", None, 0, "filter"),
    ]  # fmt: skip
    [rule] = table.chains[1].rules
    assert (rule.number, rule.packets, rule.bytes, rule.text) == (1, 3, 252, "-A POSTROUTING -s 10.0.0.0/16 -j MASQUERADE")


@given(st.text(max_size=60))
def test_no_line_breaks_the_reader(line: str) -> None:
    read_save(f"*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD {line}\nCOMMIT\n", "iptables", "ip")
    blocks(tokens(line))


@given(
    st.lists(
        st.sampled_from(
            [
                "-s",
                "-p",
                "-m",
                "tcp",
                "--dport",
                "80",
                "!",
                "-j",
                "ACCEPT",
                "--set-xmark",
                "0x/x",
                "limit",
                "conntrack",
                "--ctstate",
                "X",
                "-i",
                "icmp",
            ]
        ),
        max_size=9,
    )
)
def test_no_order_of_words_breaks_the_reader(words: list[str]) -> None:
    read_arguments(" ".join(words), "ip", ())
    ebtables_arguments(" ".join(words), "bridge", ())
    arptables_arguments(" ".join(words), "arp", ())


@pytest.mark.parametrize("target", ["KUBE-SVC-A", "ACCEPT", "RETURN", "LOG", "NOTHING", "MASQUERADE"])
@pytest.mark.parametrize("ports", ["", "-m tcp --dport 80 ", "-m udp --dport 53:60 ", "-m sctp --dport 9 "])
@pytest.mark.parametrize("comment", ["", '-m comment --comment "a: b -j DROP" ', "-m comment --comment a/b:c ", '-m comment --comment "" '])
@pytest.mark.parametrize("protocol", ["", "-p tcp ", "-p all "])
@pytest.mark.parametrize(("destination", "family"), [("10.96.0.1/32", "ip"), ("10.96.0.0/255.255.0.1", "ip"), ("fd00:10::a/128", "ip6")])
def test_a_rule_like_thousands_of_others_means_what_its_arguments_mean(
    destination: str, family: str, protocol: str, comment: str, ports: str, target: str
) -> None:
    arguments = f"-d {destination} {protocol}{comment}{ports}-j {target}"
    assert read_arguments(arguments, family, {"KUBE-SVC-A"}) == read_each(arguments, family, {"KUBE-SVC-A"})
    [first, second] = read_chain(f"-N X\n-A X {arguments}\n-A X {arguments}\n", "X", family).rules
    statements, comment = read_each(arguments, family, {"KUBE-SVC-A", "NOTHING"})
    assert (first.number, first.text, [*first.statements], first.comment) == (1, f"-A X {arguments}", statements, comment)
    assert second == replace(first, number=2)
