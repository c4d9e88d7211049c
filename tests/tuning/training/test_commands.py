from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from llm_testgen.cli import main

pytest.importorskip("torch")
pytest.importorskip("peft")
pytest.importorskip("accelerate")
pytest.importorskip("gguf")

from tests.tuning.quantising.tiny import llama_cpp_answers, transformers_answers
from tests.tuning.training.tiny import QUICK

from llm_testgen.tuning.training import commands
from llm_testgen.tuning.training.watching import Told

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
BOT = Path(__file__).parents[3] / "bot"


def options(**changes):
    given = QUICK | {"steps": 2} | changes
    return [word for name, value in given.items() for word in (f"--{name.replace('_', '-')}", str(value))]


def invoke(*words):
    return CliRunner().invoke(main, ["tune", *map(str, words)], catch_exceptions=False)


def test_an_adapter_is_trained_told_and_written_for_llama_cpp_from_a_gguf_file(model, data, tmp_path):
    base = tmp_path / "base.gguf"
    made = CliRunner().invoke(main, ["quantize", "export", str(model), "--type", "f16", "--out", str(base)])
    assert made.exit_code == 0, made.output
    out = tmp_path / "out"
    done = invoke("lora", base, "--data", data, "--out", out, "--export-gguf", *options())
    assert done.exit_code == 0, done.output
    assert "10 examples of 780 tokens to learn from, 3 to evaluate" in done.output
    assert "all steps were taken: 2 steps in" in done.output
    assert "step 2: loss" in done.stderr
    settings = json.loads((out / "adapter_config.json").read_text())
    assert settings["base_model_name_or_path"] == str(base)
    merged = tmp_path / "merged"
    done = invoke("merge", out, "--out", merged, "--gguf", tmp_path / "merged.gguf", "--type", "f32")
    assert done.exit_code == 0, done.output
    # What is to be written at the end is looked at before the merge, which takes long.
    refused = invoke("merge", out, "--out", tmp_path / "again", "--gguf", tmp_path / "gone" / "m.gguf")
    assert (refused.exit_code, (tmp_path / "again").exists()) == (2, False)
    assert "is not there: make it, or pass another --gguf" in " ".join(refused.output.split())
    text = "def test_add():"
    expected = llama_cpp_answers(tmp_path / "merged.gguf", text, 300)
    served = llama_cpp_answers(base, text, 300, adapter=out / "adapter.gguf")
    assert expected["tokens"] == served["tokens"]
    assert served["logprobs"] == pytest.approx(expected["logprobs"], abs=0.05)
    transformers = pytest.importorskip("transformers")
    own = transformers_answers(transformers.AutoModelForCausalLM.from_pretrained(merged), expected["tokens"])
    assert expected["logprobs"] == pytest.approx(own.tolist(), abs=0.01)


def test_a_mixture_of_two_adapters_is_trained(model, data, tmp_path):
    for seed in (1, 2):
        invoke("lora", model, "--data", data, "--out", tmp_path / str(seed), *options(seed=seed))
    experts = ["--adapter", tmp_path / "1", "--adapter", tmp_path / "2"]
    done = invoke("mole", model, *experts, "--data", data, "--out", tmp_path / "mole", *options())
    assert done.exit_code == 0, done.output
    assert (tmp_path / "mole" / "mixture.json").is_file()
    refused = invoke("merge", tmp_path / "mole", "--out", tmp_path / "merged")
    assert refused.exit_code == 2
    assert "is a mixture of LoRA experts" in refused.output


def test_an_adaptive_mixture_is_trained(model, data, tmp_path):
    done = invoke(
        "adamole",
        model,
        "--data",
        data,
        "--out",
        tmp_path / "out",
        "--experts",
        2,
        "--targets",
        "q_proj, v_proj",
        *options(),
    )
    assert done.exit_code == 0, done.output
    card = json.loads((tmp_path / "out" / "mixture.json").read_text())
    assert card["adamole"]["target_modules"] == ["q_proj", "v_proj"]


def test_a_loss_is_told_once_there_is_one():
    assert commands._figures(Told(4, 8, None, 2.0, better=True, left=None)) == "validation 2.000 (the best)"
    assert commands._figures(Told(4, 8, 1.0, None, better=False, left=90.0)) == "loss 1.000, 2 min left"


def test_ctrl_c_keeps_a_checkpoint_and_says_what_to_type(model, data, tmp_path):
    out = tmp_path / "out"
    words = ["tune", "lora", str(model), "--data", str(data), "--out", str(out), *options(steps=100_000)]
    running = subprocess.Popen(
        [sys.executable, "-m", "llm_testgen", *words],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"PYTHONPATH": str(BOT), "OMP_NUM_THREADS": "1"},
    )
    deadline = time.monotonic() + 100
    while not (out / "metrics.jsonl").is_file() or len((out / "metrics.jsonl").read_text().splitlines()) < 4:
        assert time.monotonic() < deadline
        assert running.poll() is None, running.stderr.read()
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130, said
    assert "this step is finished and saved; Ctrl-C once more ends at once" in said
    assert f"to go on, type: llm-testgen tune lora {model} --data {data} --out {out} " in said
    assert said.split("to go on, type: ")[1].split("\n")[0].endswith(" --resume")
    assert list((out / "checkpoints").glob("checkpoint-*/progress.json"))


def test_what_to_type_asks_to_go_on_once(monkeypatch):
    for more in ([], ["--resume"]):
        monkeypatch.setattr(sys, "argv", ["/bin/llm-testgen", "tune", "lora", *more, "a model"])
        assert commands._again() == "llm-testgen tune lora 'a model' --resume"


def test_what_is_missing_or_unknown_is_told(model, data, tmp_path, monkeypatch):
    unknown = invoke("lora", model, "--data", data, "--out", tmp_path / "out", "--preset", "fast")
    assert unknown.exit_code == 2
    assert "'fast' is not one of 'thesis', 'cpu'" in unknown.output
    none = invoke("lora", tmp_path / "none", "--data", data, "--out", tmp_path / "out", *options())
    assert none.exit_code == 2
    assert "none is no GGUF file, and transformers loads no model from it or the hub" in none.output
    monkeypatch.setitem(sys.modules, "peft", None)
    without = invoke("lora", model, "--data", data, "--out", tmp_path / "out")
    assert without.exit_code == 2
    assert "this needs peft, which comes with an extra: pip install 'llm-testgen[tune]'" in without.output
    assert not (tmp_path / "out").exists()
