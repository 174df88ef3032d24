"""Ctrl-C is noted so often as asked, and then it interrupts."""

import signal
import threading

import pytest

from sightflow.engine.interrupts import noticing_interrupts, take_sigterm


@pytest.fixture(autouse=True)
def python_handles_ctrl_c():
    """Let Ctrl-C interrupt, also where a shell started the tests in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler, "it was put back"
    signal.signal(signal.SIGINT, before)


def test_without_patience_the_first_interrupts():
    with pytest.raises(KeyboardInterrupt), noticing_interrupts():
        signal.raise_signal(signal.SIGINT)


def test_with_patience_the_first_is_noted_and_the_second_interrupts():
    with noticing_interrupts(patience=1) as interrupts:
        assert not interrupts.came
        signal.raise_signal(signal.SIGINT)
        assert interrupts.came
        interrupts.check()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_one_that_a_finalizer_swallowed_is_found_by_a_check():
    class Finalized:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    with noticing_interrupts() as interrupts:
        Finalized()
        with pytest.raises(KeyboardInterrupt):
            interrupts.check()


def test_a_handler_of_the_callers_own_stays():
    came = []
    signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    with noticing_interrupts() as interrupts:
        signal.raise_signal(signal.SIGINT)
    assert came == [signal.SIGINT]
    assert not interrupts.came
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_another_thread_notices_nothing():
    seen = []

    def work():
        with noticing_interrupts() as interrupts:
            seen.append(interrupts.came)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]


def test_sigterm_is_noted_as_well_where_it_is_taken_as_ctrl_c_also_where_that_is_ignored():
    before = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell does with jobs in the background
    try:
        take_sigterm()
        with noticing_interrupts(patience=1) as interrupts:
            signal.raise_signal(signal.SIGINT)
            assert not interrupts.came
            signal.raise_signal(signal.SIGTERM)
            assert interrupts.came
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
        signal.signal(signal.SIGINT, signal.default_int_handler)
