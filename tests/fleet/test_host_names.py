"""Names of namespaces on a host: its /run/netns, its processes and its containers, and how a person gets there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fleet import named_there
from open_labs import open_lab

from netprobe.lab.lab import Lab

pytestmark = pytest.mark.lab

NAMES = {
    "red": "h1:red is red",
    "netns:red": "h1:red is red",
    "host": "h1:host",
    "docker:web": "h1:web is c1",
    "web": "h1:web is c1",
    "pid:PID": "h1:c1 is c1",
    "172.17.0.2": "h1:c1 is c1",
    "docker:old": "WrongQuestion: the container docker:old does not run",
    "docker:nobody": "UnknownName: there is no docker:nobody",
    "rde": "UnknownName: there is no namespace or container rde",
    "lxc:web": "WrongQuestion: h1:lxc:web: names of kind lxc are not looked up on another host",
    "web//inner": "WrongQuestion: h1:web//inner: what is inside of a container is not looked for on another host",
    "192.0.2.77": "WrongQuestion: no namespace of h1 that can be seen has the address 192.0.2.77",
    "pid:4194304": "CannotLook: cannot open the network namespace h1:4194304: No such file or directory",
}


@pytest.fixture(scope="module")
def one_lab() -> Iterator[Lab]:
    with open_lab("root") as lab:
        yield lab


@pytest.mark.parametrize("text", NAMES)
def test_a_name_means_a_namespace_of_the_host(one_lab: Lab, text: str) -> None:
    assert one_lab.call(named_there.meant, text) == NAMES[text]


def test_a_person_gets_there_over_ssh(one_lab: Lab) -> None:
    assert one_lab.call(named_there.enters, "red", "host") == [["ssh", "h1", "ip", "netns", "exec", "red"], ["ssh", "h1"]]


def test_a_host_name_is_looked_up_on_the_host(one_lab: Lab) -> None:
    there, here = one_lab.call(named_there.looked_up, "localhost")
    assert there == here
    assert one_lab.call(named_there.looked_up, "nobody.invalid.")[0] in ("WrongQuestion", "CannotLook"), "as the machine has a name server"
