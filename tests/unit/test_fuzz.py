"""A short run of what `scripts/fuzz` does at length, and everything that it has found so far."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fuzzing import endpoint_strings, saved_files
from fuzzing.outcome import answer
from msgspec.structs import replace

from netprobe.codec import report_to_json
from netprobe.render.pcapng_blocks import read, write
from netprobe.saved import load

SAMPLES = Path(__file__).parents[2] / "captures/samples"
SAMPLE = SAMPLES / "no-masquerade.pcapng"


def test_mutated_files() -> None:
    outcome = saved_files.fuzz(20, seed=2)
    assert outcome.cases == 20 * 8
    assert outcome.failures == []


def test_odd_endpoints() -> None:
    outcome = endpoint_strings.fuzz(150, seed=2)
    assert outcome.cases == 300
    assert outcome.failures == []


def test_a_fuzz_run_can_fail(tmp_path: Path) -> None:
    """Its own judgement: a code beyond the contract, an exception that is none of the expected ones."""
    outcome = saved_files.Outcome()
    outcome.run("to a full disk", ["schema", "--no-such"], frozenset({0}))
    outcome.check("broken", lambda: 1 // 0, (ValueError,))
    assert len(outcome.failures) == 2
    assert not outcome.passed


# what was found


def at(tree: Any, *path: Any) -> Any:
    for key in path:
        tree = tree[key]
    return tree


def put(value: Any, *path: Any) -> Callable[[Any], None]:
    def change(tree: Any) -> None:
        at(tree, *path[:-1])[path[-1]] = value

    return change


RED, HOST = ("snapshot", "namespaces", "red"), ("snapshot", "namespaces", "host")
DEEP: dict[str, Any] = {"src": "10.0.0.2", "dst": "8.8.8.8", "protocol": "icmp"}
for _ in range(300):
    DEEP = {**DEEP, "outer": DEEP} if "outer" not in DEEP else {"src": "", "dst": "", "protocol": "icmp", "outer": DEEP}

CONTRADICTIONS = {
    "no address": put("x", *RED, "addresses", 0, "address"),
    "a prefix without an address": put("tcp", *RED, "routes", 0, "dst"),
    "a prefix too long": put(4_000_000_000, *RED, "addresses", 0, "prefixlen"),
    "a prefix of less than nothing": put(-1, *RED, "addresses", 0, "prefixlen"),
    "a route's prefix too long": put("10.0.0.0/99999999999", *RED, "routes", 0, "dst"),
    "no MAC": put("no", *HOST, "fdb", 0, "mac"),
    "no number in a sysctl": put("%s", *HOST, "sysctls", "net.ipv4.conf.all.rp_filter"),
    "digits of another script": put("😀", *RED, "sysctls", "net.ipv4.ip_default_ttl"),
    "a number of 5000 digits": put("1" * 5000, *HOST, "sysctls", "net.ipv4.conf.all.rp_filter"),
    "a sysctl without a dot": put("1", *RED, "sysctls", "x"),
    "no such namespace": put("hosst", "report", "probe", "source", "namespace"),
    "an endless number": put(10**400, "started_ns"),
    "a huge count": put(2**62, "report", "probe", "count"),
    "no probe": put(0, "report", "probe", "count"),
    "tunnels in tunnels": put(DEEP, "report", "path", "request", 0, "flow"),
}


@pytest.mark.parametrize("change", CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_a_run_that_contradicts_itself_is_a_bad_file(tmp_path: Path, change: Callable[[Any], None]) -> None:
    """Or says something all the same. It is never a bug of ours."""
    whole = read(SAMPLE.read_bytes())
    tree = json.loads(whole.run or b"")
    change(tree)
    file = tmp_path / "odd.pcapng"
    file.write_bytes(write(replace(whole, run=json.dumps(tree).encode())))
    for argv in (
        ["show", str(file)],
        ["show", str(file), "-o", "json"],
        ["diff", str(file), str(SAMPLE)],
        ["diff", str(SAMPLE), str(file)],
    ):
        code, told = answer(argv)
        assert code in (0, 1, 2, 4), told
        assert code != 2 or str(file) in told.splitlines()[0], told


def test_deep_json_is_a_bad_file(tmp_path: Path) -> None:
    report, _ = load(str(SAMPLE))
    text = report_to_json(report).decode()
    for odd in (
        "[" * 100_000,
        '{"a":' * 100_000,
        text.replace('"causes":[', '"causes":[' + "[" * 2000),
        text.replace('"notes":[', f'"odd":{"[" * 500}{"]" * 500},"notes":['),
    ):
        (tmp_path / "deep.json").write_text(odd)
        code, told = answer(["show", str(tmp_path / "deep.json")])
        assert code in (1, 2), told
