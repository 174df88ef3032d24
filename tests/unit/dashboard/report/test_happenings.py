"""Events are added up by line, zone and class."""

from typing import Any

from sightflow.dashboard.report.findings import Times
from sightflow.dashboard.report.happenings import Happenings

Row = dict[str, Any]


def an_event(kind: str, time_ms: int = 0, source_id: str = "gate.mp4", **fields: Any) -> Row:
    where = {"step": "s", "source_id": source_id, "sequence": 0, "event_time_ms": time_ms}
    return {"kind": kind, **where, **fields}


def added(*events: Row, sources: set[str] | None = None) -> Happenings:
    happenings = Happenings(Times())
    for event in events:
        happenings.add(event, sources)
    return happenings


def crossed(direction: str, label: str = "person") -> Row:
    return an_event("crossed", zone="gate", direction=direction, label=label)


def test_crossings_are_counted_by_direction_and_class() -> None:
    happenings = added(crossed("in"), crossed("in"), crossed("out", "car"))
    gate = happenings.places["gate"]
    assert gate.passed == {"in": 2, "out": 1}
    assert gate.by_class == {("person", "in"): 2, ("car", "out"): 1}
    assert gate.over_time["in"][0] == {0: 2}


def test_how_long_a_zone_and_a_stream_hold_objects_is_told() -> None:
    happenings = added(
        an_event("entered", zone="yard", label="person"),
        an_event("exited", 4_000, zone="yard", label="person", duration_ms=4_000),
        an_event("exited", 9_000, zone="yard", label="person", duration_ms=1_000),
        an_event("appeared", label="person"),
        an_event("left", 9_000, label="person", duration_ms=9_000),
    )
    stayed = happenings.places["yard"].stayed
    assert (stayed.n, stayed.mean_ms, stayed.longest_ms) == (2, 2_500, 4_000)
    assert happenings.appeared == {"person": 1}
    assert happenings.seen["person"].longest_ms == 9_000


def test_events_of_streams_without_results_are_left_out_and_counted() -> None:
    others = [an_event("appeared", source_id="other.mp4"), an_event("gallery", source_id="")]
    happenings = added(an_event("appeared"), *others, sources={"gate.mp4"})
    assert (happenings.n, happenings.n_of_others) == (2, 1)
    assert happenings.kinds == {"appeared": 1, "gallery": 1}


def test_the_list_of_events_is_bounded_and_without_the_counts_of_windows() -> None:
    counted = [an_event("counted", zone="gate", n_in=1)] * 5
    happenings = added(*counted, *[an_event("appeared")] * 310)
    assert len(happenings.listed) == 300
    assert happenings.n_not_listed == 10
