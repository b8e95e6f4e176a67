"""pyroute2 by its parts: what a trace needs comes in, the rest stays out until it is asked for."""

from __future__ import annotations

import subprocess
import sys


def said(program: str) -> str:
    """What a fresh Python prints."""
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


def test_reading_a_namespace_leaves_the_rest_of_pyroute2_alone():
    program = """
import sys
from netprobe.linux.tables.links import read_links
from netprobe.linux.netlink import Netlink
with Netlink() as netlink:
    print([link.name for link in read_links(netlink)[0] if link.name == "lo"])
print("asyncio" in sys.modules, "pyroute2.ndb.main" in sys.modules)
"""
    assert said(program).splitlines() == ["['lo']", "False False"]


def test_what_it_logs_is_logged():
    program = """
import sys
from netprobe.linux.lazy_pyroute2 import stay_outside
stay_outside()
import pyroute2.netlink
print("logging" in sys.modules)
import logging
logging.basicConfig(stream=sys.stdout, format="%(name)s %(message)s")
pyroute2.netlink.log.warning("odd")
pyroute2.netlink.logging.error("worse")
"""
    assert said(program).splitlines() == ["False", "pyroute2.netlink odd", "root worse"]


def test_the_whole_package_comes_when_it_is_asked_for():
    program = """
from netprobe.linux.lazy_pyroute2 import stay_outside
stay_outside()
import pyroute2.netlink
from pyroute2 import IPRoute
import pyroute2
print(IPRoute.__name__, pyroute2.NDB.__name__, pyroute2.netlink.nlmsg.__name__)
"""
    assert said(program) == "IPRoute NDB nlmsg"


def test_a_package_that_is_there_already_stays():
    assert (
        said("import pyroute2; from netprobe.linux.lazy_pyroute2 import stay_outside; stay_outside(); print(pyroute2.IPRoute.__name__)")
        == "IPRoute"
    )
