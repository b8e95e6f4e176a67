"""The capture of a run: what tshark reads in it, where it is kept, and what `netprobe show` makes of it."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from asking import ask, ask_program, once
from dumps import TSHARK, of_the_probe, tshark
from identities import identity

from netprobe.lab.lab import Lab
from netprobe.render.pcapng import read

pytestmark = pytest.mark.lab

QUESTIONS = {
    "icmp": ["trace", "red", "8.8.8.8", "-c", "2", "-i", "2ms"],
    "tcp": ["trace", "red", "8.8.8.8:80"],
    "udp refused": ["trace", "red", "8.8.8.8:4000/udp"],
    "ipv6 in fragments": ["trace", "red", "2001:4860:4860::8888", "-s", "3000", "--no-df"],
    "ttl": ["trace", "red", "8.8.8.8", "--ttl", "1"],
    "arp": ["arping", "c1", "c2"],
}


@pytest.mark.skipif(TSHARK is None, reason="tshark is not installed")
@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
@once
def test_tshark_reads_what_the_report_says(lab: Lab, question: list[str]) -> None:
    file = Path(lab.folder, "read.pcapng")
    report = ask(lab, *question, "-o", "json", "-w", str(file)).report
    frames = tshark(file)
    sightings = report["sightings"]
    assert [frame[0] for frame in frames] == [f"{s['namespace']}/{s['interface']}" for s in sightings]
    stamps = [int(seconds) * 10**9 + int(rest) for seconds, rest in (frame[1].split(".") for frame in frames)]
    assert all(len(frame[1].split(".")[1]) == 9 for frame in frames)
    assert [stamp - stamps[0] for stamp in stamps] == [s["time_ns"] - sightings[0]["time_ns"] for s in sightings]
    directions = {"in": 1, "out": 2}
    assert [int(frame[4], 16) & 3 for frame in frames] == [directions[s["bound"]] for s in sightings]
    for frame, sighting in zip(frames, sightings, strict=True):
        assert frame[3]
        if sighting["hop"] is not None:
            assert f"hop {sighting['hop']}," in frame[3]
    assert not any("malformed" in frame[5] for frame in frames)


@once
def test_the_comments_say_what_changed(lab: Lab) -> None:
    file = Path(lab.folder, "comments.pcapng")
    ask(lab, "trace", "red", "8.8.8.8", "-w", str(file))
    comments = [frame.comment for frame in read(file.read_bytes()).frames]
    assert [comment for comment in comments if "MASQUERADE" in comment] == [
        "request; hop 6, transmit, host/eth0 out; source 10.0.0.2 → 203.0.113.2 (MASQUERADE); TTL 64 → 63"
    ]
    assert len([comment for comment in comments if "destination 203.0.113.2 → 10.0.0.2" in comment]) == 1
    section = read(file.read_bytes()).comment
    assert section.startswith("netprobe trace red 8.8.8.8 -w ")
    assert section.endswith("\nreachable: 8.8.8.8 is reachable from red")


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
@once
def test_show_prints_the_same_report(lab: Lab, question: list[str]) -> None:
    """The text, from the capture and from the JSON, by somebody with no privilege and no lab."""
    file, json_file = Path(lab.folder, "shown.pcapng"), Path(lab.folder, "shown.json")
    shown = ask(lab, *question, "-w", str(file))
    again = ask(lab, "show", str(file), "-o", "json")
    json_file.write_text(again.stdout)
    assert "  " in shown.stdout
    for saved in (file, json_file):
        done = ask(lab, "show", str(saved))
        assert (done.code, done.stdout, done.stderr) == (shown.code, shown.stdout, shown.stderr), done.told


@once
def test_show_needs_no_privilege(lab: Lab) -> None:
    file = Path(lab.folder, "for-all.pcapng")
    shown = ask(lab, "trace", "red", "8.8.8.8", "-w", str(file))
    file.chmod(0o644)
    report = ask(lab, "show", str(file), "-o", "json").stdout
    json_file = Path(lab.folder, "for-all.json")
    json_file.write_text(report)
    json_file.chmod(0o644)
    user = identity("rootless")
    for saved in (file, json_file):
        done = user.run([sys.executable, "-m", "netprobe", "show", str(saved)])
        assert (done.returncode, done.stdout, done.stderr) == (0, shown.stdout, "")


@once
def test_a_saved_json_report_is_the_one_printed(lab: Lab) -> None:
    file = Path(lab.folder, "printed.pcapng")
    printed = ask(lab, "trace", "red", "8.8.8.8", "-o", "json", "-w", str(file)).report
    shown = json.loads(ask(lab, "show", str(file), "-o", "json").stdout)
    assert shown == printed
    assert printed["capture"] == str(file)


def captures(lab: Lab, folder: str) -> list[str]:
    return sorted(os.listdir(Path(lab.folder, folder)))  # noqa: PTH208 - hidden ones too


@once
def test_a_capture_is_kept_for_every_run(lab: Lab) -> None:
    for _ in range(2):
        done = ask(lab, "trace", "red", "8.8.8.8", "--captures", "kept/here")
        assert f"capture: kept/here/{captures(lab, 'kept/here')[-1]}" in done.stdout
    names = captures(lab, "kept/here")
    assert len(set(names)) == 2
    assert all(name.endswith("-trace-red-8.8.8.8.pcapng") for name in names)
    before = captures(lab, ".")
    ask(lab, "trace", "red", "8.8.8.8", "--captures", "none")
    assert captures(lab, ".") == before


@once
def test_the_folder_of_the_environment(lab: Lab) -> None:
    done = ask_program(lab, "trace", "red", "8.8.8.8", environment={"NETPROBE_CAPTURES": "by-environment"})
    assert done.code == 0, done.told
    assert len(captures(lab, "by-environment")) == 1


def test_a_capture_on_stdout(lab: Lab) -> None:
    done = lab.run(["sh", "-c", "netprobe trace red 8.8.8.8 -w - >stdout.pcapng"], check=True)
    assert "reply after" in done.stderr
    capture = read(Path(lab.folder, "stdout.pcapng").read_bytes())
    assert Counter(i.name for i in capture.interfaces) == Counter(
        ["red/eth0", "host/veth0", "host/br0", "host/eth0", "internet/eth0"]
    )  # fmt: skip
    assert len(of_the_probe(capture)) == 10


@once
def test_a_capture_into_what_is_no_file(lab: Lab) -> None:
    """A pipe or a device is written to, never replaced by a file of its name."""
    done = lab.run(["sh", "-c", "mkfifo pipe; cat pipe >from-pipe.pcapng & netprobe trace red 8.8.8.8 -w pipe; code=$?; wait; exit $code"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert stat.S_ISFIFO(Path(lab.folder, "pipe").stat().st_mode)
    assert len(of_the_probe(read(Path(lab.folder, "from-pipe.pcapng").read_bytes()))) == 10
    done_null = ask(lab, "trace", "red", "8.8.8.8", "-w", "/dev/null")
    assert done_null.code == 0, done_null.told
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


@pytest.mark.parametrize("output", ["text", "wide", "json", "markdown", "html", "svg"])
@once
def test_a_report_in_a_file(lab: Lab, output: str) -> None:
    file = Path(lab.folder, f"report.{output}")
    done = ask(lab, "trace", "red", "8.8.8.8", "--captures", "none", "-o", output, "--out", str(file))
    assert (done.code, done.stdout, done.stderr) == (0, "", "")
    text = file.read_text(encoding="utf-8")
    assert "8.8.8.8" in text
    if output.startswith("json"):
        assert json.loads(text)["verdict"] == "reachable"
        assert (len(text.splitlines()) == 1) is (output == "json")
    if output in ("html", "svg"):
        subprocess.run([sys.executable, "-c", "import sys, xml.dom.minidom as d; d.parse(sys.argv[1])", str(file)], check=True)


def test_under_sudo_everything_belongs_to_the_caller(lab: Lab, privilege: str) -> None:
    if privilege != "root":
        pytest.skip("a lab with a single user has nobody to hand a file to")
    caller = {"SUDO_UID": "4321", "SUDO_GID": "4322"}
    question = ["trace", "red", "8.8.8.8", "--captures", "sudo/new", "-o", "json", "--out", "sudo-report.json"]
    done = ask_program(lab, *question, environment=caller)
    assert done.code == 0, done.told
    for made in ("sudo", "sudo/new", f"sudo/new/{captures(lab, 'sudo/new')[0]}", "sudo-report.json"):
        status = Path(lab.folder, made).stat()
        assert (status.st_uid, status.st_gid) == (4321, 4322), made
