"""Commands as people type them: where they run, shortened words, one command for each thing that is set; and what is none."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.diagnose.typed import Misread, typed
from netprobe.model import Command
from netprobe.model.command import joined
from netprobe.model.command import line as line_of
from netprobe.model.shell_words import split

LINES = [
    ("ip link set veth0 down", None, ["ip link set dev veth0 down"]),
    ("ip l s dev veth0 down", None, ["ip link set dev veth0 down"]),
    ("sudo /usr/sbin/ip link set up dev veth0", None, ["ip link set dev veth0 up"]),
    ("ip link set veth0 up mtu 1400 address 02:00:00:00:00:01", None,
     ["ip link set dev veth0 address 02:00:00:00:00:01", "ip link set dev veth0 mtu 1400", "ip link set dev veth0 up"]),
    ("ip link set veth0 name lan0 up", None, ["ip link set dev veth0 name lan0", "ip link set dev lan0 up"]),
    ("ip link set veth0 master br0", None, ["ip link set dev veth0 master br0"]),
    ("ip link set vx0 type vxlan learning", None, ["ip link set dev vx0 type vxlan learning"]),
    ("ip link set eth0 xdp off", None, ["ip link set dev eth0 xdp off"]),
    ("ip netns exec red ip link set eth0 down", "red", ["ip link set dev eth0 down"]),
    ("ip -n red route del default", "red", ["ip route del default"]),
    ("ip -6 -n red r a default via fe80::1 dev eth0", "red", ["ip -6 route add default via fe80::1 dev eth0"]),
    ("ip -netns red ru add pref 7 to 8.8.8.8 blackhole", "red", ["ip rule add pref 7 to 8.8.8.8 blackhole"]),
    ("ip addr add 10.0.0.9/24 brd + dev eth0 nodad", None, ["ip address add 10.0.0.9/24 dev eth0"]),
    ("ip n del 10.0.0.1 dev eth0", None, ["ip neigh del 10.0.0.1 dev eth0"]),
    ("nsenter -t 123 -n ip link set eth0 down", "pid:123", ["ip link set dev eth0 down"]),
    ("nsenter --net=/run/netns/red sysctl -w net.ipv4.ip_forward=0", "red", ["sysctl -w net.ipv4.ip_forward=0"]),
    ("nsenter --target 5 --net -- true", None, None),
    ("ssh h1 ip netns exec red ip link set eth0 down", "h1:red", ["ip link set dev eth0 down"]),
    ("ssh -p 22 -F '/a b' root@h1 sudo nsenter -t 5 -n ip route del default", "h1:pid:5", ["ip route del default"]),
    ("ssh h1 sysctl -w net.ipv4.ip_forward=1", "h1:host", ["sysctl -w net.ipv4.ip_forward=1"]),
    ("ssh h1 ip link set \"'a b'\" down", "h1:host", ["ip link set dev 'a b' down"]),
    ("ssh h1 ip link set eth0 down \\; reboot", None, None),
    ("sudo docker exec -it c1 ip route del default", "docker:c1", ["ip route del default"]),
    ("bridge -n red link set dev p1 isolated on", "red", ["bridge link set dev p1 isolated on"]),
    ("tc qdisc delete dev eth0 root", None, ["tc qdisc del dev eth0 root"]),
    ("sysctl net/ipv4/conf/eth0.5/rp_filter=1", None, ["sysctl -w net.ipv4.conf.eth0/5.rp_filter=1"]),
    ("sysctl -qw a.b=1 a.c=2", None, ["sysctl -w a.b=1", "sysctl -w a.c=2"]),
    ("iptables --append FORWARD --source 10.0.0.1 --jump DROP -w", None, ["iptables -A FORWARD -s 10.0.0.1 -j DROP"]),
    ("iptables -A POSTROUTING -t nat -j MASQUERADE", None, ["iptables -t nat -A POSTROUTING -j MASQUERADE"]),
    ("iptables -t filter -P FORWARD DROP", None, ["iptables -P FORWARD DROP"]),
    ("nft add rule inet fw forward tcp dport 80 drop", None, ["nft add rule inet fw forward tcp dport 80 drop"]),
    ("nft 'add rule filter FORWARD ip saddr { 10.0.0.1, 10.0.0.2 } drop'", None,
     ["nft add rule ip filter FORWARD ip saddr '{ 10.0.0.1, 10.0.0.2 }' drop"]),
    ("nft replace rule ip t c handle 4 tcp dport 80 accept", None, ["nft replace rule ip t c handle 4 'tcp dport 80 accept'"]),
    ("nft flush ruleset", None, ["nft flush ruleset"]),
    ("conntrack -F", None, ["conntrack -F"]),
    ("ip netns exec $'na\\377me' ip link set 'a b' down   # in red: a remark", "na\udcffme", ["ip link set dev 'a b' down"]),
]  # fmt: skip

NONE = [
    ("", "no command"), ("   # only a remark", "no command"), ("reboot", "'reboot' is not known: arptables"), ("ip", "told nothing"),
    ("ip link", "changes nothing"), ("ip route show", "changes nothing"), ("ip -n red addr", "changes nothing"),
    ("ip link set veth0 down; reboot", "one command"), ("ip link set veth0 down && true", "one command"),
    ("ip link set $(id) down", "one command"), ("ip link set `id` down", "one command"), ("ip link set 'veth0", "one command"),
    ("echo 0 > /proc/sys/net/ipv4/ip_forward", "one command"), ("ip link set veth0", "nothing to set"), ("ip link set up", "no interface"),
    ("sysctl net.ipv4.ip_forward", "set something"), ("sysctl -a", "set something"), ("iptables -L", "changes nothing"),
    ("iptables", "changes nothing"), ("nft list ruleset", "in words"), ("nft -f rules.nft", "in words"),
    ("nsenter -n", "names no process"), ("bridge fdb show", "changes nothing"), ("ip netns exec red", "no command"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "where", "commands"), LINES, ids=[row[0] for row in LINES])
def test_a_line_is_read(line: str, where: str | None, commands: list[str] | None) -> None:
    if commands is None:
        with pytest.raises(Misread):
            typed(line)
        return
    found = typed(line)
    assert (found.where, [joined(command.words) for command in found.commands]) == (where, commands)


@pytest.mark.parametrize(("line", "why"), NONE, ids=[row[0] or "empty" for row in NONE])
def test_what_changes_nothing_is_an_error(line: str, why: str) -> None:
    with pytest.raises(Misread) as raised:
        typed(line)
    assert why in str(raised.value)


@given(st.lists(st.text(st.characters(exclude_characters="\0"), max_size=12), min_size=1, max_size=5))
def test_what_is_shown_is_read_again(words: list[str]) -> None:
    try:
        shown = joined(words)
        shown.encode("utf-8", "surrogateescape")
        "".join(words).encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # no name has such a character
        return
    assert split(shown) == tuple(words)


@given(st.text(max_size=60) | st.text("ipnlskexc -'\"$`;|&<>()#\\{}", max_size=40))
def test_any_line_is_read_or_refused(line: str) -> None:
    for start in ("", "ip ", "nft ", "iptables ", "sysctl ", "nsenter ", "bridge ", "ssh h1 ", "ssh "):
        with suppress(Misread):
            assert typed(start + line).commands


@pytest.mark.parametrize("name", ["red", "na me", "it's", "a\\b", "$(id)", "na\udcffme", "größe", "!x"])
def test_what_is_shown_for_a_host_is_read_back(name: str) -> None:
    """A fix of ours is quoted for two shells, and means the same when it is typed."""
    shown = line_of(Command(("ip", "link", "set", "dev", name, "down"), enter=("ssh", "-p", "22", "h1", "ip", "netns", "exec", name)))
    found = typed(shown)
    assert found.where == f"h1:{name}"
    assert [command.words for command in found.commands] == [("ip", "link", "set", "dev", name, "down")]
