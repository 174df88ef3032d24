"""State in checkpoints says its version, and another version is refused."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import pytest

from sightflow.errors import JobError
from sightflow.records.state import StateCodec, as_bytes, as_text


@dataclass(frozen=True)
class Count:
    n: int = 0
    name: str = ""


@dataclass(frozen=True)
class ByNumber:
    names: Mapping[int, str]


class Sum(msgspec.Struct, array_like=True):
    n: int
    data: bytes = b""


class LargerSum(msgspec.Struct, array_like=True):
    n: int
    data: bytes
    more: int


def test_a_state_is_the_same_after_a_checkpoint() -> None:
    counts = StateCodec(Count, "count", version=3)
    assert counts.decode(counts.encode(Count(7))) == Count(7)
    sums = StateCodec(Sum, "sum", version=1)
    assert sums.decode(sums.encode(Sum(7, b"\xff"))) == Sum(7, b"\xff")


def test_a_state_of_a_dataclass_is_short_json() -> None:
    data = StateCodec(Count, "count", version=3).encode(Count(7, "a b"))
    assert data == b'{"version":3,"state":{"n":7,"name":"a b"}}'


def test_numbers_may_be_keys_of_a_state() -> None:
    codec = StateCodec(ByNumber, "counts", version=1)
    assert codec.decode(codec.encode(ByNumber({7: "seven"}))) == ByNumber({7: "seven"})


def test_a_name_that_is_no_utf_8_is_the_same_after_a_checkpoint() -> None:
    name = as_text(b"caf\xe9.jpg")
    codec = StateCodec(Count, "count", version=3)
    assert codec.decode(codec.encode(Count(1, name))).name == name
    assert as_bytes(name) == b"caf\xe9.jpg"


@pytest.mark.parametrize("kinds", [(Count, Count), (Sum, LargerSum), (LargerSum, Sum)])
def test_a_state_of_another_version_is_refused_whatever_its_fields_are(kinds) -> None:
    old, new = (StateCodec(kind, "count", version=i) for i, kind in enumerate(kinds, 2))
    state = {Count: Count(1), Sum: Sum(1), LargerSum: LargerSum(1, b"", 2)}[kinds[0]]
    with pytest.raises(JobError, match="checkpoint's count must be of version 3; got 2; start"):
        new.decode(old.encode(state))


@pytest.mark.parametrize("data", [b"", b"{", b'{"n":1,"version":3}', b"\x93\x01\x02\x03", b"[]"])
@pytest.mark.parametrize("kind", [Count, Sum])
def test_what_is_no_such_state_is_refused(kind, data) -> None:
    with pytest.raises(JobError, match=r"the checkpoint's count (cannot be read|must be of ver)"):
        StateCodec(kind, "count", version=3).decode(data)
