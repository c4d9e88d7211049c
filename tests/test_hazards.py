from __future__ import annotations

import pytest

from llm_testgen.hazards import refused
from llm_testgen.names import COMPUTED


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("os._exit", ["os._exit"]),
        ("parcel.labels._os._exit", ["os._exit"]),
        ("os.execvpe", ["os.execvpe"]),
        ("ctypes.util", ["ctypes.util"]),
        ("?.f_back", ["f_back"]),
        ("parcel.price.__globals__", ["__globals__"]),
        ("?.__subclasses__", ["__subclasses__"]),
        ("FixtureRequest.config.pluginmanager", ["pluginmanager"]),
        (f"os.{COMPUTED}", ["a computed name of os"]),
    ],
)
def test_a_refused_name_is_told_as_the_tables_have_it(name, told):
    assert list(refused([name])) == told


@pytest.mark.parametrize(
    "name",
    [
        "os",
        "os.path.join",
        "_exit",
        "?._exit",
        "parcel.ctypes",
        "_pytest.fixtures.FixtureRequest",
        "parcel.Plugin.__subclasses__",
        f"parcel.{COMPUTED}",
    ],
)
def test_names_that_only_resemble_those_of_the_tables_pass(name):
    assert list(refused([name])) == []


def test_names_are_told_in_their_order():
    assert list(refused({"sys.settrace", "os.abort", "os.sep"})) == ["os.abort", "sys.settrace"]
