"""Every value survives its JSON, whatever a name is made of; the JSON has the contract's shape; a bad file is named."""

import json
import types
import typing
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netprobe import codec
from netprobe.errors import WrongQuestion
from netprobe.model import (
    Blind,
    Cause,
    Change,
    Changed,
    Command,
    Confidence,
    Endpoint,
    Evidence,
    Flow,
    Hop,
    Leg,
    Namespace,
    Object,
    Observation,
    Paths,
    Place,
    Probe,
    Protocol,
    Report,
    Run,
    Snapshot,
    Source,
    Stage,
    Verdict,
)
from netprobe.model.check import Checked, CheckReport, Status
from netprobe.saved import load

NAMES = st.one_of(
    st.text(st.characters(), max_size=6),  # surrogates too
    st.binary(max_size=6).map(lambda raw: raw.decode("utf-8", "surrogateescape")),
    st.lists(st.sampled_from(["\\", "x", "5c", "ff", "u", "dcff", "\udcff", "\ud83d", '"', "\n", "a"]), max_size=6).map("".join),
)
_PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: NAMES, int: st.integers(-(2**63), 2**63 - 1), bool: st.booleans(), bytes: st.binary(max_size=8), type(None): st.none(),
    msgspec.UnsetType: st.just(msgspec.UNSET),
}  # fmt: skip
VALIDATOR = jsonschema.Draft202012Validator(json.loads(codec.schema()))
_MADE: dict[type, st.SearchStrategy[Any]] = {}


def values(kind: Any) -> st.SearchStrategy[Any]:
    """A strategy for any type that the model uses, made from its annotations: a new field is tested from its first day."""
    if kind in _PLAIN:
        return _PLAIN[kind]
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return st.one_of(*(values(arg) for arg in sorted(args, key=lambda arg: arg is not type(None))))
    if origin is typing.Literal:
        return st.sampled_from(args)
    if origin is tuple and args[-1] is Ellipsis:
        return st.lists(values(args[0]), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*(values(arg) for arg in args))
    if origin in (Mapping, dict):
        return st.dictionaries(values(args[0]), values(args[1]), max_size=2)
    if issubclass(kind, Enum):
        return st.sampled_from(kind)
    return _MADE.setdefault(kind, st.deferred(lambda: _built(kind)))


def _built(kind: type) -> st.SearchStrategy[Any]:
    """Fields with a default are given now and then: whole runs stay small enough to test many."""
    made = {field.name: field for field in msgspec.inspect.type_info(kind).fields}
    hints = typing.get_type_hints(kind)
    required = {name: values(hints[name]) for name, field in made.items() if field.required}
    optional = {name: values(hints[name]) for name, field in made.items() if not field.required}
    return st.fixed_dictionaries(required, optional=optional).map(lambda chosen: kind(**chosen))


@given(values(Report))
@settings(max_examples=100, suppress_health_check=list(HealthCheck), deadline=None)
def test_a_report_survives_and_fits_the_schema(report):
    data = codec.report_to_json(report)
    assert codec.report_from_json(data) == report
    VALIDATOR.validate(json.loads(data.decode("utf-8", "strict")))


@given(values(Run))
@settings(max_examples=60, suppress_health_check=list(HealthCheck), deadline=None)
def test_a_run_survives(run):
    data = codec.run_to_json(run)
    assert codec.run_from_json(data) == run
    assert codec.saved_from_json(data) == run


@given(NAMES)
@settings(max_examples=1000)
def test_any_name_survives_as_valid_utf8(name):
    report = minimal(summary=name)
    data = codec.report_to_json(report)
    assert codec.report_from_json(data).summary == name
    assert not any(0xD800 <= ord(char) < 0xE000 for char in json.loads(data.decode("utf-8"))["summary"])


@given(NAMES)
def test_another_writer_may_spell_the_same_json_in_its_own_way(name):
    data = codec.report_to_json(minimal(summary=name))
    for spelled in (
        json.dumps(json.loads(data)),
        json.dumps(json.loads(data)).replace("\\\\", "\\u005c"),
        json.dumps(json.loads(data), indent=1),
    ):
        assert codec.report_from_json(spelled.encode()).summary == name


def minimal(**more: Any) -> Report:
    probe = Probe(Protocol.ICMP, "t", Endpoint("red", "red", "eth0", "10.0.0.2"), Endpoint("8.8.8.8", address="8.8.8.8"))
    return Report(**{"command": "trace", "probe": probe, "verdict": Verdict.REACHABLE, "summary": "", **more})


def full() -> Report:
    flow = Flow("10.0.0.2", "8.8.8.8", Protocol.ICMP, icmp_id=7, ttl=64)
    hop = Hop(1, "red", "eth0", Stage.TRANSMIT, flow, changes=(Change("src", "10.0.0.2", "172.16.0.2", "MASQUERADE"),))
    cause = Cause("no-route", Place("red", None, Stage.ROUTE), "no route", Object("route", "default"),
                  (Evidence(Source.MODEL, "x", Confidence.OBSERVED),), commands=(Command.of("ip", "route", "add"),),
                  changes=(Changed("route", "default", namespace="red", after="via 10.0.0.1"),))  # fmt: skip
    return minimal(verdict=Verdict.UNREACHABLE, direction=Leg.REQUEST, path=Paths((hop,), ()), causes=(cause,), blind=(Blind("a", "b"),))


# The shapes of the contract, as keys that a script reads.
REPORT = ["schema", "command", "probe", "verdict", "direction", "summary", "sent", "received", "rtt_ns", "path", "causes", "blockers",
          "agreement", "blind", "capture", "timings"]  # fmt: skip


def test_the_reports_keys_stand_in_the_order_of_the_contract():
    assert list(json.loads(codec.report_to_json(full())))[: len(REPORT)] == REPORT
    assert list(json.loads(codec.schema())["$defs"]["Report"]["properties"])[: len(REPORT)] == REPORT


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("probe", "protocol token count size ttl df source destination"),
        ("probe.source", "endpoint namespace interface address"),
        ("probe.destination", "endpoint namespace address port"),
        ("path", "request reply"),
        ("path.request.0", "n namespace interface stage predicted observed time_ns flow changes object note"),
        ("path.request.0.flow", "src dst protocol sport dport icmp_id ttl src_mac dst_mac outer"),
        ("path.request.0.changes.0", "field from to by"),
        ("causes.0", "code place object summary evidence confidence fix because commands changes"),
        ("causes.0.changes.0", "kind id text owner namespace before after"),
        ("causes.0.commands.0", "namespace words"),
        ("causes.0.place", "namespace interface stage"),
        ("causes.0.object", "kind id text owner"),
        ("causes.0.evidence.0", "source text confidence"),
        ("blind.0", "what why"),
        ("timings", "snapshot_ns predict_ns observe_ns diagnose_ns search_ns"),
    ],
)
def test_the_contracts_keys_are_all_there(path, keys):
    value = json.loads(codec.report_to_json(full()))
    for step in path.split("."):
        value = value[int(step) if step.isdigit() else step]
    assert set(keys.split()) <= set(value)


def test_the_schema_is_one_and_says_what_it_is():
    schema = json.loads(codec.schema())
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["title"] == "netprobe.report/1"
    assert schema["$id"] == "urn:netprobe:report:1"
    described = schema["$defs"]["Report"]["properties"]
    assert [key for key in REPORT if "description" not in described[key] and "$ref" not in described[key]] == []


def test_the_schema_refuses_a_report_without_its_verdict():
    report = json.loads(codec.report_to_json(full()))
    del report["verdict"]
    with pytest.raises(jsonschema.ValidationError, match="'verdict' is a required property"):
        VALIDATOR.validate(report)


def test_names_that_are_no_utf8_are_readable_in_the_json():
    data = codec.report_to_json(minimal(summary="veth\udcff\udc80"))
    assert json.loads(data)["summary"] == r"veth\xff\x80"


def test_frames_are_base64():
    seen = Observation(Source.TAP, "seen", "red\udcff", 5, frame=b"\x00\xff")
    run = Run(minimal(), Snapshot({"red\udcff": Namespace("red\udcff")}), (seen,), started_ns=9)
    saved = json.loads(codec.run_to_json(run))
    assert saved["schema"] == "netprobe.run/1"
    assert saved["observations"][0]["frame"] == "AP8="
    assert list(saved["snapshot"]["namespaces"]) == [r"red\xff"]


def test_unknown_keys_of_a_newer_netprobe_are_ignored():
    report = {**json.loads(codec.report_to_json(minimal())), "news": [1, {"deep": True}]}
    assert codec.report_from_json(json.dumps(report).encode()) == minimal()


def test_a_saved_report_and_a_saved_run_are_told_apart():
    assert codec.saved_from_json(codec.report_to_json(minimal())) == minimal()
    run = Run(minimal(), Snapshot())
    assert codec.saved_from_json(codec.run_to_json(run)) == run


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "truncated"),
        (b"{}", "`schema`"),
        (b"[]", "array"),
        (b"\xff\xfe", "malformed"),
        (b'{"schema": 1}', r"\$\.schema"),
        (b'{"schema": "netprobe.report/2"}', "netprobe.report/2"),
        (b'{"schema": "netprobe.run/1"}', "`report`"),
        (b'{"schema": "other/1", "x": "\\\\"}', "other/1"),
        (codec.report_to_json(minimal())[:-30], "truncated"),
        (codec.report_to_json(minimal()).replace(b'"reachable"', b'"perhaps"'), r"perhaps.*\$\.verdict"),
        (codec.report_to_json(minimal()).replace(b'"sent":0', b'"sent":"\\\\"'), r"\$\.sent"),
        (b'{"schema":"\xff"}', "saved run or report"),
        (b'{"a\\\\":' * 100_000, "saved run or report"),
    ],
)
def test_a_bad_file_is_a_wrong_question_that_says_where(data, says):
    with pytest.raises(WrongQuestion, match=says) as caught:
        codec.saved_from_json(data, "captures/x.json")
    assert str(caught.value).startswith("captures/x.json ")
    assert caught.value.exit_code == 2


@given(st.binary(max_size=200))
def test_no_bytes_make_the_decoder_fail_otherwise(data):
    with pytest.raises(WrongQuestion):
        codec.saved_from_json(data)


@given(values(Report), st.data())
@settings(max_examples=60, suppress_health_check=list(HealthCheck), deadline=None)
def test_a_damaged_report_is_read_or_refused_never_a_crash(report, data):
    whole = bytearray(codec.report_to_json(report))
    whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        read = codec.saved_from_json(bytes(whole))
    except WrongQuestion:
        return
    assert isinstance(read, Report)


def test_msgspec_still_refuses_surrogates():
    """The reason for the escapes; if it ever accepts them, they can go."""
    with pytest.raises(UnicodeEncodeError):
        msgspec.json.encode("\udcff")


def test_what_became_of_expectations_fits_its_schema():
    schema = json.loads(codec.check_schema())
    jsonschema.Draft202012Validator.check_schema(schema)
    assert (schema["title"], schema["$id"]) == ("netprobe.check/1", "urn:netprobe:check:1")
    report = load(str(Path(__file__).parents[2] / "captures/samples/no-masquerade.pcapng"))[0]
    held = Checked("", "a → b icmp", "reachable", Status.HELD, "b is reachable from a", "net.yaml", 2)
    failed = Checked("out", "red → 8.8.8.8 icmp", "reachable", Status.FAILED, "why", "net.yaml", 3, report=report, before=Status.HELD)
    found = json.loads(codec.check_to_json(CheckReport((held, failed), 2, changes=("ip link set veth0 down",))))
    jsonschema.Draft202012Validator(schema).validate(found)
    assert set(found) == set(schema["$defs"]["CheckReport"]["properties"])
