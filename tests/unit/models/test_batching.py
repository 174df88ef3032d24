"""The micro-batcher: every caller gets its own answers, however calls are merged."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from sightflow.errors import ModelError
from sightflow.models.batching import MicroBatcher


class Recorder:
    """A model that doubles its input, slowly, and remembers how many images came at once."""

    def __init__(self, seconds=0.02):
        self.seconds = seconds
        self.sizes = []
        self.running = 0

    def __call__(self, batch):
        self.running += 1
        assert self.running == 1, "one call at a time"
        time.sleep(self.seconds)
        self.sizes.append(len(batch))
        self.running -= 1
        if (batch < 0).any():
            raise ArithmeticError("negative")
        return {"doubled": batch * 2}


def call_from_threads(model, batches):
    """Call a model with all batches at the same moment; return results or errors in order."""
    barrier = threading.Barrier(len(batches))

    def call(batch):
        barrier.wait()
        try:
            return model(np.array(batch))["doubled"].tolist()
        except ArithmeticError as error:
            return error

    with ThreadPoolExecutor(len(batches)) as pool:
        return list(pool.map(call, batches))


def test_every_caller_gets_the_answers_for_its_own_images():
    model = Recorder()
    batches = [[i, 10 * i] for i in range(40)]

    answers = call_from_threads(MicroBatcher(model, max_batch=8, max_wait_ms=5), batches)

    assert answers == [[2 * i, 20 * i] for i in range(40)]
    assert sum(model.sizes) == 80
    assert max(model.sizes) <= 8
    assert len(model.sizes) < 40, "calls were merged"


def test_calls_that_come_while_the_model_is_busy_go_together_without_waiting():
    model = Recorder(seconds=0.1)

    call_from_threads(MicroBatcher(model, max_batch=32, max_wait_ms=0), [[i] for i in range(9)])

    assert len(model.sizes) <= 3


def test_a_full_batch_does_not_wait_for_more():
    started = time.monotonic()

    call_from_threads(MicroBatcher(Recorder(seconds=0), max_batch=4, max_wait_ms=60_000), [[1]] * 4)

    assert time.monotonic() - started < 10


def test_a_single_call_is_answered_when_its_wait_is_over():
    model = Recorder(seconds=0)

    assert call_from_threads(MicroBatcher(model, max_batch=4, max_wait_ms=30), [[3]]) == [[6]]
    assert model.sizes == [1]


def test_a_call_that_is_larger_than_a_batch_stays_whole():
    model = Recorder(seconds=0)

    (answer,) = call_from_threads(MicroBatcher(model, max_batch=2, max_wait_ms=0), [[1, 2, 3]])

    assert answer == [2, 4, 6]
    assert model.sizes == [3]


def test_an_error_of_the_model_reaches_all_whose_images_it_had_and_the_next_call_works():
    batcher = MicroBatcher(Recorder(seconds=0.05), max_batch=8, max_wait_ms=200)

    failed = call_from_threads(batcher, [[-1], [2]])

    assert [str(error) for error in failed] == ["negative", "negative"]
    assert call_from_threads(batcher, [[2]]) == [[4]]


@pytest.mark.parametrize("max_wait_ms", [0, 1])
def test_nothing_is_lost_under_load(max_wait_ms):
    batcher = MicroBatcher(Recorder(seconds=0.0005), max_batch=5, max_wait_ms=max_wait_ms)

    def worker(number):
        for i in range(60):
            batch = np.array([number, i])
            assert (batcher(batch)["doubled"] == batch * 2).all()
        return number

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(worker, range(8))) == list(range(8))


def test_a_ctrl_c_inside_the_model_leaves_a_batcher_that_works():
    interrupts = [KeyboardInterrupt()]

    def model(batch):
        if interrupts:
            raise interrupts.pop()
        return {"doubled": batch * 2}

    batcher = MicroBatcher(model, max_batch=4, max_wait_ms=0)
    with pytest.raises(KeyboardInterrupt):
        batcher(np.array([1]))

    assert batcher(np.array([2]))["doubled"] == [4]


def test_an_output_without_a_row_for_each_image_is_refused_when_calls_are_merged():
    def model(batch):
        return {"boxes": np.zeros((7, 4))}

    batcher = MicroBatcher(model, max_batch=4, max_wait_ms=500)
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(batcher, np.zeros(2)) for _ in range(2)]
    for call in calls:
        with pytest.raises(ModelError, match=r"output 'boxes' must have a row for each of 4 im"):
            call.result()
