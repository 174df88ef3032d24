"""Galleries of running jobs: people are enrolled and forgotten, and the job may be killed."""

import json
import shutil
import stat
import threading

import pytest
from tests.faces import copy_people, identifying, orl_faces
from tests.flink.kills import keeping, kill_java
from tests.steps import FailOnce, Slow

from sightflow import AnnotatedImages, Directory, JsonEvents, JsonLines, Pipeline, RunSettings, run
from sightflow.errors import JobError
from sightflow.faces import FaceModels, enrol
from sightflow.flink.runfiles import RunFiles
from sightflow.storage.galleryfile import GalleryFile
from sightflow.tasks.enrolments import Enrolments
from sightflow.tasks.identify import Identify

pytestmark = pytest.mark.flink

INLINE = RunSettings(runner="inline")
ANNA, BERT, CARL = "anna-who-is-forgotten", "bert-who-stays", "carl-who-comes-later"
PERSON = {ANNA: 1, BERT: 2, CARL: 3}
N_ROUNDS = 60
"""So often each person comes by."""


@pytest.fixture
def street(tmp_path):
    """Return a folder of pictures in which the three come by again and again."""
    folder = tmp_path / "street"
    folder.mkdir()
    for i in range(N_ROUNDS):
        for name, person in PERSON.items():
            (picture,) = orl_faces(person, [8 + i % 3])
            shutil.copy(picture, folder / f"{i:03d}-{name}.pgm")
    return folder


@pytest.fixture
def gallery(tmp_path):
    """Return a gallery with Anna and Bert."""
    people = copy_people(tmp_path / "people", {ANNA: 1, BERT: 2}, range(1, 4))
    enrol(tmp_path / "gallery", str(people), FaceModels(), INLINE)
    return tmp_path / "gallery"


def watching(street, gallery, out):
    return (
        identifying(Directory(str(street)), gallery, ("slow", Slow(0.01)))
        .write("results", JsonLines(str(out / "who.jsonl")))
        .write("events", JsonEvents(str(out / "events.jsonl")))
    )


def said(out):
    """Return who was seen in each picture, by who it is, in order: names, versions."""
    rows = [json.loads(line) for line in (out / "who.jsonl").read_text().splitlines()]
    found = {name: [] for name in PERSON}
    for row in rows:
        name = row["uri"].rpartition("/")[2][4:].removesuffix(".pgm")
        (face,) = row["faces"]
        found[name].append((face["person_id"], int(row["model_version"])))
    return found


class Changes:
    """Enrols Carl and forgets Anna when so many pictures are done."""

    def __init__(self, gallery, tmp_path, *, enrol_at, forget_at):
        self._gallery, self._tmp_path = gallery, tmp_path
        self._plan = {enrol_at: self._enrol, forget_at: self._forget}
        entries = GalleryFile(gallery).entries()
        self.anna = [entry.embedding for entry in entries if entry.person_id == ANNA]
        self.bert = [entry.embedding for entry in entries if entry.person_id == BERT]
        self.last_version = 0

    def __call__(self, ledger, n_images):
        for at in [at for at in self._plan if ledger.read >= at]:
            self._plan.pop(at)()
            self.last_version = GalleryFile(self._gallery).version()

    def _enrol(self):
        carl = copy_people(self._tmp_path / "more people", {CARL: 3}, range(1, 4))
        enrol(self._gallery, str(carl), FaceModels(), INLINE)

    def _forget(self):
        GalleryFile(self._gallery).forget(ANNA)


def test_who_is_enrolled_or_forgotten_counts_from_then_on(street, gallery, tmp_path):
    changes = Changes(gallery, tmp_path, enrol_at=20, forget_at=60)

    run(
        watching(street, gallery, tmp_path),
        RunSettings(workers=2, batch_size=4, checkpoint_interval_ms=200),
        on_progress=changes,
    )

    found = said(tmp_path)
    assert {name for name, _ in found[BERT]} == {BERT}
    assert found[ANNA][0] == (ANNA, 6)
    assert found[ANNA][-1] == (None, changes.last_version)
    assert found[CARL][0] == (None, 6)
    assert found[CARL][-1] == (CARL, changes.last_version)
    for seen in found.values():  # each worker goes forward only, so that names change once or so
        by_version = {version: {name for name, v in seen if v == version} for _, version in seen}
        assert all(len(names) == 1 for names in by_version.values()), "a version has one answer"
    text = (tmp_path / "events.jsonl").read_text()
    events = [json.loads(line) for line in text.splitlines()]
    assert [event["kind"] for event in events] == ["gallery", "gallery"]
    assert [event["figures"]["n_enrolled"] for event in events] == [3, 0]
    assert [event["figures"]["n_forgotten"] for event in events] == [0, 3]
    assert not any(name in text for name in PERSON), "events outlive who is forgotten"


def test_people_are_enrolled_by_a_stream_of_pictures(street, tmp_path):
    """The gallery is nowhere but in the state of the job, and is there again after a failure."""
    lines = tmp_path / "people" / "enrolments.jsonl"
    copy_people(tmp_path / "people", PERSON, range(1, 4))
    say(lines, *({"enrol": BERT, "picture": f"{BERT}/{i}.pgm"} for i in (1, 2, 3)))
    say(lines, {"enrol": BERT, "picture": "nowhere.pgm"})
    failing = FailOnce(f"040-{ANNA}.pgm", str(tmp_path / "flag"), 0.01)
    pipeline = FaceModels().apply(Pipeline(Directory(str(street))), ("fail", failing))
    pipeline = (
        pipeline.apply("identify", Identify(Enrolments(str(lines)), min_similarity=0.5))
        .write("results", JsonLines(str(tmp_path / "who.jsonl")))
        .write("events", JsonEvents(str(tmp_path / "events.jsonl")))
    )
    plan = {30: {"enrol": CARL, "picture": f"{CARL}/1.pgm"}, 60: {"forget": BERT}}

    def watch(ledger, n_images):
        for at in [at for at in plan if ledger.read >= at]:
            say(lines, plan.pop(at))

    settings = RunSettings(workers=2, batch_size=4, checkpoint_interval_ms=200, restart_attempts=1)
    run(pipeline, settings, on_progress=watch)

    assert (tmp_path / "flag").exists()
    found = said(tmp_path)
    assert found[BERT][0][0] == BERT
    assert found[BERT][-1] == (None, lines.stat().st_size)
    assert found[CARL][0][0] is None
    assert found[CARL][-1][0] == CARL
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [event["kind"] for event in events] == ["refused", "gallery", "gallery"]
    assert events[0]["reason"] == "unreadable"


def say(path, *lines):
    with open(path, "a") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


def checkpoint_bytes(state):
    """Return all bytes of the newest checkpoint."""
    files = RunFiles(state)
    newest = max(files.checkpoints.glob("*/chk-*/_metadata"), key=lambda f: f.stat().st_mtime_ns)
    return b"".join(path.read_bytes() for path in newest.parent.iterdir())


def test_after_a_kill_the_gallery_is_the_one_before_it(street, gallery, tmp_path):
    """Also without what Anna left: nothing of her is in the files or in the last checkpoint."""
    state = tmp_path / "state"
    changes = Changes(gallery, tmp_path, enrol_at=20, forget_at=40)
    pictures = AnnotatedImages(str(tmp_path / "pictures"), blur_unknown=True)
    pipeline = watching(street, gallery, tmp_path).write("pictures", pictures)
    killed = threading.Event()

    def watch(ledger, n_images):
        changes(ledger, n_images)
        if ledger.read >= 110 and not killed.is_set():
            killed.set()
            kill_java()

    with pytest.raises(JobError, match="the Java process that ran the job is gone"):
        run(pipeline, RunSettings(workers=2, batch_size=4, **keeping(state)), on_progress=watch)

    assert stat.S_IMODE(state.stat().st_mode) == 0o700, "nobody else may read it"
    kept = checkpoint_bytes(state)
    files = b"".join(p.read_bytes() for p in gallery.rglob("*") if p.is_file())
    assert BERT.encode() in kept
    assert CARL.encode() in kept
    for data in (kept, files):
        assert ANNA.encode() not in data
    assert not any(embedding.tobytes() in kept for embedding in changes.anna)
    assert all(embedding.tobytes() in kept for embedding in changes.bert), "they would be found"

    away = gallery.rename(tmp_path / "elsewhere")  # it is known from the checkpoint alone
    shutil.copytree(away, gallery)
    log = gallery / "changes.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(lines[-1])  # all it has is what was forgotten last
    run(pipeline, RunSettings(workers=3, batch_size=4, **keeping(state)))

    found = said(tmp_path)
    assert {name for name, _ in found[BERT]} == {BERT}
    assert found[ANNA][-1] == (None, changes.last_version)
    assert found[CARL][-1] == (CARL, changes.last_version)
    assert [len(seen) for seen in found.values()] == [N_ROUNDS] * 3
    assert len(list((tmp_path / "pictures").iterdir())) == 3 * N_ROUNDS
