"""Bad luck in the middle of a run: namespaces and interfaces that vanish, rules that cannot be read, stale files, full disks, no rights.

Whatever happens, the answer is a report or one sentence for people, with an exit code of the contract; never a traceback.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from asking import Done, ask, ask_program, once, trace, until
from belongings import processes
from identities import identity
from misfortune import run_unlucky

from netprobe.lab.lab import Lab

pytestmark = pytest.mark.lab

TRACE = ("trace", "red", "8.8.8.8", "-o", "json", "--captures", "none", "-W", "300ms")
NO_RIGHTS = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"]


def assert_for_people(done: Done, code: int) -> None:
    """One sentence and what to do next, on stderr."""
    assert done.code == code, done.told
    assert done.stderr.startswith("netprobe: "), done.told
    assert "Traceback" not in done.stderr
    assert "a bug in netprobe" not in done.stderr


# what changes while netprobe looks


@pytest.mark.parametrize(
    ("command", "code", "place"),
    [
        ("ip -n internet link set eth0 down", "link-admin-down", "internet"),
        ("ip link set br0 down", "link-admin-down", "host"),
        ("ip -n red link del eth0", "link-missing", "red"),
        ("sysctl -qw net.ipv4.ip_forward=0", "forwarding-off", "host"),
    ],
)
@pytest.mark.parametrize("moment", ["before sending", "sent"])
@once
def test_the_network_breaks_meanwhile(fresh_lab: Lab, command: str, code: str, place: str, moment: str) -> None:
    """Broken between reading and sending, or after the first of two probes: the cause is found all the same, and the report says how."""
    done = Done(*fresh_lab.call(run_unlucky, (*TRACE, "-c", "2", "-i", "1ms"), moment, [command]))
    assert done.code == 1, done.told
    report = done.report
    assert report["verdict"] == ("intermittent" if moment == "sent" else "unreachable")
    assert (report["causes"][0]["code"], report["causes"][0]["place"]["namespace"]) == (code, place)
    assert any("changed while netprobe was looking" in note for note in report["notes"])


@pytest.mark.parametrize("moment", ["resolved", "read once", "read twice", "before sending", "sent"])
@once
def test_a_namespace_vanishes_meanwhile(fresh_lab: Lab, moment: str) -> None:
    """Its name and all its processes are gone. One that is held open lives on; one that is not is missed, and said to be."""
    question = ("trace", "red", "172.17.0.3", *TRACE[3:])
    gone = "ip netns pids c2 | xargs -r kill -9; ip netns delete c2; ip netns delete red; sleep 0.1"
    code, out, err = fresh_lab.call(run_unlucky, question, moment, [gone])
    assert code in (0, 1, 3, 4), err
    assert "Traceback" not in err
    assert "bug" not in err
    if code == 3:
        assert err.startswith("netprobe: ")
    else:
        assert json.loads(out)["probe"]["source"]["namespace"] == "red"


@once
def test_a_capture_is_the_same_after_a_change(fresh_lab: Lab) -> None:
    file = str(Path(fresh_lab.folder, "changed.pcapng"))
    question = ("trace", "red", "8.8.8.8", "-W", "300ms", "-w", file)
    code, out, _ = fresh_lab.call(run_unlucky, question, "before sending", ["ip link set br0 down"])
    shown = ask(fresh_lab, "show", file)
    assert (shown.code, shown.stdout) == (code, out)
    assert "changed while netprobe was looking" in out


# what cannot be read


def fake(lab: Lab, name: str, script: str) -> str:
    """A folder in which a program is a script."""
    folder = Path(lab.folder, f"fake-{name}")
    folder.mkdir(exist_ok=True)
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return str(folder)


@pytest.mark.parametrize("script", ["exit 1", "echo '{\"nftables\": ['", "echo not json; exit 0", "kill -9 $$"])
@once
def test_rules_that_cannot_be_read_are_a_blind_spot(lab: Lab, script: str) -> None:
    done = ask_program(lab, "--tool-path", fake(lab, "nft", script), *TRACE)
    assert done.code == 0, done.told
    report = done.report
    assert report["verdict"] == "reachable"
    assert any("ruleset of host" in blind["what"] for blind in report["blind"]), report["blind"]
    assert report["agreement"] in ("observed-only", "confirmed")
    assert [c["to"] for hop in report["path"]["request"] for c in hop["changes"]] == ["203.0.113.2"]


@once
def test_path_does_not_say_which_program_root_runs(lab: Lab) -> None:
    folder = fake(lab, "nft", f"echo ran >{lab.folder}/ran; exit 1")
    for path in (folder, "."):
        done = lab.run(["sh", "-c", f'cd {folder} && PATH="{path}:$PATH" exec netprobe {" ".join(TRACE)}'])
        assert done.returncode == 0, done.stdout + done.stderr
        assert json.loads(done.stdout)["blind"] == []
    assert not Path(lab.folder, "ran").exists()


@once
def test_a_folder_of_tools_that_is_none(lab: Lab) -> None:
    for folder in ("", "/nonexistent", "/etc/passwd", "/usr/sbin:"):
        done = ask(lab, "--tool-path", folder, *TRACE)
        assert (done.code, done.stdout) == (2, ""), done.told
        assert "is no folder" in done.stderr


def test_a_hung_tool_ends_with_netprobe(lab: Lab) -> None:
    """Killed with -9 while it waits for nft: nothing of ours can run any more, and nft ends all the same."""
    folder = fake(lab, "nft", f"echo $$ >{lab.folder}/hung; exec sleep 1000")
    Path(lab.folder, "hung").unlink(missing_ok=True)
    script = f"netprobe --tool-path {folder} {shlex.join(TRACE)} & echo $! >{lab.folder}/asker; wait; exec sleep 2000"
    shell = lab.start(["sh", "-c", script])  # which lives on: the lab ends all that a program started with that program
    until(lambda: Path(lab.folder, "hung").exists() and Path(lab.folder, "hung").read_text(), "nft was not started")
    until(lambda: not lab.call(no_process, "sleep 1000"), "nft does not hang")
    lab.run(["kill", "-KILL", Path(lab.folder, "asker").read_text().strip()], check=True)
    until(lambda: lab.call(no_process, "sleep 1000"), "the tool runs on")
    shell.stop()


def no_process(command: str) -> bool:
    return not any(each.endswith(f"{command} ") for each in processes())


def test_without_the_right_to_read_rules(lab: Lab) -> None:
    program = ["setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin", "netprobe", *TRACE]
    done = lab.run(program)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert {"what": "the ruleset of host", "why": "CAP_NET_ADMIN is missing"} in report["blind"]
    assert report["agreement"] == "observed-only"


@pytest.mark.parametrize("make", ["touch {}", "ln -s /proc/4194305/ns/net {}", "mkdir {}", "mkfifo {}", "ln -s /etc/passwd {}"])
@once
def test_a_stale_file_is_named_and_harms_nobody(fresh_lab: Lab, make: str) -> None:
    fresh_lab.run(make.format("/run/netns/stale").split(), check=True)
    for question in (["trace", "stale", "8.8.8.8"], ["trace", "red", "stale"], ["arping", "c1", "stale"]):
        done = ask(fresh_lab, *question, "--captures", "none")
        assert_for_people(done, 3)
        assert "stale" in done.stderr
    assert trace(fresh_lab, "red", "8.8.8.8")["agreement"] == "confirmed"
    assert "stale" in ask(fresh_lab, "ls").stdout


# who may not look


def test_without_any_right_in_the_lab(lab: Lab) -> None:
    for question in (["trace", "red", "8.8.8.8"], ["trace", "host", "8.8.8.8"], ["arping", "c1", "c2"]):
        done = lab.run([*NO_RIGHTS, "netprobe", *question, "--captures", "none"])
        assert_for_people(Done(done.returncode, done.stdout, done.stderr), 3)
        assert done.stdout == ""
        assert "--cap-add SYS_ADMIN" in done.stderr  # root without rights lives in a container; sudo would not help
        assert "netprobe demo" in done.stderr


@pytest.mark.parametrize(
    "question",
    [["trace", "pid:1", "8.8.8.8"], ["arping", "pid:1", "192.0.2.1"], ["--host", "pid:1", "trace", "host", "192.0.2.1"]],
    ids=["trace", "arping", "host"],
)
def test_an_ordinary_user_is_told_the_command(question: list[str]) -> None:
    done = identity("rootless").run([sys.executable, "-m", "netprobe", *question])
    assert_for_people(Done(done.returncode, done.stdout, done.stderr), 3)
    assert re.search(rf"^  sudo .*{re.escape(sys.executable)} -P -m netprobe {re.escape(' '.join(question))}$", done.stderr, re.MULTILINE)
    assert "without any privilege, in a private lab: netprobe demo" in done.stderr


def test_an_ordinary_user_may_not_send(tmp_path: Path) -> None:
    """The own namespace may be read by anybody; sending needs a right. 192.0.2.1 is nobody's (RFC 5737)."""
    done = identity("rootless").run([sys.executable, "-m", "netprobe", "trace", "host", "127.0.0.1"])
    assert_for_people(Done(done.returncode, done.stdout, done.stderr), 3)
    assert f"{sys.executable} -P -m netprobe trace host 127.0.0.1\n" in done.stderr


# where the report and the capture go


@once
def test_a_full_disk(lab: Lab) -> None:
    """64 KiB, most of which is taken: no room for a capture, and no half of one is left."""
    script = """
mkdir -p /run/lab/small && mount -t tmpfs -o size=64k none /run/lab/small && cd /run/lab/small && head -c 61440 /dev/zero >ballast
netprobe trace red 8.8.8.8 -s 1400 -c 3 -i 1ms; code=$?
ls -A . captures; cd /; umount /run/lab/small; exit $code
"""
    done = lab.run(["sh", "-c", script])
    assert done.returncode == 74, done.stdout + done.stderr
    assert "3 sent, 3 answered" in done.stdout
    assert "No space left on device" in done.stderr
    assert "-w FILE, --captures DIR, or --captures none" in done.stderr
    assert "pcapng" not in done.stdout
    assert ".netprobe" not in done.stdout


@pytest.mark.parametrize(
    ("options", "number"),
    [
        (["--captures", "/proc/no"], errno.ENOENT),
        (["--captures", "/dev/null"], errno.ENOTDIR),
        (["-w", "/dev/full"], errno.ENOSPC),
        (["-w", "/etc/passwd/of/mine.pcapng"], errno.ENOTDIR),
        (["-w", "n" * 300], errno.ENAMETOOLONG),
        (["--captures", "none", "--out", "/dev/full"], errno.ENOSPC),
    ],
    ids=["proc", "no folder", "full device", "a file's folder", "long name", "full report"],
)
@once
def test_an_output_that_cannot_be_written(lab: Lab, options: list[str], number: int) -> None:
    done = ask(lab, "trace", "red", "8.8.8.8", *options)
    assert_for_people(done, 74)
    assert "reply came back over the same 8 hops" in done.stdout
    assert os.strerror(number) in done.stderr
    if "-w" in options:
        assert "Name another place you can write to: -w FILE." in done.stderr


@once
def test_a_standard_output_that_cannot_be_written(lab: Lab) -> None:
    for redirection in (">/dev/full", ">&-", "-w - >/dev/full", "-w - >&-"):
        done = lab.run(["sh", "-c", f"netprobe trace red 8.8.8.8 --captures none {redirection}"])
        assert done.returncode == 74, redirection
        assert "netprobe: cannot write the" in done.stderr
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr


def test_a_page_that_cannot_be_written(pytestconfig: pytest.Config) -> None:
    for page in ("--help", "--version", "explain no-route"):
        command = f"{shlex.quote(sys.executable)} -m netprobe {page} >/dev/full"
        done = subprocess.run(["sh", "-c", command], cwd=pytestconfig.rootpath, capture_output=True, text=True)
        assert done.returncode == 74, page
        assert re.fullmatch(r"netprobe: cannot write.*: No space left on device\n", done.stderr)


# names


HOSTILE = {
    "escape": b"x\x1b[31mred", "no UTF-8": b"n\xe9\xff", "fifteen": b"a" * 15, "number": b"1e5", "option": b"--help",
    "wide": "命名空间".encode(), "bidi": "a\u202eb".encode(), "another control": "a\x9b31m".encode(),
}  # fmt: skip


@once
def test_names_that_are_shown_safely_and_usable(fresh_lab: Lab) -> None:
    """Namespaces and, as far as the kernel lets it, interfaces of such names; traced from and to, and shown in every format."""
    fresh_lab.call(wire, list(HOSTILE.values()))
    for what, name in HOSTILE.items():
        text, link = os.fsdecode(name), os.fsdecode(name[:15])
        folder = f"hostile-{what}"
        for ends in ((text, "c1"), ("c1", f"{text}/{link}")):
            done = ask(fresh_lab, "trace", "-o", "json", "--captures", folder, "--", *ends)
            assert done.code == 0, done.told
            assert done.report["agreement"] == "confirmed"
            assert_readable(done)
        for file in Path(fresh_lab.folder, folder).iterdir():
            assert re.fullmatch(r"[A-Za-z0-9.@_-]+\.pcapng", file.name)
            for output in ("text", "wide", "markdown", "html", "svg"):
                assert_readable(ask(fresh_lab, "show", str(file), "-o", output))
    assert_readable(ask(fresh_lab, "ls"))


def assert_readable(done: Done) -> None:
    """Nothing on stdout that a terminal would obey, hide or reorder."""
    assert done.code == 0, done.told
    assert all(char.isprintable() or char == "\n" for char in done.stdout), repr(done.stdout)


def wire(names: list[bytes]) -> None:
    """In the lab: a namespace and an interface of each name, wired to docker0. ip(8) wants `name` before a name like `--help`."""
    for number, name in enumerate(names):
        port, interface = f"vhostile{number}".encode(), name[:15]
        for command in (
            [b"ip", b"netns", b"add", name],
            [b"ip", b"link", b"add", b"name", port, b"type", b"veth", b"peer", b"name", interface, b"netns", name],
            [b"ip", b"link", b"set", port, b"master", b"docker0", b"up"],
            [b"ip", b"-n", name, b"addr", b"add", b"172.17.0.%d/16" % (100 + number), b"dev", interface],
            [b"ip", b"-n", name, b"link", b"set", b"dev", interface, b"up"],
        ):
            subprocess.run(command, check=True)


@once
def test_every_kind_of_question_that_is_none(lab: Lab) -> None:
    """Exit 2, with what to write instead."""
    questions: dict[str, tuple[str, ...]] = {
        "a port": ("trace", "red", "8.8.8.8:http"),
        "a network": ("trace", "red", "10.0.0.0/8"),
        "no port": ("trace", "red", "8.8.8.8", "-p", "udp"),
        "an address": ("trace", "8.8.8.8", "red"),
        "an interface": ("trace", "red/eth7", "8.8.8.8"),
        "empty": ("trace", "", "8.8.8.8"),
        "another segment": ("arping", "red", "c1"),
        "no such file": ("show", "nothing.pcapng"),
        "no capture": ("show", "/etc/passwd"),
        "a duration": ("trace", "red", "8.8.8.8", "-W", "soon"),
        "a size": ("trace", "red", "8.8.8.8", "-s", "70000"),
        "a command": ("tarce", "red", "8.8.8.8"),
        "an option": ("trace", "red", "8.8.8.8", "--colour"),
        "IPv6 of an IPv4 address": ("trace", "red", "8.8.8.8", "-6"),
        "everybody": ("trace", "red", "255.255.255.255"),
        "a group": ("trace", "red", "ff02::1%eth0"),
        "nobody": ("arping", "c1", "0.0.0.0"),
        "no source": ("trace", "red", "8.8.8.8", "--source-address", "foo"),
        "an empty source": ("trace", "red", "8.8.8.8", "--source-address", ""),
        "another family": ("trace", "red@fd00:10::2", "8.8.8.8"),
        "half an address": ("trace", "red", "1.2.3"),
        "a zone that is none": ("trace", "red", "fe80::1%nope"),
        "no name for a capture": ("trace", "red", "8.8.8.8", "-w", ""),
        "no name for a folder": ("trace", "red", "8.8.8.8", "--captures", ""),
        "no name for a report": ("ls", "--out", ""),
        "no host": ("--host", "", "trace", "host", "8.8.8.8"),
        "no exclusion": ("trace", "red", "8.8.8.8", "--exclude", ""),
    }
    for what, question in questions.items():
        done = ask(lab, *question)
        assert done.code == 2, (what, done.told)
        assert done.stdout == "", what
        assert "Traceback" not in done.stderr, what
        assert len(done.stderr.splitlines()) >= 2, (what, done.told)


@once
def test_a_duration_is_never_surprising(lab: Lab) -> None:
    for text in ("nan", "inf", "-1", "1e400", "1h", "", "1..5", "999999999", "٣", "9" * 5000, ".", "1_0"):
        assert ask(lab, "trace", "red", "8.8.8.8", "-W", text, "--captures", "none").code == 2, text


@once
def test_a_report_beside_a_capture_on_stdout(lab: Lab) -> None:
    script = "netprobe trace red 8.8.8.8 -w - --out beside.json -o json >beside.pcapng"
    done = lab.run(["sh", "-c", script])
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(Path(lab.folder, "beside.json").read_text())["verdict"] == "reachable"
