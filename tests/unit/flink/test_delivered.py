"""What delivered results tell in metrics with labels."""

from dataclasses import dataclass, field
from typing import Any

from sightflow.flink.delivered import DeliveredMetrics

MAX_LABELS = 100


@dataclass
class Shown:
    """Keeps what is shown as a group of Flink does: a value by its labels and name."""

    values: dict[tuple[str, ...], int] = field(default_factory=dict)
    labels: tuple[str, ...] = ()

    def at(self, **labels: str) -> "Shown":
        return Shown(self.values, (*self.labels, *(f"{k}={v}" for k, v in labels.items())))

    def count(self, name: str, n: int = 1) -> None:
        self.values[(*self.labels, name)] = self.values.get((*self.labels, name), 0) + n

    def show(self, name: str, value: int) -> None:
        self.values[(*self.labels, name)] = value

    def close(self) -> None:
        for key in [key for key in self.values if key[: len(self.labels)] == self.labels]:
            del self.values[key]


def told(rows: list[dict[str, Any]], rejected=(), *, tells_times: bool = False) -> Shown:
    shown = Shown()
    delivered = DeliveredMetrics(shown, tells_times=tells_times)  # type: ignore[arg-type]
    for row in rows:
        delivered.see([row], ())
    delivered.see((), rejected)
    return shown


def a_use(step: str, model: str, version: str) -> dict[str, str]:
    return {"step": step, "model": model, "model_version": version}


def an_image(source_id: str, event_time_ms: int) -> dict[str, Any]:
    return {"source_id": source_id, "event_time_ms": event_time_ms}


def a_rejected(step: str, reason: str) -> dict[str, str]:
    return {"step": step, "reason": reason}


def test_rejected_images_are_counted_by_step_and_reason() -> None:
    reasons = [("decode", "corrupt"), ("decode", "empty"), ("decode", "corrupt"), ("gate", "late")]
    shown = told([], [a_rejected(*one) for one in reasons])
    assert shown.values == {
        ("step=decode", "reason=corrupt", "rejected"): 2,
        ("step=decode", "reason=empty", "rejected"): 1,
        ("step=gate", "reason=late", "rejected"): 1,
    }


def test_reasons_beyond_a_hundred_are_counted_together() -> None:
    shown = told([], [a_rejected("mine", f"reason {i}") for i in range(MAX_LABELS + 7)])
    assert len(shown.values) == MAX_LABELS + 1
    assert shown.values["step=other", "reason=other", "rejected"] == 7


def test_the_version_that_made_the_newest_result_is_in_use_and_no_other() -> None:
    shown = told([a_use("find", "nanodet", version) for version in ("1", "1", "2", "3")])
    assert shown.values == {("step=find", "model=nanodet", "version=3", "in_use"): 1}


def test_a_version_that_comes_again_is_in_use_again() -> None:
    shown = told([a_use("find", "nanodet", version) for version in ("1", "2", "1")])
    assert shown.values == {("step=find", "model=nanodet", "version=1", "in_use"): 1}


def test_each_step_of_a_result_has_its_model() -> None:
    uses = [a_use("find", "nanodet", "1"), a_use("name", "colours", "3")]
    shown = told([{**uses[-1], "steps": uses}])
    assert sorted(shown.values) == [
        ("step=find", "model=nanodet", "version=1", "in_use"),
        ("step=name", "model=colours", "version=3", "in_use"),
    ]


def test_the_newest_image_of_each_stream_counts_in_whatever_order_they_come() -> None:
    rows = [an_image("gate", 2000), an_image("door", 500), an_image("gate", 1000)]
    assert told(rows, tells_times=True).values == {
        ("source_id=gate", "newest_event_time_ms"): 2000,
        ("source_id=door", "newest_event_time_ms"): 500,
    }
    assert told(rows).values == {}


def test_streams_beyond_a_hundred_have_one_time_together() -> None:
    shown = told([an_image(f"{i}", i) for i in range(MAX_LABELS + 7)], tells_times=True)
    assert len(shown.values) == MAX_LABELS + 1
    assert shown.values["source_id=other", "newest_event_time_ms"] == 106
