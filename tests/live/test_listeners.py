"""Sockets that take only a part of what is sent to their port: what is predicted and what is found is what the kernel does."""

from __future__ import annotations

import sys

import pytest
from asking import ask, once

from netprobe.lab.lab import Lab

pytestmark = [pytest.mark.lab, once]

LISTEN = """
import socket, sys, time
family, kind, address, port, only, device = sys.argv[1:]
with socket.socket(getattr(socket, family), getattr(socket, kind)) as server:
    if family == "AF_INET6":
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(only))
    if device:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
    server.bind((address, int(port)))
    if kind == "SOCK_STREAM":
        server.listen(5)
    print("there", flush=True)
    time.sleep(1000)
"""


@pytest.mark.parametrize(
    ("kind", "listening", "answers"),
    [
        ("tcp", ("AF_INET6", "SOCK_STREAM", "::", "8101", "0", ""), True),
        ("tcp", ("AF_INET6", "SOCK_STREAM", "::", "8102", "1", ""), False),
        ("tcp", ("AF_INET", "SOCK_STREAM", "0.0.0.0", "8103", "0", "eth0"), True),
        ("tcp", ("AF_INET", "SOCK_STREAM", "0.0.0.0", "8104", "0", "lo"), False),
        ("udp", ("AF_INET6", "SOCK_DGRAM", "::", "8105", "1", ""), False),
        ("udp", ("AF_INET", "SOCK_DGRAM", "0.0.0.0", "8106", "0", "lo"), False),
    ],
)
def test_why_and_the_kernel_agree(lab: Lab, kind: str, listening: tuple[str, ...], answers: bool) -> None:
    port = listening[3]
    program = lab.start([sys.executable, "-c", LISTEN, *listening], namespace="c2")
    try:
        program.until("there")
        predicted = ask(lab, "why", "c1", f"172.17.0.3:{port}/{kind}", "-o", "json").report
        found = ask(lab, "trace", "c1", f"172.17.0.3:{port}/{kind}", "-o", "json", "--captures", "none", "-W", "500ms").report
    finally:
        program.stop()
    expected = [] if answers else ["listener-wrong-address"]
    assert [cause["code"] for cause in predicted["causes"]] == expected
    assert [cause["code"] for cause in found["causes"]] == expected
    assert (found["verdict"] == "reachable") is answers
    assert (predicted["verdict"] == "reachable") is answers
