"""--watch in a lab: a rule is added and removed while it is watched - on a terminal that tmux draws, as a stream, as lines."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from asking import Done, ask, once, until
from tmux import AFTER, Tmux, tmux

from netprobe.codec import watch_schema
from netprobe.lab.lab import Lab, Program
from netprobe.saved import load

pytestmark = [pytest.mark.lab, once]

WATCH = "netprobe trace --watch red 8.8.8.8 --captures none"
DROPPED = "error[filtered-by-rule]"
HANDLE = "nft -a list chain inet lab forward | sed -n 's/.* drop.* # handle //p'"
MEND = ["sh", "-ec", f"nft delete rule inet lab forward handle $({HANDLE})"]
VALIDATOR = jsonschema.Draft202012Validator(json.loads(watch_schema()))


def started(lab: Lab, *options: str) -> Program:
    """A watch from red to 8.8.8.8 as a stream, of which the first round is done."""
    argv = ["trace", "--watch", "red", "8.8.8.8", *options]
    program = lab.start(["bash", "-c", 'exec netprobe "$@"', "netprobe", *argv])
    program.until('"event":"verdict"' if "jsonl" in options else "round 1")
    return program


def events(program: Program) -> list[dict[str, Any]]:
    """What the stream has said by now, each line as the schema says."""
    lines = [json.loads(line) for line in program.output().splitlines(keepends=True) if line.endswith("\n")]
    assert [error.message for line in lines for error in VALIDATOR.iter_errors(line)] == []
    return lines


def verdicts(program: Program) -> list[tuple[str, str | None]]:
    """The verdicts that were told, each with the code of its cause; not of rounds in the middle of a change."""
    told = [each for each in events(program) if each["event"] == "verdict" and each["verdict"] != "undetermined"]
    return [(each["verdict"], each["causes"][0]["code"] if each["causes"] else None) for each in told]


def changes(program: Program) -> list[dict[str, Any]]:
    """The changes that were told."""
    return [each for each in events(program) if each["event"] == "change"]


def ended(program: Program, by: int = signal.SIGINT) -> dict[str, Any]:
    """The last event, after a signal."""
    program.kill(by)
    assert program.wait() == 130, program.errors()
    return events(program)[-1]


# ---- as a stream


def rules(program: Program) -> list[dict[str, Any]]:
    """The changes of rules that were told."""
    return [each for each in changes(program) if each["what"]["kind"] == "rule"]


def test_a_rule_comes_and_goes(fresh_lab: Lab) -> None:
    program = started(fresh_lab, "-o", "jsonl", "--captures", "none")
    fresh_lab.inject("forward-drop")
    until(lambda: len(verdicts(program)) > 1, "no loss was told")
    fresh_lab.run(MEND, check=True)
    until(lambda: len(verdicts(program)) > 2 and len(rules(program)) > 1, "no mend was told")
    end = ended(program)
    assert verdicts(program) == [("reachable", None), ("unreachable", "filtered-by-rule"), ("reachable", None)]
    told = [(each["heard"], each["by"], each["what"]["namespace"], each["passing"]) for each in rules(program)]
    assert told == [(True, "nft", "host", False)] * 2, rules(program)
    new, gone = (each["what"] for each in rules(program))
    assert (new["before"], gone["after"]) == (None, None)
    assert "drop" in new["after"]
    assert (end["event"], end["complete"]) == ("end", False)
    assert end["lost"] >= 1
    assert end["rounds"] == end["answered"] + end["lost"] + end["undetermined"]
    assert end["report"]["verdict"] == "reachable"
    wan = next(hop for hop in end["hops"] if (hop["namespace"], hop["interface"], hop["bound"]) == ("host", "eth0", "out"))
    assert (wan["sent"], wan["seen"]) == (end["rounds"], end["answered"])
    assert 0 < wan["best_ns"] <= wan["average_ns"] <= wan["worst_ns"]


def test_a_change_brings_the_next_round_forward(fresh_lab: Lab) -> None:
    """Rounds are an hour apart, and the loss is told at once."""
    program = started(fresh_lab, "-o", "jsonl", "--captures", "none", "-i", "3600s")
    fresh_lab.inject("forward-drop")
    until(lambda: len(verdicts(program)) > 1, "no loss was told")
    fresh_lab.run(MEND, check=True)
    until(lambda: len(verdicts(program)) > 2 and len(rules(program)) > 1, "no mend was told")
    ended(program)
    found = [each["at_ns"] for each in events(program) if each["event"] == "verdict" and each["verdict"] != "undetermined"]
    told = [each["at_ns"] for each in rules(program)]
    assert all(abs(seen - at) < 2_000_000_000 for at, seen in zip(told, found[1:], strict=True))


@pytest.mark.skipif(shutil.which("iptables-legacy") is None, reason="iptables-legacy is not installed")
def test_what_the_kernel_does_not_tell_is_found_by_comparing(fresh_lab: Lab) -> None:
    program = started(fresh_lab, "-o", "jsonl", "--captures", "none", "-i", "200ms")
    fresh_lab.run(["iptables-legacy", "-I", "FORWARD", "-d", "8.8.8.8", "-j", "DROP"], check=True)
    until(lambda: len(verdicts(program)) > 1, "no loss was told")
    ended(program)
    assert verdicts(program)[1] == ("unreachable", "filtered-by-rule")
    assert [(each["heard"], each["what"]["id"]) for each in changes(program) if each["what"]["kind"] == "rule"] == [
        (False, "iptables-legacy filter FORWARD 1")
    ]


@pytest.mark.thorough
def test_a_link_that_was_down_for_a_moment(fresh_lab: Lab) -> None:
    program = started(fresh_lab, "-o", "jsonl", "--captures", "none", "-i", "3600s")
    fresh_lab.run(["sh", "-c", "ip link add dum0 type bridge && ip link delete dum0"], check=True)
    until(lambda: any(each["what"]["id"] == "dum0" for each in changes(program)), "nothing was told")
    ended(program)
    [told] = [each for each in changes(program) if each["what"]["id"] == "dum0"]
    assert (told["passing"], told["heard"], told["what"]["after"]) == (True, True, "new, then gone")


def test_a_namespace_that_is_deleted_goes(fresh_lab: Lab) -> None:
    """What watches it does not keep it alive: the cable that leads there is gone as well."""
    made = (
        "ip netns add side; ip link add side0 type veth peer eth0 netns side; ip link set side0 up; ip address add 192.0.2.1/24 dev side0"
    )
    fresh_lab.run(["sh", "-ec", f"{made}; ip -n side link set eth0 up; ip -n side address add 192.0.2.2/24 dev eth0"], check=True)
    asked = ("--watch", "-o", "jsonl", "--captures", "none", "-i", "200ms", "side", "192.0.2.1")
    program = fresh_lab.start(["bash", "-c", 'exec netprobe "$@"', "netprobe", "trace", *asked])
    program.until('"event":"verdict"')
    fresh_lab.run(["ip", "netns", "delete", "side"], check=True)
    until(lambda: fresh_lab.run(["ip", "link", "show", "side0"]).returncode != 0, "the namespace is still there")
    until(lambda: events(program)[-1].get("trouble"), "no round could not be asked")
    assert ended(program)["failed"] >= 1


def test_who_reads_may_go(lab: Lab) -> None:
    script = f"{WATCH} -o jsonl -i 50ms | head -n 3 >/dev/null; echo ${{PIPESTATUS[0]}}"
    done = lab.run(["bash", "-c", script])
    assert (done.stdout.strip(), done.stderr) == ("141", "")


# ---- as lines, and its end


def test_so_many_rounds(lab: Lab) -> None:
    folder = f"{lab.folder}/of-rounds"
    done = ask(lab, "trace", "--watch", "-c", "3", "-i", "50ms", "red", "8.8.8.8", "--captures", folder)
    assert done.code == 0, done.told
    assert [f"round {n}  reachable after" in done.stdout for n in (1, 2, 3, 4)] == [True, True, True, False]
    assert "3 of 3 rounds" in done.stdout
    assert "kept of 3 rounds: the last one" in done.stdout
    assert done.stderr == ""
    assert "\x1b" not in done.stdout
    [capture] = Path(folder).iterdir()
    report, run = load(str(capture))
    assert run is not None
    assert (report.sent, report.verdict) == (1, "reachable")


def test_the_last_lost_round_is_kept(fresh_lab: Lab) -> None:
    folder = f"{fresh_lab.folder}/kept"
    fresh_lab.inject("forward-drop")
    program = started(fresh_lab, "--captures", folder, "-i", "100ms")
    fresh_lab.run(MEND, check=True)
    program.until("unreachable -> reachable")
    program.kill(signal.SIGTERM)
    assert program.wait() == 130
    kept = [load(str(path))[0].verdict for path in sorted(Path(folder).iterdir())]
    assert kept == ["unreachable", "reachable"]
    assert "the last round that was lost:" in program.output()


@pytest.mark.parametrize(
    ("options", "said"),
    [(["-o", "svg"], "--watch cannot show svg"), (["--out", "x"], "--out does not fit"), (["-w", "-"], "-w - does not fit")],
)
def test_what_does_not_go_with_it(lab: Lab, options: list[str], said: str) -> None:
    done = ask(lab, "trace", "--watch", *options, "red", "8.8.8.8")
    assert (done.code, done.stdout) == (2, "")
    assert said in done.stderr


def test_ping_has_it_too(lab: Lab) -> None:
    done: Done = ask(lab, "ping", "--watch", "-c", "2", "-i", "50ms", "red", "8.8.8.8", "--captures", "none")
    assert done.code == 0, done.told
    assert "round 2" in done.stdout


# ---- on a terminal


def test_the_table_shows_the_loss_and_its_mend(fresh_lab: Lab) -> None:
    with tmux(fresh_lab, WATCH) as shown:
        shown.shows("red (10.0.0.2) → 8.8.8.8", "reply after", "STDDEV", "q quits")
        spans = (the_loss_appears(fresh_lab, shown) for _ in range(5))
        assert any(seconds < 2.0 for seconds in spans)  # of five, for a machine may be busy
        resized(shown)
        shown.type("q")
        shown.shows(f"{AFTER}: 1", "as before")
        assert shown.is_as_before()


def the_loss_appears(lab: Lab, shown: Tmux) -> float:
    """A drop and its mend are shown; how long it took until the loss was, in seconds."""
    lab.inject("forward-drop")
    took = shown.shows(DROPPED, "✗", "nft inet lab forward handle", "(by nft)")
    lab.run(MEND, check=True)
    shown.shows("reply after", "gone", without=DROPPED)
    return took


def resized(shown: Tmux) -> None:
    """The table in other widths."""
    shown.resize(48, 30)
    shown.shows("lost; last", without="STDDEV")
    shown.resize(90, 12)
    shown.shows("q quits")
    assert len(shown.screen().rstrip().splitlines()) <= 12
    shown.resize(120, 40)
    shown.shows("STDDEV")


@pytest.mark.parametrize("by", ["C-c", "TERM", pytest.param("HUP", marks=pytest.mark.thorough)])
def test_the_terminal_is_put_back(lab: Lab, by: str) -> None:
    with tmux(lab, WATCH) as shown:
        shown.shows("STDDEV", "q quits")
        if by == "C-c":
            shown.type("C-c")
        else:
            shown.kill(by)
        shown.shows(AFTER, "as before", without="q quits")
        assert shown.is_as_before()


@pytest.mark.thorough
def test_the_terminal_is_lent_while_it_is_stopped(lab: Lab) -> None:
    with tmux(lab, WATCH) as shown:
        shown.shows("STDDEV", "q quits")
        shown.kill("TSTP")
        until(shown.is_as_before, "the terminal was kept")
        assert "q quits" not in shown.screen()
        shown.kill("CONT")
        shown.shows("STDDEV", "q quits")
        assert not shown.is_as_before()
        shown.type("q")
        shown.shows(f"{AFTER}: 0", "as before")


def test_a_terminal_of_ascii_without_colours(lab: Lab) -> None:
    with tmux(lab, f"env NO_COLOR=1 LC_ALL=C PYTHONIOENCODING=ascii {WATCH}", width=80, height=24) as shown:
        shown.shows("red (10.0.0.2) -> 8.8.8.8", "STDDEV", "times in us")
        coloured = shown.tell("capture-pane", "-p", "-e", "-t", "watch")
        assert "\x1b[" not in coloured.replace("\x1b[0m", "").replace("\x1b[39m", "")
        assert coloured.isascii()
