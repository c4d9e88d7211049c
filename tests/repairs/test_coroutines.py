from __future__ import annotations

import pytest
from tests.repairs.cases import case, mended

from llm_testgen.repairs.coroutines import await_calls, run_async_test

UNSUPPORTED = "async def functions are not natively supported.\nYou need to install a suitable plugin"


@pytest.mark.parametrize(
    ("code", "result"),
    [
        (
            "async def test_it():\n    assert await fetch(1) == 1\n",
            "import asyncio\ndef test_it():\n    async def scenario():\n        assert await fetch(1) == 1\n\n    asyncio.run(scenario())\n",
        ),
        (
            "@pytest.mark.asyncio\n@pytest.mark.slow\nasync def test_it(tmp_path):\n    assert await fetch(tmp_path)\n",
            "import asyncio\n@pytest.mark.slow\ndef test_it(tmp_path):\n    async def scenario():\n        assert await fetch(tmp_path)\n\n    asyncio.run(scenario())\n",
        ),
        ("def test_it():\n    assert 1\n", ""),
    ],
)
def test_an_asynchronous_test_is_run_by_itself_where_no_plugin_does(code, result):
    assert mended(run_async_test, case(code, UNSUPPORTED, kind="Failed")) == result


def test_an_asynchronous_test_in_a_class_stays_in_it():
    code = "class TestIt:\n    @pytest.mark.asyncio\n    async def test_it(self):\n        assert await fetch(1) == 1\n"
    assert mended(run_async_test, case(code, UNSUPPORTED, kind="Failed")) == (
        "import asyncio\nclass TestIt:\n    def test_it(self):\n        async def scenario():\n"
        "            assert await fetch(1) == 1\n\n        asyncio.run(scenario())\n"
    )


def test_an_asynchronous_test_that_fails_for_another_reason_is_left():
    assert mended(run_async_test, case("async def test_it():\n    assert 0\n", "assert 0")) == ""


@pytest.mark.parametrize(
    ("code", "of", "result"),
    [
        (
            "def test_it():\n    assert fetch(1) == 1\n",
            "fetch",
            "import asyncio\ndef test_it():\n    assert asyncio.run(fetch(1)) == 1\n",
        ),
        (
            "async def test_it():\n    assert fetch(1) == 1\n",
            "fetch",
            "async def test_it():\n    assert (await fetch(1)) == 1\n",
        ),
        ("def test_it():\n    assert asyncio.run(fetch(1)) == 1\n", "fetch", ""),
        ("def test_it():\n    assert double(1) == 1\n", "double", ""),
    ],
)
def test_a_coroutine_that_is_only_made_is_run(code, of, result):
    message = "assert <coroutine object fetch at 0x…> == 1"
    assert mended(await_calls, case(code, message, of=of)) == result
