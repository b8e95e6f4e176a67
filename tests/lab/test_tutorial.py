"""The tutorial's network works, as real peers see it: ping, arping, sockets, tcpdump."""

from __future__ import annotations

import json
import shutil
import signal

import pytest

from netprobe.lab import guide
from netprobe.lab.lab import Lab

pytestmark = pytest.mark.lab

# What a client needs to say: TCP connects; UDP gets its own word back, from the address it was sent to.
_CLIENT = """
import socket, sys
kind, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
family = socket.AF_INET6 if ":" in host else socket.AF_INET
with socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as client:
    client.settimeout(3)
    client.connect((host, port))  # also for UDP: an answer from another address is not received then
    if kind == "udp":
        client.send(b"word")
        assert client.recv(100) == b"word"
"""


@pytest.mark.parametrize(
    ("source", "destination"),
    [
        ("red", "8.8.8.8"), ("red", "2001:4860:4860::8888"), ("red", "10.0.0.1"), ("red", "172.17.0.2"), ("red", "fd00:172:17::3"),
        ("c1", "172.17.0.3"), ("c1", "8.8.8.8"), ("c1", "2001:4860:4860::8888"), ("c2", "fd00:172:17::2"),
        ("host", "8.8.8.8"), ("host", "10.0.0.2"), ("host", "fd00:10::2"), ("host", "172.17.0.2"),
    ],
)  # fmt: skip
def test_ping(lab: Lab, source: str, destination: str) -> None:
    done = lab.run(["ping", "-c1", "-W2", destination], namespace=source)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("arping") is None, reason="arping is not installed")
def test_arping_finds_c2_by_its_mac(lab: Lab) -> None:
    done = lab.run(["arping", "-c1", "-w2", "-I", "eth0", "172.17.0.3"], namespace="c1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "02:42:ac:11:00:03" in done.stdout.lower()


@pytest.mark.parametrize("host", ["172.17.0.3", "fd00:172:17::3", "8.8.8.8", "2001:4860:4860::8888"])
@pytest.mark.parametrize(("kind", "port"), [("tcp", "80"), ("udp", "53")])
def test_services_answer(lab: Lab, kind: str, port: str, host: str) -> None:
    lab.run(["python3", "-c", _CLIENT, kind, host, port], namespace="red", check=True)


def test_a_service_outlives_many_clients(lab: Lab) -> None:
    """More than its backlog holds: connections are taken, not only queued."""
    clients = "import socket\nfor _ in range(600): socket.create_connection(('172.17.0.3', 80), 3).close()"
    lab.run(["python3", "-c", clients], namespace="c1", check=True)


def test_red_has_a_single_address_and_a_gateway_that_is_on_the_wire(lab: Lab) -> None:
    (eth0,) = json.loads(lab.run(["ip", "-j", "-4", "addr", "show", "dev", "eth0"], namespace="red", check=True).stdout)
    assert [(entry["local"], entry["prefixlen"]) for entry in eth0["addr_info"]] == [("10.0.0.2", 32)]
    (route,) = json.loads(lab.run(["ip", "-j", "route"], namespace="red", check=True).stdout)
    assert (route["dst"], route["gateway"], route["flags"]) == ("default", "10.0.0.1", ["onlink"])


@pytest.mark.skipif(shutil.which("tcpdump") is None, reason="tcpdump is not installed")
@pytest.mark.parametrize(("interface", "source"), [("veth0", "10.0.0.2"), ("eth0", "203.0.113.2")])
def test_tcpdump_sees_the_translation(lab: Lab, interface: str, source: str) -> None:
    watch = lab.start(["tcpdump", "-lni", interface, "-c1", "icmp[icmptype] == icmp-echo"])
    watch.until("listening on")
    lab.run(["ping", "-c1", "-W2", "8.8.8.8"], namespace="red", check=True)
    assert watch.wait(5) == 0
    assert f"{source} > 8.8.8.8: ICMP echo request" in watch.output()


def test_ip_netns_knows_the_namespaces(lab: Lab) -> None:
    listed = lab.run(["ip", "netns", "list"], check=True).stdout
    assert {line.split()[0] for line in listed.splitlines()} == {"red", "internet", "c1", "c2"}
    inside = lab.run(["ip", "netns", "exec", "red", "ping", "-c1", "-W2", "8.8.8.8"])
    assert inside.returncode == 0, inside.stdout + inside.stderr


@pytest.mark.parametrize("command", [command for command, _ in (*guide.LOOK, *guide.BREAK) if "netprobe" not in command])
def test_the_guide_can_be_typed(fresh_lab: Lab, command: str) -> None:
    """Background commands included: `ip link set veth0 nomaster` and the rest give no error."""
    program = fresh_lab.start(["sh", "-ec", command.removesuffix("&").replace("tcpdump", "timeout -sINT 1 tcpdump")])
    assert program.wait() in (0, 124), program.errors()


def test_the_guide_is_right_about_the_gateway(fresh_lab: Lab) -> None:
    refused = fresh_lab.run(guide.REFUSED.split())
    assert refused.returncode != 0
    assert guide.REFUSAL in refused.stderr
    fresh_lab.run(guide.ONLINK.split(), check=True)
    fresh_lab.run(["ip", "route", "del", "default"], namespace="red", check=True)
    assert guide.REFUSAL in fresh_lab.run(guide.REFUSED.split()).stderr
    for command in guide.LINK_ROUTE_FIRST:
        fresh_lab.run(command.split(), check=True)
    fresh_lab.run(["ping", "-c1", "-W2", "8.8.8.8"], namespace="red", check=True)


def test_a_program_can_be_told_to_stop(lab: Lab) -> None:
    program = lab.start(["sh", "-c", "trap 'echo told; exit 3' TERM; echo ready; while :; do sleep 0.05; done"])
    program.until("ready")
    assert program.running()
    assert program.stop(signal.SIGTERM) == 3
    assert program.output() == "ready\ntold\n"
    assert not program.running()


def test_a_program_that_takes_too_long_is_ended(lab: Lab) -> None:
    with pytest.raises(TimeoutError, match="still running"):
        lab.run(["sh", "-c", "echo begun; exec sleep 1000"], timeout=0.3)
    assert "sleep 1000" not in lab.run(["sh", "-c", "sleep 0.2; cat /proc/[0-9]*/cmdline | tr '\\0' ' '"]).stdout.replace("sleep 0.2", "")


def test_programs_get_input_environment_and_folder(lab: Lab) -> None:
    done = lab.run(["sh", "-c", "cat; echo $WORD; pwd"], text="given\n", environment={"WORD": "word"})
    assert done.stdout == f"given\nword\n{lab.folder}\n"


@pytest.mark.parametrize(("argv", "namespace"), [(["no-such-program"], "host"), (["true"], "no-such-namespace")])
def test_what_does_not_exist_is_not_made(lab: Lab, argv: list[str], namespace: str) -> None:
    with pytest.raises(FileNotFoundError):
        lab.run(argv, namespace=namespace)
    assert "no-such" not in lab.run(["ip", "netns"]).stdout
