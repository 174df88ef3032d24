"""State in checkpoints says its version, and another version is refused."""

from dataclasses import dataclass

import pytest

from sightflow.errors import JobError
from sightflow.records.state import StateCodec


@dataclass(frozen=True)
class Count:
    n: int = 0
    version: int = 3


def test_a_state_is_the_same_after_a_checkpoint():
    codec = StateCodec(Count, "count")

    assert codec.decode(codec.encode(Count(7))) == Count(7)


def test_a_state_of_another_version_is_refused():
    codec = StateCodec(Count, "count")

    with pytest.raises(JobError, match="checkpoint's count must be of version 3; got 2; start"):
        codec.decode(codec.encode(Count(7, version=2)))
