"""The lab of hosts itself: each host is a machine of its own, ssh is the only way in, and nothing is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fleet.agents import within

from netprobe.lab import fleet
from netprobe.lab.hosts import HostsLab

pytestmark = pytest.mark.lab

_KILLED = """
import sys, time
from netprobe.lab.hosts import HostsLab
with HostsLab(1, folder=sys.argv[1]):
    print("up", flush=True)
    time.sleep(60)
"""


def ssh(lab: HostsLab, host: str, command: str) -> str:
    return lab.run(["ssh", "-F", lab.ssh_config, host, command], check=True).stdout


def test_a_host_is_reached_by_ssh_and_sees_itself_alone(hosts: HostsLab) -> None:
    assert ssh(hosts, "h2", "hostname; id -u; ls /run/netns; ls /sys/class/net").split() == [
        "h2", "0", "blue", "red", "br0", "eth0", "lo", "v-blue", "v-red", "vxlan100",
    ]  # fmt: skip
    assert "sshd" in ssh(hosts, "h2", "cat /proc/[0-9]*/comm")
    inside = int(ssh(hosts, "h2", "ls -d /proc/[0-9]* | wc -l"))
    assert inside < 12  # nobody else's: pytest and its labs are many more


def test_an_ordinary_user_is_let_in_too(hosts: HostsLab) -> None:
    assert ssh(hosts, "guest@h1", "id -u").split() == ["1000"]


def test_the_controller_has_no_namespace_of_the_hosts(hosts: HostsLab) -> None:
    assert hosts.run(["ls", "/run/netns"], check=True).stdout == ""
    assert hosts.run(["ping", "-c1", "-W1", fleet.underlay(2)]).returncode == 0
    assert hosts.run(["ping", "-c1", "-W1", fleet.overlay(2, 1)]).returncode != 0


def test_containers_of_two_hosts_reach_each_other_over_the_tunnel(hosts: HostsLab) -> None:
    asked = ["ip", "netns", "exec", "red", "ping", "-c1", "-W2", fleet.overlay(2, 2)]
    assert hosts.run(asked, "h1").returncode == 0


def test_a_host_with_another_key_is_refused(make_hosts: Callable[..., HostsLab]) -> None:
    lab = make_hosts(1)
    known = Path(lab.folder, "known_hosts")
    known.write_text(known.read_text().replace(known.read_text().split()[2], Path(lab.folder, "id.pub").read_text().split()[1]))
    refused = lab.run(["ssh", "-F", lab.ssh_config, "h1", "true"])
    assert refused.returncode == 255
    assert "HOST IDENTIFICATION HAS CHANGED" in refused.stderr


def test_a_host_can_be_cut_off_and_switched_off(make_hosts: Callable[..., HostsLab]) -> None:
    lab = make_hosts(2)
    asked = ["ping", "-c1", "-W1", fleet.underlay(1)]
    lab.cut("h1")
    assert lab.run(asked).returncode != 0
    lab.mend("h1")
    assert within(5, lambda: lab.run(asked).returncode == 0)  # a neighbour that was given up is asked again every second
    lab.power_off("h1")
    refused = lab.run(["ssh", "-F", lab.ssh_config, "-o", "ConnectTimeout=2", "h1", "true"])
    assert refused.returncode == 255
    assert lab.run(["hostname"], "h2").stdout == "h2\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="an sshd is started by root alone")
def test_nothing_outlives_a_lab_that_is_killed(tmp_path: Path, hosts: HostsLab) -> None:
    del hosts  # skips where there is none
    with subprocess.Popen([sys.executable, "-c", _KILLED, str(tmp_path)], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"up\n"
        assert _using(tmp_path)
        owner.send_signal(signal.SIGKILL)
    end = time.monotonic() + 10
    while (left := _using(tmp_path)) and time.monotonic() < end:
        time.sleep(0.02)
    assert left == []


def _using(folder: Path) -> list[str]:
    """The command lines of this machine in which the folder stands: those of its sshds."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line and "sshd" in line:
            found.append(line)
    return found
