"""What other programs make of maps: Graphviz of dot, Mermaid's own parser of mermaid. Without the program a test is skipped, and says so.

Mermaid is looked for where node finds modules from the folder that NODE_PATH names: npm install mermaid jsdom
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hostile_wirings import wirings
from hypothesis import HealthCheck, given, settings
from sample_wirings import MAPS

from netprobe.formats import wiring_as
from netprobe.render.terminal import Terminal

pytestmark = pytest.mark.thorough

PARSE = """
import { createRequire } from 'node:module';
const require = createRequire(process.env.NODE_PATH + '/');
const { JSDOM } = require('jsdom');
const { window } = new JSDOM('');
globalThis.window = window; globalThis.document = window.document; globalThis.Element = window.Element;
const { pathToFileURL } = await import('node:url');
const mermaid = (await import(pathToFileURL(require.resolve('mermaid')))).default;
let all = ''; for await (const piece of process.stdin) all += piece;
for (const text of JSON.parse(all)) {
  const found = await mermaid.parse(text);
  if (found.diagramType !== 'flowchart-v2') throw new Error(found.diagramType);
}
console.log('ok');
"""


def graphviz(text):
    """What Graphviz lays out, as plain text: a line for each node and edge."""
    if shutil.which("dot") is None:
        pytest.skip("Graphviz is not installed: apt-get install graphviz")
    done = subprocess.run(["dot", "-Tplain"], input=text.encode(), capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b""), done.stderr.decode()
    return done.stdout.decode("utf-8", "replace")


def mermaid(texts):
    folder = os.environ.get("NODE_PATH", "")
    if shutil.which("node") is None or not Path(folder, "mermaid").is_dir():
        pytest.skip("node with the package mermaid is not here: npm install mermaid jsdom, and NODE_PATH=.../node_modules")
    command = ["node", "--input-type=module", "--eval", PARSE]
    done = subprocess.run(command, input=json.dumps(texts), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "ok"), done.stderr[-2000:]


@pytest.mark.parametrize("name", MAPS)
def test_graphviz_draws_a_map(name):
    text = wiring_as(MAPS[name], "dot", Terminal())
    plain = graphviz(text)
    assert sum(line.startswith("node ") for line in plain.splitlines()) == text.count("[label=")
    assert sum(line.startswith("edge ") for line in plain.splitlines()) == text.count(" -- ")


def test_mermaid_reads_a_map():
    mermaid([wiring_as(wiring, "mermaid", Terminal()) for wiring in MAPS.values()])


def examples(count):
    """So many hostile maps."""
    made = []

    @given(wirings())
    @settings(max_examples=count, suppress_health_check=list(HealthCheck), database=None)
    def gather(wiring):
        made.append(wiring)

    gather()
    return made


def test_graphviz_draws_hostile_names():
    for wiring in examples(40):
        text = wiring_as(wiring, "dot", Terminal())
        plain = graphviz(text)
        assert sum(line.startswith("edge ") for line in plain.splitlines()) == text.count(" -- n")


def test_mermaid_reads_hostile_names():
    mermaid([wiring_as(wiring, "mermaid", Terminal()) for wiring in examples(150)])
