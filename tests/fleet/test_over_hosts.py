"""End to end: the command line on a controller, over ssh to hosts that it has never seen."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from netprobe.lab import fleet
from netprobe.lab.hosts import HostsLab

pytestmark = pytest.mark.lab

_PYTHON = """
import netprobe, sys
with netprobe.open(hosts=netprobe.Hosts(("h1", "h2"), ssh_config=sys.argv[1])) as session:
    print(session.trace("h1:red", "h2:blue").reachable, session.ping("h2:blue", "h1:red").reachable)
    found = session.matrix(["h1:red", "h2:blue"])
    print(bool(found), found.reachable("h1:red", "h2:blue"), found.rtt(0, 1) > 0)
    try:
        session.map()
    except netprobe.WrongQuestion as error:
        print(error)
"""
_CHECK = """
expect:
  - {from: h1:red, to: h2:blue}
  - {from: h2:red, to: "h1:blue"}
  - {from: h1:red, to: 10.88.2.9, is: blocked}
"""


_KUBECTL = """#!{python}
# stands in for `kubectl exec -i POD -- COMMAND...`, which takes words and has no shell at the other end
import os, shlex, sys
assert sys.argv[1:3] == ["exec", "-i"] and sys.argv[4] == "--", sys.argv
os.execvp("ssh", ["ssh", "-F", "{config}", sys.argv[3], shlex.join(sys.argv[5:])])
"""


def asked(lab: HostsLab, command: str, *words: str, hosts: str = "h1,h2") -> subprocess.CompletedProcess[str]:
    return lab.run(["netprobe", command, "-H", hosts, "--ssh-config", lab.ssh_config, *words], timeout=60)


def report(lab: HostsLab, command: str, *words: str) -> dict[str, Any]:
    done = asked(lab, command, "--json", *words)
    assert done.stdout, done.stderr
    return dict(json.loads(done.stdout))


def places(found: dict[str, Any]) -> list[str]:
    return [hop["namespace"] for hop in found["path"]["request"]]


def test_a_trace_follows_the_packet_over_both_hosts(hosts: HostsLab) -> None:
    found = report(hosts, "trace", "h1:red", "h2:blue")
    assert found["verdict"] == "reachable"
    assert list(dict.fromkeys(places(found))) == ["h1:red", "h1:host", "h2:host", "h2:blue"]
    lost = [hop for hop in found["path"]["request"] if hop["stage"] in ("transmit", "receive") and not hop["observed"]]
    assert lost == []


def test_why_says_the_same_beforehand(hosts: HostsLab) -> None:
    found = report(hosts, "why", "h1:red", "h2:blue")
    assert found["verdict"] == "reachable"
    assert list(dict.fromkeys(places(found))) == ["h1:red", "h1:host", "h2:host", "h2:blue"]


def test_arping_asks_through_the_tunnel(hosts: HostsLab) -> None:
    found = report(hosts, "arping", "h1:blue", "h2:red")
    assert found["verdict"] == "reachable"


def test_hosts_of_a_file_and_an_address_of_one(hosts: HostsLab) -> None:
    file = Path(hosts.folder, "inventory")
    file.write_text("[all]\nh1\nh2\n")
    words = ["--hosts", str(file), "--ssh-config", hosts.ssh_config, "h2:host", f"h1:{fleet.underlay(1)}"]
    done = hosts.run(["netprobe", "ping", *words], timeout=60)
    assert done.returncode == 0, done.stderr
    assert "h2:host" in done.stdout


def test_a_command_stands_for_ssh(hosts: HostsLab) -> None:
    kubectl = Path(hosts.folder, "kubectl")
    kubectl.write_text(_KUBECTL.format(python=sys.executable, config=hosts.ssh_config))
    kubectl.chmod(0o755)
    file = Path(hosts.folder, "mixed")
    file.write_text(f'h1 netprobe_command="{kubectl} exec -i h1 --"\nh2\nh3 netprobe_command="{kubectl} exec -i none --"\n')
    words = ["--hosts", str(file), "--ssh-config", hosts.ssh_config]
    done = hosts.run(["netprobe", "trace", *words, "h1:red", "h2:blue"], timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    done = hosts.run(["netprobe", "ls", "-q", *words], timeout=60)
    assert len(done.stdout.split()) == 6
    assert "h3 could not be asked" in done.stderr


def test_this_machine_asks_a_host_and_is_none_of_them(hosts: HostsLab) -> None:
    found = report(hosts, "trace", "host", "h2:host")
    assert found["verdict"] == "reachable"
    assert list(dict.fromkeys(places(found))) == ["host", "h2:host"]


def test_ls_lists_the_namespaces_of_all_hosts_as_they_are_typed(hosts: HostsLab) -> None:
    done = asked(hosts, "ls", "-q")
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == {f"{host}:{name}" for host in ("h1", "h2") for name in ("host", "red", "blue")}


def test_expectations_hold_across_hosts(hosts: HostsLab) -> None:
    file = Path(hosts.folder, "net.yaml")
    file.write_text(_CHECK)
    done = asked(hosts, "check", "--timeout", "2s", str(file))
    assert done.returncode == 0, done.stdout + done.stderr


def test_python_asks_hosts_too(hosts: HostsLab) -> None:
    done = hosts.run([sys.executable, "-c", _PYTHON, hosts.ssh_config], timeout=60)
    assert done.stdout.splitlines()[:2] == ["True True", "True True True"], done.stderr
    assert "one machine" in done.stdout


def test_all_pairs_over_hosts_and_one_cause_for_those_that_fail(make_hosts: Callable[..., HostsLab]) -> None:
    lab = make_hosts(3)
    lab.run(["ip", "link", "set", "v-blue", "down"], "h2", check=True)
    done = asked(lab, "matrix", "--json", "--all", "--exclude", "h3:blue", hosts="h1,h2,h3")
    found = json.loads(done.stdout)
    names = [member["endpoint"] for member in found["members"]]
    assert set(names) == {f"{host}:{name}" for host in fleet.names(3) for name in ("host", "red", "blue")} - {"h3:blue"}
    down = next(n for n, each in enumerate(found["groups"]) if each["cause"]["code"] == "link-admin-down")
    assert {tuple(sorted((pair["source"], pair["destination"]))) for pair in found["pairs"] if pair["group"] == down} >= {
        ("h1:blue", "h2:blue"), ("h1:red", "h2:blue"), ("h2:blue", "h2:red"), ("h2:blue", "h3:red"),
    }  # fmt: skip
    assert done.returncode == 1


def test_who_has_the_same_address_on_another_host_answers_for_nobody(make_hosts: Callable[..., HostsLab]) -> None:
    lab = make_hosts(2)
    address = fleet.overlay(2, 2)
    lab.run(["ip", "-n", "red", "address", "add", f"{address}/32", "dev", "lo"], "h1", check=True)
    done = asked(lab, "matrix", "--json", "h1:red", "h2:blue")
    [there, back] = json.loads(done.stdout)["pairs"]
    assert there["source"] == "h1:red"
    assert there["verdict"] != "reachable", "it has answered itself, and h2:blue has heard nothing"
    assert back["source"] == "h2:blue"
    assert f"{address} is h1:red's, too, which gets the probe: h2:blue does not" in report(lab, "trace", "h1:red", "h2:blue")["notes"]


def test_what_is_broken_on_a_host_is_named_there(make_hosts: Callable[..., HostsLab]) -> None:
    lab = make_hosts(2)
    lab.run(["ip", "link", "set", "v-blue", "down"], "h2", check=True)
    found = report(lab, "trace", "h1:red", "h2:blue")
    assert found["verdict"] == "unreachable", found
    assert found["causes"][0]["code"] == "link-admin-down"
    assert found["causes"][0]["place"]["namespace"] == "h2:host"
    fix = found["causes"][0]["fix"][0]
    assert fix.startswith("ssh ")
    lab.run(["sh", "-c", fix], check=True)  # as it is printed, from where netprobe runs
    assert report(lab, "trace", "h1:red", "h2:blue")["verdict"] == "reachable"
    assert left_on(lab, "h1") == left_on(lab, "h2") == []


def left_on(lab: HostsLab, host: str, patience: float = 5) -> list[str]:
    """What runs on a host besides its process 1 and its sshd, once it had time to end."""
    end = time.monotonic() + patience
    while True:
        running = lab.run(["ps", "-eo", "pid=,args="], host).stdout.splitlines()
        left = [line for line in running if line.split()[0] != "1" and not line.split(None, 1)[1].startswith(("sshd: /", "ps "))]
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.05)


_PIECES = """
import sys
from netprobe.fleet.over_ssh import Destination, open_ssh
with open_ssh("h1", Destination("h1", ("-F", sys.argv[1]))) as connection:
    for _ in range(30):
        large = [connection.begin("batch", None, [["file", "/proc/net/snmp", 1 << 16]] * 200) for _ in range(6)]
        small = [connection.begin("clock") for _ in range(20)]
        assert all(len(each.result()) == 200 for each in large) and all(each.result() for each in small)
print("whole")
"""


def test_an_answer_in_pieces_is_overtaken_by_none(hosts: HostsLab) -> None:
    done = hosts.run([sys.executable, "-c", _PIECES, hosts.ssh_config], timeout=60)
    assert done.stdout == "whole\n", done.stderr
