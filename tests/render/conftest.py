"""`pytest tests/render --update-goldens` writes what the renderers say now into golden/; read the difference before you commit it."""

from pathlib import Path

import pytest

GOLDEN = Path(__file__).with_name("golden")


def pytest_addoption(parser):
    parser.addoption("--update-goldens", action="store_true", help="write the renderers' output of today into tests/render/golden")


@pytest.fixture
def golden(request):
    """golden(name, text): the same text as in the file `name`."""

    def check(name, text):
        path = GOLDEN / name
        if request.config.getoption("--update-goldens", default=False):
            path.write_text(text, encoding="utf-8")
        assert path.read_text(encoding="utf-8") == text

    return check
