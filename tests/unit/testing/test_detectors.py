"""The check of detectors passes what keeps its promises and finds what does not."""

from dataclasses import dataclass
from math import isfinite
from typing import ClassVar

import pytest

from sightflow.errors import MetricsError
from sightflow.metrics.drift import Adwin
from sightflow.testing import check_detector


@dataclass(frozen=True)
class InARow:
    """Tells that twenty values in a row were 1; it may break one promise."""

    breaks: str = ""
    detector: ClassVar[str] = "in_a_row"

    def open(self, state=None):
        return _InARow(self.breaks, 0 if self.breaks == "forgets" else (state or [[0]])[0][0])


class _InARow:
    n, mean = 0, 0.0

    def __init__(self, breaks: str, length: int) -> None:
        self._breaks, self._length = breaks, length

    def update(self, value: float) -> bool:
        if not isfinite(value) and self._breaks != "takes anything":
            raise MetricsError("values are finite")
        self._length = self._length + 1 if value == 1 else 0
        enough = {"sleeps": 10_000, "is nervous": 2}.get(self._breaks, 20)
        return self._length >= enough

    def state(self):
        return [[self._length]]


def test_a_detector_that_keeps_its_promises_passes() -> None:
    assert 20 <= check_detector(InARow()) < 400
    assert check_detector(Adwin()) < 100


@pytest.mark.parametrize(
    ("breaks", "message"),
    [
        ("sleeps", "must notice a large change"),
        ("is nervous", "gave an alarm before the change"),
        ("forgets", "a restart must not change what"),
        ("takes anything", "must refuse nan with a MetricsError"),
    ],
)
def test_a_broken_promise_is_found(breaks: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_detector(InARow(breaks))


def test_what_is_no_detector_is_found() -> None:
    with pytest.raises(AssertionError, match="needs `detector`, its name, and `open`"):
        check_detector(object())  # type: ignore[arg-type]
