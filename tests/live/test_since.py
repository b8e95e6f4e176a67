"""It worked before: a run that fails is held against the newest good one of the same question, and what has changed is named."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from asking import ask, once

from netprobe.lab.lab import Lab

pytestmark = pytest.mark.lab

QUESTION = ("trace", "red", "8.8.8.8")
BREAK = ["ip", "route", "del", "default"]


def folder_of(lab: Lab) -> str:
    return str(Path(lab.folder, "kept"))


def captures(folder: str) -> list[str]:
    return sorted(str(each) for each in Path(folder).iterdir())


def test_what_changed_since_it_worked_is_the_cause(fresh_lab: Lab) -> None:
    folder = folder_of(fresh_lab)
    good = ask(fresh_lab, *QUESTION, "--captures", folder, "-o", "json").report
    assert good["verdict"] == "reachable"
    assert good["since"] is None
    fresh_lab.run(BREAK, namespace="red", check=True)
    fresh_lab.run(["sysctl", "-w", "net.ipv4.conf.eth0.arp_notify=1"], namespace="red", check=True)  # does no harm
    done = ask(fresh_lab, *QUESTION, "--captures", folder, "-o", "json")
    report = done.report
    assert report["since"]["capture"] == good["capture"], done.told
    assert isinstance(report["since"]["time"], int)
    changed = [(each["kind"], each["id"], each["namespace"], each["after"]) for each in report["since"]["changed"]]
    assert changed[0] == ("route", "default via 10.0.0.1 dev eth0", "red", None), changed
    assert report["causes"][0]["code"] == "no-route"
    assert report["causes"][0]["commands"][0]["words"][:5] == ["ip", "route", "add", "default", "via"]
    shown = ask(fresh_lab, "show", report["capture"], "-o", "json").report
    assert shown["since"] == report["since"]
    assert shown["causes"] == report["causes"]
    text = "".join(ask(fresh_lab, *QUESTION, "--captures", folder).stdout.split())  # wherever it was wrapped
    said = f"it worked at {report['since']['at']} ({good['capture']}); since then: route default via 10.0.0.1 dev eth0 of red gone"
    assert said.replace(" ", "") in text
    line = ask(fresh_lab, "ping", *QUESTION[1:], "--captures", folder).stdout
    assert line.endswith(f"; it worked at {report['since']['at']}\n")


def test_a_file_that_is_named_is_compared_with(fresh_lab: Lab) -> None:
    folder, file = folder_of(fresh_lab), str(Path(fresh_lab.folder, "good.pcapng"))
    assert ask(fresh_lab, *QUESTION, "-w", file).code == 0
    fresh_lab.run(BREAK, namespace="red", check=True)
    for command in ("trace", "ping", "why"):
        done = ask(fresh_lab, command, *QUESTION[1:], "--since", file, "-o", "json", *(["--captures", "none"] if command != "why" else []))
        assert done.report["since"]["capture"] == file, done.told
    assert ask(fresh_lab, *QUESTION, "--captures", folder, "-o", "json").report["since"] is None
    assert ask(fresh_lab, *QUESTION, "--captures", "none", "-o", "json").report["since"] is None
    failed = captures(folder)[0]
    for wrong, said in (
        ((*QUESTION, "--since", failed), "is no run in which it worked: unreachable"),
        (("trace", "host", "8.8.8.8", "--since", file), "is a run of another question: red to 8.8.8.8 by icmp"),
        ((*QUESTION, "--since", "/nowhere.pcapng"), "cannot read /nowhere.pcapng"),
        ((*QUESTION, "--since", "/etc/passwd"), "is not a saved run"),
    ):
        done = ask(fresh_lab, *wrong, "--captures", "none")
        assert done.code == 2, done.told
        assert said in done.stderr


@once
def test_hostile_files_in_the_folder_cost_nothing_and_are_not_read(fresh_lab: Lab) -> None:
    folder = folder_of(fresh_lab)
    good = ask(fresh_lab, *QUESTION, "--captures", folder, "-o", "json").report["capture"]
    fresh_lab.run(BREAK, namespace="red", check=True)
    stem = "-trace-red-8.8.8.8.pcapng"
    names = iter(Path(folder, f"29990101-000000-00000{n}{stem}") for n in range(9))
    os.mkfifo(next(names))
    next(names).symlink_to(good)
    with next(names).open("wb") as huge:
        huge.truncate(1 << 40)
    next(names).mkdir()
    next(names).write_bytes(Path(good).read_bytes()[:-100])
    next(names).write_bytes(b"{" * 100_000)
    if os.geteuid() == 0:
        foreign = next(names)
        foreign.write_bytes(Path(good).read_bytes())
        os.chown(foreign, 65534, 65534)
    started = time.monotonic()
    done = ask(fresh_lab, *QUESTION, "--captures", folder, "-W", "100ms", "-o", "json")
    assert done.stdout, done.told
    assert done.report["since"]["capture"] == good, done.told
    assert time.monotonic() - started < 30  # it would wait for ever for a pipe, and for hours for the large file
    assert done.stderr == ""
    assert ask(fresh_lab, *QUESTION, "--captures", folder, "--since", "none", "-o", "json").report["since"] is None
