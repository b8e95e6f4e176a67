"""Endpoints with a host in front, and what a host may be called."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe import hosts
from netprobe.endpoint import KINDS, parse
from netprobe.errors import WrongQuestion
from netprobe.hosts import Hosts, check_name, of_words, on_host, short_name

HOSTS = ("h1", "h2", "web-1.example.org")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("h1:red", ("h1", "red")),
        ("h1:docker:c1", ("h1", "docker:c1")),
        ("h1:red/eth0@10.0.0.2:80/tcp", ("h1", "red/eth0@10.0.0.2:80/tcp")),
        ("h2:10.88.2.2", ("h2", "10.88.2.2")),
        ("h2:fd00::2", ("h2", "fd00::2")),
        ("h2:[fd00::2]:80", ("h2", "[fd00::2]:80")),
        ("h1:path:/proc/7/ns/net", ("h1", "path:/proc/7/ns/net")),
        ("h1:h2:red", ("h1", "h2:red")),  # h1 may have a namespace that is called h2
        ("web-1.example.org:host:22", ("web-1.example.org", "host:22")),
        # none of the hosts: what it is without hosts
        ("h3:80", (None, "h3:80")),
        ("red", (None, "red")),
        ("docker:c1", (None, "docker:c1")),
        ("h1/eth0:80", (None, "h1/eth0:80")),
        ("h1@10.0.0.2:80", (None, "h1@10.0.0.2:80")),
        ("10.0.0.5:5432/tcp", (None, "10.0.0.5:5432/tcp")),
        ("::1", (None, "::1")),
        ("", (None, "")),
    ],
)
def test_a_host_stands_in_front(text: str, expected: tuple[str | None, str]) -> None:
    assert on_host(text, HOSTS) == expected


@pytest.mark.parametrize("text", ["h1", "h1:"])
def test_a_host_alone_is_no_namespace(text: str) -> None:
    with pytest.raises(WrongQuestion, match="which namespace") as error:
        on_host(text, HOSTS)
    assert "h1:host" in error.value.hint


@given(st.text(), st.lists(st.text(max_size=5), max_size=3))
def test_any_text_is_taken_apart_or_a_wrong_question(text: str, names: list[str]) -> None:
    try:
        host, rest = on_host(text, names)
        parse(rest)
    except WrongQuestion:
        return
    assert text == (rest if host is None else f"{host}:{rest}")


@given(st.text(alphabet=st.sampled_from("h12:./@[]-redockt809 \0é"), max_size=24))
def test_without_hosts_nothing_is_different(text: str) -> None:
    assert on_host(text, ()) == (None, text)


@given(st.text(max_size=12))
def test_a_name_is_never_an_option_of_ssh_or_two_words(name: str) -> None:
    try:
        check_name(name)
    except WrongQuestion:
        return
    assert not name.startswith("-")
    assert name not in KINDS
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


@pytest.mark.parametrize(
    ("words", "expected"),
    [(["h1,h2"], ("h1", "h2")), (["h1", "admin@h2,h3"], ("h1", "admin@h2", "h3")), ([], ())],
)
def test_names_stand_with_commas_or_apart(words: list[str], expected: tuple[str, ...]) -> None:
    assert of_words(words) == expected


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("", "cannot be the name of a host"),
        ("h1,", "cannot be the name of a host"),
        ("-oProxyCommand=x", "cannot be the name of a host"),
        ("-x@h1", "cannot be the name of a user"),
        ("h1 h2", "cannot be the name of a host"),
        ("h1\n", "cannot be the name of a host"),
        ("h1/a", "cannot be the name of a host"),
        ("h1:22", "cannot be the name of a host"),
        ("docker", "means something else"),
        ("host", "means something else"),
        ("10.0.0.1", "is an address"),
        ("fd00::1", "is an address"),
        ("h1,h2,h1", "given twice"),
        ("root@h1,h1", "given twice"),
    ],
)
def test_what_is_no_name_of_a_host(word: str, why: str) -> None:
    with pytest.raises(WrongQuestion, match=why):
        of_words([word])


def test_what_python_gives() -> None:
    assert hosts.given(None) == Hosts()
    assert not hosts.given([])
    assert hosts.given("h1,h2") == hosts.given(["h1", "h2"]) == Hosts(("h1", "h2"))
    assert hosts.given(Hosts(file="inventory"))
    assert short_name("admin@h1") == "h1"
    for wrong in ([1], [["h1"]], Hosts(("-x",))):
        with pytest.raises(WrongQuestion):
            hosts.given(wrong)  # type: ignore[arg-type]


def test_nothing_of_the_fleet_is_imported_without_hosts() -> None:
    program = (
        "import sys; from netprobe.cli import run_line; import netprobe.session, netprobe.linux.machine;"
        " netprobe.session.Session().close(); run_line(['ls', '--help']);"
        " print([name for name in sys.modules if name.startswith(('netprobe.fleet', 'mitogen'))])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("[]\n")
