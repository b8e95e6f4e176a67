"""Inventories: what is read plainly, what needs Ansible, and what ssh is never given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netprobe.errors import CannotLook, NetprobeError, WrongQuestion
from netprobe.fleet import inventory
from netprobe.fleet.opening import by_hand
from netprobe.fleet.over_ssh import Destination
from netprobe.fleet.reached import Launched, destinations
from netprobe.hosts import Hosts

INI = """\
# the lab
h1
h2 ansible_host=192.168.77.12 ansible_port=2222 ansible_user=admin  # behind
[web]
web1.example.org ansible_become=yes
h1
[web:vars]
ansible_user=somebody
[all:children]
web
"""
YAML = """\
all:
  hosts:
    h1:
    h2: {ansible_host: 192.168.77.12, ansible_port: 2222}
  children:
    web:
      hosts:
        web1: {ansible_become: true, ansible_python_interpreter: /usr/bin/python3.11}
"""


@pytest.fixture(autouse=True)
def without_ansible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inventory.shutil, "which", lambda _: None)


def made(folder: Path, text: str, name: str = "inventory") -> str:
    file = folder / name
    file.write_text(text)
    return str(file)


def test_names_one_a_line(tmp_path: Path) -> None:
    file = made(tmp_path, "h1\n\n# h3\nh2\n")
    assert destinations(Hosts(file=file)) == {"h1": Destination("h1"), "h2": Destination("h2")}


def test_ini(tmp_path: Path) -> None:
    assert destinations(Hosts(file=made(tmp_path, INI))) == {
        "h1": Destination("h1"),
        "h2": Destination("192.168.77.12", ("-p", "2222", "-l", "admin")),
        "web1.example.org": Destination("web1.example.org", (), ("sudo", "-n")),
    }


def test_yaml(tmp_path: Path) -> None:
    assert destinations(Hosts(file=made(tmp_path, YAML, "hosts.yml"), ssh_config="conf")) == {
        "h1": Destination("h1", ("-F", "conf")),
        "h2": Destination("192.168.77.12", ("-F", "conf", "-p", "2222")),
        "web1": Destination("web1", ("-F", "conf"), ("sudo", "-n"), "/usr/bin/python3.11"),
    }


def test_names_choose_among_those_of_a_file(tmp_path: Path) -> None:
    file = made(tmp_path, INI)
    assert destinations(Hosts(("root@h2",), file)) == {"h2": Destination("root@192.168.77.12", ("-p", "2222"))}
    with pytest.raises(WrongQuestion, match=r"h7 is not in .*inventory"):
        destinations(Hosts(("h7",), file))


def test_names_without_a_file() -> None:
    assert destinations(Hosts(("h1", "admin@h2"), ssh_config="f", become=True)) == {
        "h1": Destination("h1", ("-F", "f"), ("sudo", "-n")),
        "h2": Destination("admin@h2", ("-F", "f"), ("sudo", "-n")),
    }


def test_what_a_shell_would_not_take_for_words_is_read_all_the_same(tmp_path: Path) -> None:
    file = made(tmp_path, "h1 ansible_password=a;b(' ansible_port=22  # behind\n")
    assert destinations(Hosts(file=file)) == {"h1": Destination("h1", ("-p", "22"))}


def test_a_command_in_place_of_ssh(tmp_path: Path) -> None:
    lines = (
        'n1 netprobe_command="kubectl exec -i -n net probe-1 --"',
        "n2 netprobe_command='ssh forced' netprobe_agent=there",
        "; n3",
    )
    assert destinations(Hosts(file=made(tmp_path, "\n".join(lines)), become=True)) == {
        "n1": Launched(("kubectl", "exec", "-i", "-n", "net", "probe-1", "--")),
        "n2": Launched(("ssh", "forced"), True),
    }


@pytest.mark.parametrize(
    ("way", "words"),
    [
        (Destination("h1", ("-p", "22"), ("sudo", "-n")), ("ssh", "-p", "22", "h1", "sudo", "-n")),
        (Launched(("kubectl", "exec", "-i", "p", "--")), ("kubectl", "exec", "-i", "p", "--")),
        (Launched(("ssh", "-i", "key", "h1"), is_there=True), None),  # it runs nothing but the agent
        (Launched(("agent",), is_there=True), None),
        (Launched(("sudo", "/usr/bin/ssh", "bastion", "kubectl", "exec", "-i", "p", "--")), None),
    ],
)
def test_a_line_for_a_host_is_offered_where_it_gets_there_whole(way: Destination | Launched, words: tuple[str, ...] | None) -> None:
    """Behind an ssh a name of the host's would be read by one more shell: the bastion's."""
    assert by_hand(way) == words


@pytest.mark.parametrize(
    ("text", "name", "why"),
    [
        ('h1 netprobe_command="\'"\n', "i", "no command"),
        ("h1 netprobe_command=\n", "i", "no command"),
        ("web[01:50]\n", "i", r"line 1 has the pattern web\[01:50\]"),
        ("plugin: aws_ec2\n", "i.yml", "the plugin aws_ec2"),
        ("all: {hosts: {'w[1:2]': }}\n", "i.yml", "pattern"),
        ("", "i", "empty"),
        ("[web]\n", "i", "no host in"),
        ("- h1\n- h2\n", "i.yml", "no inventory"),
        ("a: [\n", "i.yml", "no YAML"),
        ("h1 ansible_host=-oProxyCommand=x\n", "i", "ssh cannot be given"),
        ("h1 ansible_user=-x\n", "i", "ssh cannot be given"),
        ("h1 ansible_port=22x\n", "i", "ssh cannot be given"),
        ("h1 ansible_ssh_private_key_file=-x\n", "i", "ssh cannot be given"),
        ("h1 ansible_host={{x}}\n", "i", "ssh cannot be given"),
        ("h1 ansible_python_interpreter=sh\n", "i", "ssh cannot be given"),
        ("h1 ansible_connection=local\n", "i", "reached by local"),
        ("h1 ansible_become=true ansible_become_method=su\n", "i", "root by su"),
        ("-oProxyCommand=x\n", "i", "cannot be the name of a host"),
        ("10.0.0.1\n", "i", "is an address"),
        ("\n".join(f"h{n}" for n in range(1001)), "i", "1001 hosts"),
        ("h" * (1 << 20) + "h", "i", "larger than"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, text: str, name: str, why: str) -> None:
    with pytest.raises(WrongQuestion, match=why):
        destinations(Hosts(file=made(tmp_path, text, name)))


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(WrongQuestion, match="there is no file"):
        destinations(Hosts(file=str(tmp_path / "none")))
    with pytest.raises(WrongQuestion, match="a folder"):
        destinations(Hosts(file=str(tmp_path)))
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with pytest.raises(WrongQuestion, match="no text"):
        destinations(Hosts(file=str(tmp_path / "bytes")))


@given(st.text())
def test_any_text_is_read_or_a_wrong_question(text: str) -> None:
    for name in ("i", "i.yml"):
        try:
            inventory.written(text, name)
        except WrongQuestion:
            continue


def tool(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> str:
    program = folder / "ansible-inventory"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(inventory.shutil, "which", lambda _: str(program))
    return made(folder, "web[1:2]\n")


def test_ansible_reads_where_it_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = {
        "_meta": {"hostvars": {"web1": {"ansible_port": 23}}},
        "all": {"children": ["ungrouped", "web"]},
        "web": {"hosts": ["web1", "web2"]},
    }
    file = tool(tmp_path, monkeypatch, f"[ \"$1 $2\" = '--list -i' ] && cat <<'E'\n{json.dumps(listed)}\nE")
    assert destinations(Hosts(file=file)) == {"web1": Destination("web1", ("-p", "23")), "web2": Destination("web2")}


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo no such plugin >&2; exit 4", "no such plugin"),
        ("exit 4", "exit code 4"),
        ("echo hello", "no inventory"),
        ("echo '[]'", "no inventory"),
        ('echo \'{"a": {"hosts": 3}}\'', "no inventory"),
    ],
)
def test_what_ansible_cannot_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, why: str) -> None:
    file = tool(tmp_path, monkeypatch, script)
    with pytest.raises(CannotLook, match=why):
        destinations(Hosts(file=file))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
)


@given(st.dictionaries(st.sampled_from(["_meta", "all", "web"]), _JSON))
def test_whatever_ansible_prints_is_read_or_refused(groups: dict[str, object]) -> None:
    try:
        inventory._listed(json.dumps(groups), "f")
    except NetprobeError:
        return
