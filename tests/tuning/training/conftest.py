from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    torch = pytest.importorskip("torch")
    pytest.importorskip("peft")
    pytest.importorskip("accelerate")
    from tests.tuning.training.tiny import save_model  # noqa: PLC0415 - it needs torch

    # Several threads on matrices this small only wait for each other.
    torch.set_num_threads(1)
    return save_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    from tests.tuning.training.tiny import save_data  # noqa: PLC0415

    return save_data(tmp_path_factory.mktemp("data"))
