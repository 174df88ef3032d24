"""Loaded models are shared by all who want the same one, and let go with the last of them."""

import gc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from sightflow.models.batching import MicroBatcher
from sightflow.models.shared import load_shared
from sightflow.protocols import Inference


class Counting:
    """A back end that counts how often it loads and what it was called with."""

    def __init__(self, gains=False):
        self.gains = gains
        self.n_loaded = 0
        self.shapes = []

    def load(self, path, card, inference):
        self.n_loaded += 1

        def model(batch):
            self.shapes.append(batch.shape)
            return {"scores": batch.mean(axis=(2, 3))}

        model.gains_from_batches = self.gains
        return model


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "net.bin"
    file.write_bytes(b"weights")
    return str(file)


def test_workers_that_start_together_share_one_model(path, make_card):
    backend, card = Counting(), make_card()
    with ThreadPoolExecutor(8) as pool:
        models = list(pool.map(lambda _: load_shared(backend, path, card, Inference()), range(8)))

    assert backend.n_loaded == 1
    assert len({id(model) for model in models}) == 1


def test_a_model_is_let_go_with_its_last_user(path, make_card):
    backend, card = Counting(), make_card()
    for _ in range(2):
        model = load_shared(backend, path, card, Inference())
        del model
        gc.collect()

    assert backend.n_loaded == 2


def test_another_file_card_or_way_to_run_is_another_model(path, make_card, tmp_path):
    backend, card = Counting(), make_card()
    models = [
        load_shared(backend, path, card, Inference()),
        load_shared(backend, path, card, Inference(n_threads=2)),
        load_shared(backend, path, make_card(input_name="x"), Inference()),
        load_shared(backend, path, replace(card, fp16=True), Inference()),
    ]
    (tmp_path / "net.bin").write_bytes(b"newer weights")
    models.append(load_shared(backend, path, card, Inference()))

    assert backend.n_loaded == len(models) == 5


def test_a_model_is_warmed_up_with_a_prepared_picture_before_it_is_handed_out(path, make_card):
    backend = Counting()

    load_shared(backend, path, make_card(), Inference())

    assert backend.shapes == [(1, 3, 8, 8)]


def test_a_model_that_gains_from_batches_merges_calls_and_is_warmed_up_for_both_sizes(
    path, make_card
):
    backend = Counting(gains=True)

    model = load_shared(backend, path, make_card(), Inference(max_batch=16))

    assert isinstance(model, MicroBatcher)
    assert backend.shapes == [(1, 3, 8, 8), (16, 3, 8, 8)]
    assert model(np.ones((2, 3, 8, 8), np.float32))["scores"].shape == (2, 3)


def test_on_a_cpu_calls_are_merged_when_a_wait_is_asked_for(path, make_card):
    model = load_shared(Counting(), path, make_card(), Inference(max_wait_ms=1.0))

    assert isinstance(model, MicroBatcher)


def test_a_back_end_may_return_a_method(path, make_card):
    class Backend:
        def load(self, path, card, inference):
            return self.answer

        def answer(self, batch):
            return {"scores": batch.mean(axis=(2, 3))}

    models = [load_shared(Backend(), path, make_card(), Inference()) for _ in range(2)]
    gc.collect()

    assert models[0] is models[1]
    assert models[0](np.ones((2, 3, 8, 8), np.float32))["scores"].shape == (2, 3)
