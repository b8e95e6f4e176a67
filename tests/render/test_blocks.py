"""The block of a cause: each thing is said once, nothing is wider than the terminal but commands, and the outlook follows the fix."""

from pathlib import Path

import pytest
import sample_reports as sample
from msgspec.structs import replace

from netprobe.engine import replay
from netprobe.lab.faults import FAULTS
from netprobe.model import Cause, Command, Confidence, Evidence, Object, Place, Source, Stage
from netprobe.render.markdown import markdown
from netprobe.render.pen import columns
from netprobe.render.text import text
from netprobe.render.wide import wide
from netprobe.saved import load

RECORDINGS = Path(__file__).parents[1] / "faults/recordings"
PLACE = Place("host", "eth0", Stage.ROUTE)
RULE = "-A FORWARD -p tcp -m tcp --dport 80 -m connlimit --connlimit-above 0 -j REJECT --reject-with tcp-reset"


def shown(cause, *symptoms, width=80, notes=()):
    return text(replace(sample.FORWARD_DROP, causes=(cause, *symptoms), blockers=(), notes=notes), width)


def test_what_the_sentence_says_is_not_said_again_by_the_object_or_by_the_proof():
    thing = Object("socket", "udp 8.8.8.8:53", "the answer comes from 203.0.113.1")
    proof = (Evidence(Source.MODEL, "the answer comes from 203.0.113.1"), Evidence(Source.MODEL, thing.text))
    said = shown(Cause("x", PLACE, "the answer comes from 203.0.113.1: nobody takes it", thing, proof))
    assert said.partition("error[")[2].count("the answer comes from 203.0.113.1") == 1


def test_a_symptom_is_no_reason_as_well():
    symptom = Cause("no-route", PLACE, "internet has no route to 172.17.0.2")
    cause = Cause("x", PLACE, "docker0 is down", None, (Evidence(Source.MODEL, symptom.summary, Confidence.INFERRED),))
    assert shown(cause, symptom).count(symptom.summary) == 1


@pytest.mark.parametrize("width", [48, 80])
def test_a_long_rule_is_wrapped(width):
    said = shown(Cause("x", PLACE, "dropped", Object("rule", "iptables filter FORWARD 1", RULE)), width=width)
    assert all(columns(line) <= width for line in said.splitlines())
    assert RULE.split() == said.rpartition("FORWARD 1\n")[2].split()[: len(RULE.split())]


@pytest.mark.parametrize("renderer", [lambda report: text(report, 80), wide, markdown])
def test_the_outlook_stands_behind_the_fix_that_it_speaks_of(renderer):
    cause = Cause("x", PLACE, "docker0 is down", commands=(Command.of("ip", "link", "set", "dev", "docker0", "up"),))
    outlook = "after this fix the probe should pass (predicted)"
    said = renderer(replace(sample.FORWARD_DROP, causes=(cause,), blockers=(), notes=(outlook,)))
    assert said.index("docker0 up") < said.index(outlook)


@pytest.mark.parametrize("name", [fault.name for fault in FAULTS])
@pytest.mark.parametrize("width", [48, 80, 100])
def test_only_commands_are_wider_than_the_terminal(name, width):
    _, run = load(str(RECORDINGS / f"{name}.pcapng"))
    report = replay(run).report
    every = [*report.causes, *report.blockers, *report.alternatives]
    commands = [line for cause in every for line in cause.fix]
    for line in text(report, width).splitlines():
        if columns(line) > width:
            assert any(line.strip().removeprefix("fix").strip() in said or said in line for said in commands), line
