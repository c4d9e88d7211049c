import asyncio
import hashlib
import json
import os
from pathlib import Path

import pytest

from llm_testgen.edges import local, weights
from llm_testgen.edges.local import LocalModel, find_local, is_file_name, is_model_folder, open_local
from llm_testgen.edges.weights import Weights
from llm_testgen.errors import UsageError

TINY = Weights("tiny", "tiny-q4.gguf", 7, hashlib.sha256(b"weights").hexdigest(), "MIT", None, ())
OTHER = Weights("other", "other-q4.gguf", 7, hashlib.sha256(b"weights").hexdigest(), "MIT", None, ())


@pytest.fixture(autouse=True)
def _tables(monkeypatch):
    monkeypatch.setattr(weights, "EMBEDDED_MODELS", (TINY, OTHER))
    monkeypatch.setattr(weights, "DEFAULT_MODEL", TINY)


def gguf(path: Path, content: bytes = b"v3") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"GGUF" + content)
    return path


def lora(folder: Path, base: str = "", *, made: bool = True) -> Path:
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base}))
    (folder / "adapter_model.safetensors").write_bytes(b"matrices")
    if made:
        gguf(folder / "adapter.gguf")
    return folder


def mixture(folder: Path, base: str = "") -> Path:
    (folder / "experts" / "one").mkdir(parents=True)
    (folder / "experts" / "one" / "adapter_model.safetensors").write_bytes(b"matrices")
    (folder / "mixture.json").write_text(json.dumps({"base_model": base}))
    return folder


def saved(folder: Path, content: bytes = b"weights of it", suffix: str = ".safetensors") -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / f"model{suffix}").write_bytes(content)
    return folder


def test_no_name_means_the_default_and_a_known_name_that_model_in_any_case(tmp_path):
    assert find_local(None) == LocalModel("tiny", TINY)
    assert find_local("OTHER") == LocalModel("other", OTHER)
    assert find_local("Qwen/Qwen2.5-Coder-32B-Instruct") is None
    assert find_local("served-elsewhere", gguf(tmp_path / "a.gguf")) is None


def test_a_file_is_named_after_itself_and_what_it_holds(tmp_path):
    first = find_local(str(gguf(tmp_path / "mine.gguf")))
    assert first.base == tmp_path / "mine.gguf"
    assert first.name.startswith("mine-")
    assert len(first.name) == len("mine-") + 8
    gguf(tmp_path / "mine.gguf", b"v3, tuned again")
    again = find_local(str(tmp_path / "mine.gguf"))
    assert again.name != first.name
    assert find_local(str(gguf(tmp_path / "copy" / "mine.gguf", b"v3, tuned again"))).name == again.name


def test_an_adapter_is_a_file_or_the_one_in_its_folder(tmp_path):
    file = gguf(tmp_path / "tuned.gguf")
    found = find_local("other", file)
    assert (found.base, found.adapter) == (OTHER, file)
    assert found.name.startswith("other+tuned-")
    folder = lora(tmp_path / "run1")
    found = find_local("other", folder)
    assert found.adapter == folder / "adapter.gguf"
    assert found.name.startswith("other+run1-")


def test_without_a_model_an_adapter_goes_onto_the_one_that_it_was_trained_on(tmp_path):
    own = gguf(tmp_path / "own.gguf")
    # The file of an embedded model, in a place of another machine.
    assert find_local(None, lora(tmp_path / "a", "/elsewhere/other-q4.gguf")).base == OTHER
    assert find_local(None, lora(tmp_path / "b", str(own))).base == own
    assert find_local(None, lora(tmp_path / "c", "other")).base == OTHER
    assert find_local(None, gguf(tmp_path / "d.gguf")).base == TINY
    assert find_local("tiny", lora(tmp_path / "e", "other")).base == TINY


@pytest.mark.parametrize(("said", "named"), [("org/model", "org/model"), ("", "does not name"), (3, "does not name")])
def test_an_adapter_of_a_model_that_is_not_here_asks_for_it(tmp_path, said, named):
    with pytest.raises(UsageError, match=rf"{named}.*pass --model"):
        find_local(None, lora(tmp_path / "a", said))


def test_a_mixture_is_served_from_its_folder(tmp_path):
    folder = mixture(tmp_path / "mole", "other")
    found = find_local(None, folder)
    assert (found.base, found.adapter) == (OTHER, folder)
    (folder / "experts" / "one" / "adapter_model.safetensors").write_bytes(b"trained on")
    assert find_local(None, folder).name != found.name
    base = tmp_path / "base"
    base.mkdir()
    (base / "model.safetensors").write_bytes(b"weights of it")
    assert find_local(None, mixture(tmp_path / "mixed", str(base))).base == base


def test_a_mixture_is_put_on_a_folder_of_transformers_that_is_named(tmp_path):
    folder, base = mixture(tmp_path / "mole", "org/model"), saved(tmp_path / "base")
    found = find_local(str(base), folder)
    assert (found.base, found.adapter) == (base, folder)
    assert found.name.startswith("base-")
    assert found.size == find_local("tiny", folder).size - TINY.size + len(b"weights of it") + len("{}")
    (tmp_path / "empty").mkdir()
    for model, adapter in ((base, lora(tmp_path / "one")), (tmp_path / "empty", folder), ("org/model", folder)):
        assert find_local(str(model), adapter) is None
    assert find_local(str(base)) is None


def test_a_mixture_of_a_model_that_is_not_here_asks_for_its_file_or_folder(tmp_path):
    with pytest.raises(UsageError, match=r"is for org/model: pass --model that one's GGUF file, or a folder"):
        find_local(None, mixture(tmp_path / "mole", "org/model"))


def test_what_transformers_does_not_load_of_a_folder_is_no_part_of_the_model(tmp_path):
    folder, base = mixture(tmp_path / "mole"), saved(tmp_path / "base")
    found = find_local(str(base), folder)
    saved(base / "checkpoint-9")
    (base / "pytorch_model.bin").write_bytes(b"the same weights again")
    assert find_local(str(base), folder) == found
    (base / "model.safetensors").write_bytes(b"others")
    assert find_local(str(base), folder).name != found.name


def test_the_older_form_of_weights_counts_where_there_is_no_newer_one(tmp_path):
    folder = mixture(tmp_path / "mole")
    found = [find_local(str(saved(tmp_path / word / "base", word.encode(), ".bin")), folder) for word in ("a", "bcd")]
    assert found[0].name != found[1].name
    assert found[1].size - found[0].size == 2


def test_a_folder_of_transformers_is_told_by_its_configuration(tmp_path):
    assert is_model_folder(str(saved(tmp_path / "base")))
    assert not is_model_folder(str(mixture(tmp_path / "mole")))
    assert not is_model_folder("org/model")


def test_what_training_left_beside_a_mixture_is_no_part_of_it(tmp_path):
    folder = mixture(tmp_path / "mole", "other")
    found = find_local(None, folder)
    size = found.size
    (folder / "checkpoints" / "checkpoint-9").mkdir(parents=True)
    for left in ("checkpoints/best.safetensors", "checkpoints/checkpoint-9/progress.json", "training.json"):
        (folder / left).write_text("{}")
    assert (find_local(None, folder).name, found.size) == (found.name, size)
    (folder / "gates.safetensors").write_bytes(b"gates")
    assert find_local(None, folder).name != found.name
    assert found.size == size + len(b"gates")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path, r"cannot be read \(No such file.*pass --adapter"),
        (lambda path: (path.write_bytes(b"PK"), path)[1], "is no GGUF file"),
        (lambda path: (path.mkdir(), path)[1], "holds no adapter"),
        (lambda path: lora(path, made=False), r"no GGUF file yet.*`llm-testgen quantize export \S+ --base MODEL"),
    ],
)
def test_what_is_no_adapter_is_refused_with_what_to_do(tmp_path, make, said):
    with pytest.raises(UsageError, match=said):
        find_local("tiny", make(tmp_path / "adapter"))


def test_a_file_that_is_older_than_the_adapter_beside_it_is_not_served(tmp_path):
    folder = lora(tmp_path / "run1")
    written = (folder / "adapter_model.safetensors").stat().st_mtime
    os.utime(folder / "adapter.gguf", (written - 10, written - 10))
    assert find_local("tiny", folder).adapter == folder / "adapter.gguf"  # as a checkout may leave them
    os.utime(folder / "adapter.gguf", (1, 1))
    with pytest.raises(UsageError, match=r"older than the adapter.*--force"):
        find_local("tiny", folder)


@pytest.mark.parametrize("content", [None, b"PK\x03\x04", b""])
def test_a_model_file_that_is_none_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "m.gguf").write_bytes(content)
    with pytest.raises(UsageError, match=r"m\.gguf (cannot be read|is no GGUF file)"):
        find_local(str(tmp_path / "m.gguf"))


def test_sizes_are_those_of_all_files(tmp_path):
    assert find_local("tiny").size == 7
    assert find_local("tiny", gguf(tmp_path / "a.gguf")).size == 7 + 6
    folder = mixture(tmp_path / "mole")
    assert find_local("tiny", folder).size == 7 + len(b"matrices") + (folder / "mixture.json").stat().st_size


def test_it_is_started_with_its_adapter_and_without_secrets(tmp_path, monkeypatch):
    calls = []

    class Started:
        @staticmethod
        async def start(path, **how):
            calls.append((path, how))

    monkeypatch.setattr(local, "EmbeddedModel", Started)
    model = find_local(str(gguf(tmp_path / "m.gguf")), gguf(tmp_path / "a.gguf"))
    environ = {"PATH": "/bin", "HF_TOKEN": "hf_secret", "LLM_TESTGEN_THREADS": "3"}
    asyncio.run(open_local(model, environ, lambda *_: None))
    ((path, how),) = calls
    assert path == tmp_path / "m.gguf"
    assert how["adapter"] == tmp_path / "a.gguf"
    assert how["name"] == model.name
    assert how["env"] == {"PATH": "/bin"}
    assert how["serving"].threads == 3


def test_a_folder_is_started_with_its_mixture(tmp_path, monkeypatch):
    calls = []

    class Started:
        @staticmethod
        async def start(path, **how):
            calls.append((path, how["adapter"]))

    monkeypatch.setattr(local, "EmbeddedModel", Started)
    base, folder = saved(tmp_path / "base"), mixture(tmp_path / "mole")
    asyncio.run(open_local(find_local(str(base), folder), {}, lambda *_: None))
    assert calls == [(base, folder)]


def test_file_names_are_told_by_their_end():
    assert is_file_name("models/Some.GGUF")
    assert not is_file_name("org/some-gguf")
