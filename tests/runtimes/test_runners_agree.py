"""The same pipeline through every runner gives the same output, byte for byte."""

import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.faces import copy_people, identifying, orl_faces
from tests.lessons import learned, lessons, taught
from tests.networks import Thumbnails
from tests.pictures import draw_video, fill_folder
from tests.roads import save_road_models
from tests.steps import Bright, Count, Slow
from tests.streams import Offered, labelled_later

from sightflow import (
    AnnotatedImages,
    Classify,
    Detect,
    Directory,
    JsonLines,
    Pipeline,
    RunSettings,
    Union,
    Video,
    run,
)
from sightflow.faces import FaceModels, enrol
from sightflow.learn.evaluate import Evaluate
from sightflow.learn.train import Train
from sightflow.models import find_model
from sightflow.sinks.events import JsonEvents
from sightflow.sources.late import Late
from sightflow.sources.newest import Newest
from sightflow.sources.recorded import Recorded
from sightflow.sources.watched import Watched
from sightflow.tasks.announce import Announce
from sightflow.tasks.drive import Drive
from sightflow.tasks.gallery import Gallery
from sightflow.tasks.identify_tracks import IdentifyTracks
from sightflow.tasks.track import Track
from sightflow.testing import encode_image

RUNNERS = [
    pytest.param(RunSettings(runner="flink", workers=1), id="flink, 1 worker"),
    pytest.param(RunSettings(runner="flink", workers=2), id="flink, 2 workers"),
    pytest.param(RunSettings(runner="flink", workers=3, batch_size=1), id="flink, 3 workers"),
]


@pytest.mark.flink
@pytest.mark.parametrize("settings", RUNNERS)
def test_results_and_rejected_images_are_those_of_the_inline_runner(settings, tmp_path):
    photos = fill_folder(tmp_path / "photos", 21)
    video = draw_video(tmp_path / "clip.mp4", 60)
    source = Union((Directory(str(photos)), Video(str(video), segment_frames=7)))
    pipeline = Pipeline(source).apply("bright", Bright(reject_below=0.3))

    for name, how in {"inline": RunSettings(runner="inline"), "flink": settings}.items():
        summary = run(pipeline.write("out", JsonLines(str(tmp_path / f"{name}.jsonl"))), how)
        assert summary.ledger.read == 24 + 60
        assert summary.ledger.rejected >= 2

    for ending in ("jsonl", "rejected.jsonl"):
        inline, flink = ((tmp_path / f"{n}.{ending}").read_bytes() for n in ("inline", "flink"))
        assert inline == flink
        assert inline


@pytest.mark.flink
def test_real_models_answer_the_same_on_flink(tmp_path):
    photos = fill_folder(tmp_path / "photos", 6)
    pipeline = (
        Pipeline(Directory(str(photos), pattern="*.jpg"))
        .apply("classify", Classify(scenes=True))
        .apply("detect", Detect(min_score=0.05))
    )

    for runner in ("inline", "flink"):
        described = pipeline.write("out", JsonLines(str(tmp_path / f"{runner}.jsonl"))).write(
            "pictures", AnnotatedImages(str(tmp_path / runner))
        )
        run(described, RunSettings(runner=runner))

    results = [(tmp_path / f"{r}.jsonl").read_bytes() for r in ("inline", "flink")]
    assert results[0] == results[1]
    assert results[0].count(b"\n") == 6
    drawn = [sorted(_files(tmp_path / runner)) for runner in ("inline", "flink")]
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) == 6


def _files(folder: Path) -> list[tuple[str, bytes]]:
    return [(path.name, path.read_bytes()) for path in folder.rglob("*.jpg")]


@pytest.mark.flink
@pytest.mark.parametrize("workers", [1, 3])
def test_a_stream_gives_the_same_on_flink_as_inline(workers, tmp_path):
    pipeline = Pipeline(Offered(150, broken=(3, 70), missing=(149,))).apply("bright", Bright())

    for name, how in {
        "inline": RunSettings(runner="inline"),
        "flink": RunSettings(workers=workers),
    }.items():
        summary = run(pipeline.write("out", JsonLines(str(tmp_path / f"{name}.jsonl"))), how)
        assert (summary.ledger.read, summary.ledger.rejected) == (150, 3)

    for ending in ("jsonl", "rejected.jsonl"):
        inline, flink = ((tmp_path / f"{n}.{ending}").read_bytes() for n in ("inline", "flink"))
        assert inline == flink
        assert inline


@pytest.mark.flink
def test_without_an_order_the_same_results_come_in_any_order(tmp_path):
    photos = fill_folder(tmp_path / "photos", 30)
    pipeline = Pipeline(Directory(str(photos))).apply("bright", Bright())

    for name, how in {
        "inline": RunSettings(runner="inline"),
        "flink": RunSettings(workers=3, batch_size=1, ordered=False),
    }.items():
        run(pipeline.write("out", JsonLines(str(tmp_path / f"{name}.jsonl"))), how)

    inline, flink = ((tmp_path / f"{n}.jsonl").read_bytes() for n in ("inline", "flink"))
    assert sorted(inline.splitlines()) == sorted(flink.splitlines())


@pytest.mark.flink
def test_a_watched_folder_gives_the_same_on_flink_as_inline(tmp_path):
    photos = fill_folder(tmp_path / "photos", 60)
    fill_folder(tmp_path / "photos" / "gate", 30)
    source = Watched(str(photos), by_folder=True, every_s=0.05, settle_ms=0.0, idle_s=0.0)
    pipeline = Pipeline(source).apply("bright", Bright()).apply("count", Count())

    for name, how in {
        "inline": RunSettings(runner="inline"),
        "flink": RunSettings(workers=2),
    }.items():
        summary = run(pipeline.write("out", JsonLines(str(tmp_path / f"{name}.jsonl"))), how)
        assert (summary.ledger.read, summary.ledger.rejected) == (96, 4)

    for ending in ("jsonl", "rejected.jsonl"):
        inline, flink = ((tmp_path / f"{n}.{ending}").read_bytes() for n in ("inline", "flink"))
        assert inline == flink
        assert inline


@pytest.mark.flink
@pytest.mark.parametrize("runner", ["inline", "flink"])
@pytest.mark.parametrize("wraps", [False, True])
def test_a_stream_that_is_left_behind_skips_and_the_ledger_balances(wraps, runner, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    options = {"every_s": 0.05, "settle_ms": 0.0, "idle_s": 1.0}
    if wraps:
        source = Newest(Watched(str(photos), **options))
    else:
        source = Watched(str(photos), when_behind="skip", **options)
    out = tmp_path / "out.jsonl"
    pipeline = Pipeline(source).apply("slow", Slow(0.1)).write("out", JsonLines(str(out)))

    has_begun = threading.Event()

    def fill() -> None:
        for i in range(150):
            (photos / f"{i:03d}.tmp").write_bytes(encode_image(np.full((24, 32, 3), i, np.uint8)))
            (photos / f"{i:03d}.tmp").rename(photos / f"{i:03d}.jpg")
            has_begun.wait(0.2)  # then all at once, nearly
            time.sleep(0.01)

    writer = threading.Thread(target=fill)
    writer.start()
    settings = RunSettings(runner=runner, workers=1)
    ledger = run(pipeline, settings, on_progress=lambda now, n: now.read and has_begun.set()).ledger
    writer.join()

    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert ledger.read == 150
    assert ledger.read == ledger.recognised + ledger.skipped
    assert ledger.skipped > 20
    assert ledger.recognised == len(rows) > 5
    numbers = [row["sequence"] for row in rows]
    assert numbers == sorted(set(numbers))
    assert [Path(row["uri"]).stem for row in rows] == [f"{number:03d}" for number in numbers]


@pytest.mark.flink
@pytest.mark.parametrize("settings", RUNNERS)
def test_keyed_steps_remember_the_same_of_each_stream(settings, tmp_path):
    videos = [str(draw_video(tmp_path / f"{n}.mp4", 30 + n)) for n in range(3)]
    photos = Directory(str(fill_folder(tmp_path / "photos", 21)), fps=5)
    source = Union((Video(tuple(videos), segment_frames=7), photos))
    pipeline = (
        Pipeline(source)
        .apply("bright", Bright(reject_below=0.3))
        .apply("count", Count(max_out_of_order_ms=100))
        .apply("again", Count())
    )

    for name, how in {"inline": RunSettings(runner="inline"), "flink": settings}.items():
        described = pipeline.write("out", JsonLines(str(tmp_path / f"{name}.jsonl")))
        described = described.write("events", JsonEvents(str(tmp_path / f"{name}.events")))
        summary = run(described, how)
        assert summary.ledger.read == 30 + 31 + 32 + 24

    for ending in ("jsonl", "rejected.jsonl", "events"):
        inline, flink = ((tmp_path / f"{n}.{ending}").read_bytes() for n in ("inline", "flink"))
        assert inline == flink
        assert inline
    assert inline.count(b'"kind":"over"') == 2 * 4


@pytest.mark.flink
def test_what_was_recorded_gives_the_same_results_again_on_flink(tmp_path):
    videos = [str(draw_video(tmp_path / f"{n}.mp4", 30 + n)) for n in range(2)]
    photos = Directory(str(fill_folder(tmp_path / "photos", 21)), fps=5)
    source = Union((photos, Video(tuple(videos), every=3)))
    first, again = (str(tmp_path / f"{name}.jsonl") for name in ("first", "again"))

    for one, results, runner in ((source, first, "inline"), (Recorded(first), again, "flink")):
        pipeline = Pipeline(one).apply("bright", Bright()).apply("count", Count())
        summary = run(pipeline.write("out", JsonLines(results)), RunSettings(runner=runner))
        assert summary.ledger.read == 24 + 10 + 11
        assert summary.ledger.rejected == 2

    assert Path(first).read_bytes() == Path(again).read_bytes()


@pytest.mark.flink
def test_keyed_steps_of_a_stream_remember_the_same_on_flink_as_inline(tmp_path):
    source = Offered(150, broken=(3, 70), missing=(149,))
    pipeline = Pipeline(source).apply("bright", Bright()).apply("count", Count())

    for name, how in {
        "inline": RunSettings(runner="inline"),
        "flink": RunSettings(workers=3),
    }.items():
        summary = run(pipeline.write("out", JsonLines(str(tmp_path / f"{name}.jsonl"))), how)
        assert (summary.ledger.read, summary.ledger.rejected) == (150, 3)

    inline, flink = ((tmp_path / f"{n}.jsonl").read_bytes() for n in ("inline", "flink"))
    assert inline == flink
    assert b'"model_version":"147"' in inline


@pytest.mark.flink
@pytest.mark.parametrize("runner", ["inline", "flink"])
def test_a_stream_that_is_stopped_has_its_output(runner, tmp_path):
    pipeline = Pipeline(Offered(100_000, interval_s=0.002)).apply("count", Count())
    out = JsonLines(str(tmp_path / "out.jsonl"))
    described = pipeline.write("out", out).write("events", JsonEvents(str(tmp_path / "events")))
    seen = [0]

    def note(ledger, n_images):
        seen[0] = ledger.read

    summary = run(
        described, RunSettings(runner=runner), on_progress=note, stop=lambda: seen[0] >= 50
    )

    assert 50 <= summary.ledger.read < 5_000
    lines = (tmp_path / "out.jsonl").read_bytes().splitlines()
    assert len(lines) == summary.ledger.recognised == summary.ledger.read
    assert f'"sequence":{len(lines)}'.encode() in (tmp_path / "events").read_bytes()


@pytest.mark.flink
@pytest.mark.parametrize("settings", RUNNERS)
def test_a_network_learns_the_same_on_flink_as_inline(settings, tmp_path):
    source = lessons(tmp_path / "pictures", 60)
    inline = RunSettings(runner="inline", batch_size=settings.batch_size)
    for name, how in {"inline": inline, "flink": settings}.items():
        (tmp_path / name).mkdir()
        summary = run(taught(source, tmp_path / name), how)
        assert (summary.ledger.read, summary.ledger.rejected) == (140, 6)

    assert learned(tmp_path / "inline") == learned(tmp_path / "flink")
    rejected = [(tmp_path / n / "out.rejected.jsonl").read_bytes() for n in ("inline", "flink")]
    assert rejected[0] == rejected[1] != b""


@pytest.mark.flink
def test_labels_that_come_later_teach_the_same_on_flink_as_inline(tmp_path):
    source = Late(lessons(tmp_path / "pictures", 60), n_images=25)
    for name in ("inline", "flink"):
        (tmp_path / name).mkdir()
        pipeline = taught(source, tmp_path / name)
        summary = run(pipeline, RunSettings(runner=name, batch_size=4))
        assert (summary.ledger.read, summary.ledger.rejected) == (140, 6)

    assert learned(tmp_path / "inline") == learned(tmp_path / "flink")
    events = (tmp_path / "flink" / "out.events").read_text().splitlines()
    (joined,) = (e for e in map(json.loads, events) if e["kind"] == "joined")
    assert {name: n for name, n in joined["figures"].items() if n} == {
        "n_joined": 134,
        "n_unmatched": 6,  # those of pictures that cannot be read
    }


@pytest.mark.flink
def test_a_network_learns_the_same_from_a_stream_of_labels_on_flink_as_inline(tmp_path):
    images = Offered(90, broken=(3, 70))
    source = labelled_later(images, tmp_path / "labels", ("red", "none"), n_later=20)
    train = Train(("red", "none"), network=Thumbnails(), batch_size=8, report_every=1)
    pipeline = Pipeline(source).apply("train", train).apply("evaluate", Evaluate(train.labels))

    for name in ("inline", "flink"):
        described = pipeline.write("out", JsonLines(str(tmp_path / f"{name}.jsonl")))
        described = described.write("events", JsonEvents(str(tmp_path / f"{name}.events")))
        summary = run(described, RunSettings(runner=name, checkpoint_interval_ms=200))
        assert (summary.ledger.read, summary.ledger.rejected) == (90, 2)

    for ending in ("jsonl", "events"):
        inline, flink = ((tmp_path / f"{n}.{ending}").read_bytes() for n in ("inline", "flink"))
        assert inline == flink
    assert inline.count(b'"kind":"trained"') == 11


@pytest.mark.flink
def test_a_network_learns_the_same_from_a_stream_on_flink_as_inline(tmp_path):
    source = Offered(90, broken=(3, 70), labels=("red", "none"))
    train = Train(("red", "none"), network=Thumbnails(), batch_size=8, report_every=1)
    pipeline = Pipeline(source).apply("train", train)

    for name, how in {
        "inline": RunSettings(runner="inline"),
        "flink": RunSettings(workers=3, checkpoint_interval_ms=200),
    }.items():
        described = pipeline.write("out", JsonLines(str(tmp_path / f"{name}.jsonl")))
        described = described.write("events", JsonEvents(str(tmp_path / f"{name}.events")))
        summary = run(described, how)
        assert (summary.ledger.read, summary.ledger.rejected) == (90, 2)

    for ending in ("jsonl", "events"):
        inline, flink = ((tmp_path / f"{n}.{ending}").read_bytes() for n in ("inline", "flink"))
        assert inline == flink
    assert inline.count(b'"kind":"trained"') == 11


@pytest.mark.flink
@pytest.mark.parametrize("settings", RUNNERS)
def test_faces_are_those_of_the_inline_runner(settings, tmp_path):
    """Two people stand side by side in frames, one after the other; one of them is known."""
    people = copy_people(tmp_path / "people", {"ann": 1}, [1, 2, 3])
    gallery = tmp_path / "gallery"
    enrol(gallery, str(people), FaceModels(), RunSettings(runner="inline"))
    street = tmp_path / "street"
    street.mkdir()
    for i, picture in enumerate([*orl_faces(1, range(4, 11)), *orl_faces(2, range(1, 11))]):
        canvas = np.zeros((112, 400, 3), np.uint8)
        left = 10 if i < 7 else 290
        canvas[:, left : left + 92] = Image.open(picture).convert("RGB")
        Image.fromarray(canvas).save(street / f"{i:02d}.png")
    (street / "05b.png").write_bytes(b"\x89PNG broken")
    table = Gallery(str(gallery))
    pipeline = (
        identifying(Directory(str(street), fps=10), gallery)
        .apply("track", Track(of="faces"))
        .apply("persons", IdentifyTracks(table))
    )

    for name, how in {"inline": RunSettings(runner="inline"), "flink": settings}.items():
        described = pipeline.write("out", JsonLines(str(tmp_path / f"{name}.jsonl")))
        run(described.write("events", JsonEvents(str(tmp_path / f"{name}.events.jsonl"))), how)

    for ending in ("jsonl", "rejected.jsonl", "events.jsonl"):
        inline, flink = ((tmp_path / f"{n}.{ending}").read_bytes() for n in ("inline", "flink"))
        assert inline == flink
    rows = [json.loads(line) for line in (tmp_path / "inline.jsonl").read_text().splitlines()]
    named = [[face["person_id"] for face in row["faces"] if face["track_id"]] for row in rows]
    assert ["ann"] in named
    assert "ann" not in [name for names in named[-5:] for name in names]
    events = [
        json.loads(line) for line in (tmp_path / "inline.events.jsonl").read_text().splitlines()
    ]
    identified = [event["person_id"] for event in events if event["kind"] == "identified"]
    assert identified == ["ann"], "once for a track"


@pytest.mark.flink
def test_roads_are_seen_the_same_on_flink(tmp_path):
    video = draw_video(tmp_path / "street.mp4", 40)
    models = {name: find_model(path) for name, path in save_road_models(tmp_path).items()}
    pipeline = (
        Pipeline(Video(str(video), segment_frames=7))
        .apply("drive", Drive(**models, tiles=(1, 2)))
        .apply("track", Track())
        .apply("lights", Announce("states"))
        .apply("signs", Announce("signs"))
    )

    for name, how in {
        "inline": RunSettings(runner="inline"),
        "flink": RunSettings(runner="flink", workers=2, batch_size=3),
    }.items():
        described = pipeline.write("out", JsonLines(str(tmp_path / f"{name}.jsonl")))
        run(described.write("events", JsonEvents(str(tmp_path / f"{name}.events.jsonl"))), how)

    for ending in ("jsonl", "events.jsonl"):
        inline, flink = ((tmp_path / f"{n}.{ending}").read_bytes() for n in ("inline", "flink"))
        assert inline == flink
        assert inline
    told = [json.loads(line)["kind"] for line in inline.splitlines()]
    assert told.count("announced") == told.count("ended") >= 2
