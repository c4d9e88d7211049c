import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from tests.edges.fake_openai import PREFILL, FakeOpenAI, completion, make_prompt

from llm_testgen.edges import embedded
from llm_testgen.edges.embedded import EmbeddedModel, Serving, physical_cores
from llm_testgen.edges.models import Sampling
from llm_testgen.edges.weights import cache_folder, ensure, find
from llm_testgen.errors import ModelError, UsageError

SAMPLING = Sampling(0.0, 1, 48)

READY = 'import json, sys; print(json.dumps({"url": "URL"}), flush=True)\n'


@pytest.fixture
def engine(tmp_path, monkeypatch):
    """Puts a script of a test's own in place of the engine's server; any installed module passes for the engine."""

    def install(script):
        path = tmp_path / "server.py"
        path.write_text("import os, sys\nkey = sys.stdin.readline().strip()\n" + textwrap.dedent(script))
        monkeypatch.setattr(embedded, "_SCRIPT", path)
        monkeypatch.setattr(embedded, "_ENGINE", "json")

    return install


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for_text(path):
    while not path.exists() or not path.read_text():
        time.sleep(0.01)


def gone_within(pid, seconds):
    deadline = time.monotonic() + seconds
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not is_running(pid)


def test_the_server_is_asked_with_a_key_of_its_own_and_ended_and_reaped(engine):
    async def run():
        model = await EmbeddedModel.start(Path("some.gguf"))
        pid = model._process.pid
        reply = await model.reply(make_prompt(), SAMPLING)
        await model.close()
        await model.close()
        return reply, pid

    with FakeOpenAI.scripted(completion("one():\n")) as fake:
        engine(READY.replace("URL", fake.url) + "sys.stdin.read()")
        reply, pid = asyncio.run(run())
    assert reply.text == PREFILL + "one():\n"
    assert reply.model == "some"
    assert len(fake.requests[0].headers["authorization"]) > len("Bearer ") + 24
    assert not is_running(pid)


def test_the_server_gets_the_environment_that_is_given_and_no_secret(engine, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    engine("print(sorted(name for name in os.environ if name != 'LC_CTYPE'), file=sys.stderr)")
    with pytest.raises(ModelError, match=r"\['ONLY'\]"):
        asyncio.run(EmbeddedModel.start(Path("some.gguf"), env={"ONLY": "1"}))


def test_an_adapter_goes_to_the_server_and_stands_in_what_is_said_of_a_failure(engine):
    engine("print(sys.argv[1:4], file=sys.stderr)")
    with pytest.raises(
        ModelError, match=r"some\.gguf with the adapter a\.gguf .*\['some.gguf', '--adapter', 'a.gguf'\]"
    ):
        asyncio.run(EmbeddedModel.start(Path("some.gguf"), adapter=Path("a.gguf")))


def test_a_mixture_is_served_by_transformers(tmp_path, monkeypatch):
    monkeypatch.setattr(embedded, "_TUNED_ENGINE", ("json",))
    monkeypatch.setattr(embedded, "_TUNED_SERVER", "json.tool")
    with pytest.raises(ModelError, match=r"with the adapter .*: python -m json\.tool: error: .*some\.gguf"):
        asyncio.run(EmbeddedModel.start(Path("some.gguf"), adapter=tmp_path))
    monkeypatch.setattr(embedded, "_TUNED_ENGINE", ("no_such_engine",))
    with pytest.raises(ModelError, match=r"computed with transformers: pip install 'llm-testgen\[tune\]'"):
        asyncio.run(EmbeddedModel.start(Path("some.gguf"), adapter=tmp_path))


def test_the_peak_of_memory_is_the_servers(engine):
    async def run():
        model = await EmbeddedModel.start(Path("some.gguf"))
        try:
            return model.peak_memory()
        finally:
            await model.close()

    engine("held = bytes(range(256)) * 400_000\n" + READY.replace("URL", "http://127.0.0.1:9") + "sys.stdin.read()")
    peak = asyncio.run(run())
    assert peak is None or 100_000_000 < peak < 400_000_000


def test_a_missing_engine_is_an_error_that_says_what_to_install(monkeypatch):
    monkeypatch.setattr(embedded, "_ENGINE", "no_such_engine")
    with pytest.raises(ModelError, match=r"pip install 'llm-testgen\[local\]'"):
        asyncio.run(EmbeddedModel.start(Path("some.gguf")))


def test_a_server_that_ends_before_it_is_ready_is_an_error_with_its_last_words(engine):
    engine("print('cannot load: bad magic\\n\\n', file=sys.stderr)")
    with pytest.raises(ModelError, match=r"some\.gguf cannot be served: cannot load: bad magic$"):
        asyncio.run(EmbeddedModel.start(Path("some.gguf")))


def test_a_server_that_says_something_else_than_its_address_is_an_error(engine):
    engine("print('hello', flush=True); sys.stdin.read()")
    with pytest.raises(ModelError, match="it said nothing"):
        asyncio.run(EmbeddedModel.start(Path("some.gguf")))


def test_a_server_that_does_not_get_ready_is_ended(engine, tmp_path):
    engine(f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); sys.stdin.read()")
    with pytest.raises(ModelError, match=r"not ready within 0\.5 s"):
        asyncio.run(EmbeddedModel.start(Path("some.gguf"), serving=Serving(startup_timeout=0.5)))
    assert not is_running(int((tmp_path / "pid").read_text()))


def test_a_cancelled_start_leaves_no_server(engine, tmp_path):
    async def run():
        task = asyncio.create_task(EmbeddedModel.start(Path("some.gguf")))
        await asyncio.sleep(0)
        await asyncio.to_thread(wait_for_text, tmp_path / "pid")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    engine(f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); sys.stdin.read()")
    asyncio.run(run())
    assert not is_running(int((tmp_path / "pid").read_text()))


def test_a_server_that_does_not_end_when_asked_is_killed(engine, monkeypatch):
    async def run():
        model = await EmbeddedModel.start(Path("some.gguf"))
        started = time.monotonic()
        await model.close()
        return model._process.returncode, time.monotonic() - started

    monkeypatch.setattr(embedded, "_GRACE", 0.2)
    engine(
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        + READY.replace("URL", "http://127.0.0.1:9")
        + "time.sleep(60)"
    )
    code, seconds = asyncio.run(run())
    assert code == -signal.SIGKILL
    assert seconds < 5


def test_a_server_that_dies_is_an_error_with_its_last_words(engine):
    async def run():
        model = await EmbeddedModel.start(Path("some.gguf"))
        model._process.wait()
        try:
            await model.reply(make_prompt(), SAMPLING)
        finally:
            await model.close()

    engine(READY.replace("URL", "http://127.0.0.1:9") + "print('out of memory', file=sys.stderr); sys.exit(3)")
    with pytest.raises(ModelError, match=r"ended with exit code 3; its last words: out of memory$"):
        asyncio.run(run())


def test_there_is_at_least_one_core_and_no_more_than_processors():
    assert 1 <= physical_cores() <= (os.cpu_count() or 1)


@pytest.fixture(scope="module")
def tiny():
    pytest.importorskip("xllamacpp")
    model = find("smollm2-135m-instruct")
    return ensure(model, cache_folder(os.environ), lambda *_: None)


@pytest.mark.model
def test_a_real_model_continues_the_prefill_and_says_the_same_twice(tiny):
    async def run():
        model = await EmbeddedModel.start(tiny, name="tiny", serving=Serving(context_tokens=1024))
        try:
            return [await model.reply(make_prompt(), SAMPLING) for _ in range(2)]
        finally:
            await model.close()

    first, again = asyncio.run(run())
    assert first.text == again.text
    assert first.text.startswith(PREFILL)
    assert first.text.count("import pytest") == 1
    assert first.usage.tokens_in > 20
    assert 0 < first.usage.tokens_out <= 48
    assert "\n```" not in first.text.removeprefix(PREFILL)


@pytest.mark.model
def test_a_prompt_beyond_the_context_is_an_error_of_one_line(tiny):
    async def run():
        model = await EmbeddedModel.start(tiny, serving=Serving(context_tokens=512))
        try:
            await model.reply(make_prompt(text="word " * 3000), SAMPLING)
        finally:
            await model.close()

    with pytest.raises(ModelError, match="context") as caught:
        asyncio.run(run())
    assert "\n" not in str(caught.value)


@pytest.mark.model
def test_a_file_that_is_no_model_is_an_error(tmp_path):
    pytest.importorskip("xllamacpp")
    (tmp_path / "bad.gguf").write_bytes(b"not a model")
    with pytest.raises(ModelError, match=r"bad\.gguf cannot be served"):
        asyncio.run(EmbeddedModel.start(tmp_path / "bad.gguf"))


@pytest.fixture(scope="module")
def made_adapter(tmp_path_factory):
    """Writes a LoRA adapter for the tiny model's first layer, as strong as it is told."""
    gguf = pytest.importorskip("gguf")
    np = pytest.importorskip("numpy")

    def make(strength, width=576):
        path = tmp_path_factory.mktemp("adapter") / f"by-{strength}-{width}.gguf"
        writer = gguf.GGUFWriter(path, "llama")
        writer.add_type("adapter")
        writer.add_string("adapter.type", "lora")
        writer.add_float32("adapter.lora.alpha", 4.0)
        draw = np.random.default_rng(0).standard_normal
        writer.add_tensor("blk.0.attn_q.weight.lora_a", draw((4, width)).astype(np.float32))
        writer.add_tensor("blk.0.attn_q.weight.lora_b", (strength * draw((576, 4))).astype(np.float32))
        for step in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file):
            step()
        writer.close()
        return path

    return make


@pytest.mark.model
def test_a_real_adapter_changes_what_a_real_model_says_unless_it_is_zero(tiny, made_adapter):
    async def run(adapter):
        model = await EmbeddedModel.start(tiny, serving=Serving(context_tokens=1024), adapter=adapter)
        try:
            return (await model.reply(make_prompt(), SAMPLING)).text
        finally:
            await model.close()

    plain = asyncio.run(run(None))
    assert asyncio.run(run(made_adapter(0.0))) == plain
    assert asyncio.run(run(made_adapter(5.0))) != plain


@pytest.mark.model
def test_an_adapter_of_another_model_is_an_error_that_says_so(tiny, made_adapter):
    with pytest.raises(ModelError, match=r"by-1\.0-32\.gguf cannot be served: .*lora adapter.*shape.*base model"):
        asyncio.run(EmbeddedModel.start(tiny, adapter=made_adapter(1.0, width=32)))


@pytest.mark.model
def test_the_real_server_ends_with_a_parent_that_is_killed(tiny):
    script = f"""
        import asyncio, sys
        from pathlib import Path
        from llm_testgen.edges.embedded import EmbeddedModel
        async def run():
            model = await EmbeddedModel.start(Path({str(tiny)!r}))
            print(model._process.pid, flush=True)
            await asyncio.sleep(60)
        asyncio.run(run())
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as parent:
        pid = int(parent.stdout.readline())
        assert is_running(pid)
        parent.kill()
        parent.wait()
    assert gone_within(pid, 5)


@pytest.mark.parametrize(("said", "threads"), [(None, None), ("", None), ("3", 3), (" 1 ", 1)])
def test_threads_are_as_many_as_the_environment_says(said, threads):
    environ = {} if said is None else {"LLM_TESTGEN_THREADS": said}
    assert Serving.by(environ) == Serving(threads=threads)


@pytest.mark.parametrize("said", ["0", "-1", "two", "1.5", "99999", "²"])
def test_what_is_no_number_of_threads_is_refused(said):
    with pytest.raises(UsageError, match="make it a number of threads"):
        Serving.by({"LLM_TESTGEN_THREADS": said})
