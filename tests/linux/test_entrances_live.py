"""How a namespace is entered from where netprobe is: the words are run, and lead there."""

from __future__ import annotations

import pytest
from entering import entrances

from netprobe.lab.lab import Lab
from netprobe.linux.names.names import Found

pytestmark = pytest.mark.lab


def test_how_each_namespace_is_entered(lab: Lab) -> None:
    named, own, by_path, by_pid = lab.call(entrances, ["red", "host", "path:/run/netns/c2", "pid:{pid}"])
    assert named == (("ip", "netns", "exec", "red"), True)
    assert own == ((), True)
    assert by_path == (("nsenter", "--net=/run/netns/c2"), True)
    assert by_pid == (("nsenter", "-t", by_pid[0][2], "-n"), True)


def test_another_host_is_entered_like_any_other(lab: Lab) -> None:
    host, red = lab.call(entrances, ["host", "red"], "red")
    assert host == red == (("ip", "netns", "exec", "red"), True)


def test_a_file_that_is_another_namespace_to_another_process_is_no_way_in(lab: Lab) -> None:
    assert lab.call(entrances, ["path:/proc/self/ns/net"]) == [((), True)]
    assert Found("path", "/proc/self/fd/7", "/proc/self/fd/7").enter is None
    assert Found("path", "ns/net", "ns/net").enter is None


def test_where_netprobe_is_has_a_name_that_is_said(fresh_lab: Lab) -> None:
    """It may have been started by `ip netns exec`, and the shell be elsewhere."""
    attached = ("bash", "-c", "ip netns attach mine $$ && ip netns add netns-12345678-1234-1234-1234-123456789abc")
    [own] = fresh_lab.call(entrances, ["mine"], None, attached)
    assert own == (("ip", "netns", "exec", "mine"), True)


@pytest.mark.parametrize("name", ["e;id>pwn", "-x", "#x", "a b", "\udcff", "exec", "help", "--help", "-n"])
def test_a_strange_name_is_entered_as_well(fresh_lab: Lab, name: str) -> None:
    fresh_lab.run(["ip", "netns", "add", name], check=True) if name[0] != "-" else fresh_lab.run(
        ["bash", "-c", f"touch /run/netns/{name} && mount --bind /run/netns/red /run/netns/{name}"], check=True
    )
    [found] = fresh_lab.call(entrances, [name])
    assert found == (("ip", "netns", "exec", name), True)
