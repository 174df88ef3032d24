"""Versions are published whole or not at all, serve when promoted, and are what was published."""

import os
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import fsspec
import numpy as np
import pytest
import safetensors.numpy
from tests.registries import CARD, facts, publish, weights

from sightflow import Classify, Directory, JsonLines, Pipeline, RunSettings, run
from sightflow.errors import CardError, ModelError
from sightflow.learn.head import Head
from sightflow.learn.optimiser import Optimiser
from sightflow.models import Card, Registry, find_model, zoo
from sightflow.testing import draw_scene, encode_image

# --- publishing ----------------------------------------------------------------------------------


def test_versions_are_numbered_from_1_and_say_how_they_came_to_be(registry):
    publish(registry, 100, metrics={"accuracy": 0.5})
    second = publish(registry, 200, metrics={"accuracy": 0.75}, parent=1)

    assert [v.number for v in registry.versions("gates")] == [1, 2]
    assert registry.version("gates", 2) == second
    assert second.facts == facts(200, metrics={"accuracy": 0.75}, parent=1)
    assert registry.names() == ("gates",)


def test_a_published_model_is_fetched_with_number_and_sum_on_its_card(registry):
    publish(registry, 1)
    version = publish(registry, 2, onnx=b"abc")

    model = registry.fetch("gates", 2)

    assert Path(model.path).read_bytes() == b"abc"
    assert (model.version, model.card.labels) == ("2", ("gate", "fence"))
    assert model.card.sha256 == version.sha256["model.onnx"]
    assert model.card.sha256.startswith("ba7816bf8f01")  # FIPS 180-2, "abc"


def test_on_disk_a_version_is_a_folder_with_four_files(folder, tmp_path):
    publish(folder)

    place = tmp_path / "models" / "gates" / "versions"
    assert [path.name for path in place.iterdir()] == ["00000001"]
    assert sorted(path.name for path in (place / "00000001").iterdir()) == [
        "card.yaml", "model.onnx", "version.json", "weights.safetensors",
    ]  # fmt: skip


def test_nothing_is_there_before_the_first_version(registry):
    assert registry.names() == ()
    assert registry.versions("gates") == ()
    assert registry.serving("gates") is None


def test_publishing_a_step_of_a_run_again_returns_the_version_that_is_there(registry):
    first = publish(registry, 1)
    publish(registry, 2, onnx=b"later")

    assert publish(registry, 1) == first
    assert len(registry.versions("gates")) == 2


@pytest.mark.parametrize(
    ("changes", "file"),
    [({"onnx": b"other"}, "model.onnx"), ({"of": weights(bias=[1, 1])}, "weights.safetensors")],
)
def test_the_same_step_with_other_bytes_is_refused(registry, changes, file):
    publish(registry, 7)

    with pytest.raises(ModelError, match=rf"step 7 of the run 'monday' is version 1, whose {file}"):
        publish(registry, 7, **changes)


def test_the_same_step_of_another_run_is_another_version(registry):
    publish(registry, 7)

    assert publish(registry, 7, run_id="tuesday").number == 2


def test_a_publisher_that_dies_before_the_rename_leaves_no_version(folder, tmp_path, monkeypatch):
    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", die)
        patch.setattr("shutil.rmtree", lambda *_, **__: None)  # a killed process removes nothing
        with pytest.raises(KeyboardInterrupt):
            publish(folder)
    place = tmp_path / "models" / "gates" / "versions"
    assert len(list(place.iterdir())) == 1
    assert folder.versions("gates") == ()

    assert publish(folder).number == 1
    assert [path.name for path in place.iterdir()] == ["00000001"]


def test_in_an_object_store_a_publisher_that_dies_before_the_last_file_leaves_no_version(
    memory, monkeypatch
):
    kind = type(fsspec.filesystem("memory"))
    write = kind.pipe_file

    def die_at_the_end(self, path, value, **options):
        if path.endswith("version.json"):
            raise KeyboardInterrupt
        write(self, path, value, **options)

    with monkeypatch.context() as patch:
        patch.setattr(kind, "pipe_file", die_at_the_end)
        with pytest.raises(KeyboardInterrupt):
            publish(memory)
    assert memory.versions("gates") == ()
    assert memory.names() == ()
    with pytest.raises(CardError, match="no version of 'gates' is published"):
        memory.version("gates", 1)

    assert publish(memory).number == 2  # number 1 was claimed


def publish_in_a_process(url, step):
    return publish(Registry(url), step).number


def test_processes_that_publish_at_once_get_numbers_of_their_own(folder):
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        numbers = list(pool.map(publish_in_a_process, [folder.url] * 12, range(12)))

    assert sorted(numbers) == list(range(1, 13))
    assert sorted(v.facts.step for v in folder.versions("gates")) == list(range(12))


@pytest.mark.parametrize("locks_work", [True, False])
def test_threads_that_publish_at_once_get_numbers_of_their_own(folder, locks_work, monkeypatch):
    if not locks_work:
        monkeypatch.setattr("fcntl.flock", lambda *_: None)
        monkeypatch.setattr("pathlib.Path.glob", lambda *_: ())  # drafts of others stay
    together = threading.Barrier(8)

    def one(step):
        together.wait()
        return publish(folder, step).number

    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(one, range(8)))

    assert sorted(numbers) == list(range(1, 9))
    assert {v.number: v.facts.step for v in folder.versions("gates")} == dict(
        zip(numbers, range(8), strict=True)
    )
    assert [folder.fetch("gates", n).version for n in range(1, 9)] == [*"12345678"]


def test_the_same_step_published_by_many_at_once_is_one_version(folder):
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda _: publish(folder, 5).number, range(8)))

    assert numbers == [1] * 8


def test_a_number_that_another_claims_meanwhile_is_left_to_it(memory, monkeypatch):
    publish(memory, 1)
    fs = fsspec.filesystem("memory")
    claim = fs._strip_protocol(f"{memory.url}/gates/versions/00000002/claim")
    find = type(fs).find

    def find_and_be_late(self, path, **options):
        found = find(self, path, **options)
        fs.pipe_file(claim, b"another's")
        return found

    monkeypatch.setattr(type(fs), "find", find_and_be_late)

    assert publish(memory, 2).number == 3


def test_a_claim_that_was_overwritten_is_not_ours(memory, monkeypatch):
    """A store without exclusive writes lets the later one win; the earlier one sees that."""
    fs = fsspec.filesystem("memory")
    write = type(fs).pipe_file

    def lose(self, path, value, mode="overwrite", **_):
        write(self, path, b"another's" if path.endswith("1/claim") else value)

    monkeypatch.setattr(type(fs), "pipe_file", lose)

    assert publish(memory).number == 2


@pytest.mark.parametrize("name", ["", "../gates", "a/b", ".hidden", "two words", "-x", "gates@1"])
def test_a_name_that_is_no_plain_word_is_refused(registry, name):
    for use in (
        lambda: registry.publish(name, onnx=b"", weights=b"", card=CARD, facts=facts()),
        lambda: registry.versions(name),
        lambda: registry.promote(name, 1, reason=""),
    ):
        with pytest.raises(CardError, match=r"a name has letters, digits, .* got"):
            use()


def test_a_measure_that_is_no_number_is_refused(folder):
    with pytest.raises(ModelError, match=r"metrics\['loss'\] is a finite number; got nan"):
        publish(folder, metrics={"loss": float("nan")})


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(ModelError, match=r"file/gates: cannot be read or written: .*"):
        publish(Registry(str(tmp_path / "file")))


def test_a_kind_of_storage_that_nobody_knows_is_told():
    with pytest.raises(CardError, match=r"registry nowhere://x: cannot be opened: .*nowhere"):
        Registry("nowhere://x").versions("gates")


# --- serving -------------------------------------------------------------------------------------


def test_publishing_does_not_promote(registry):
    publish(registry)

    assert registry.serving("gates") is None


def test_the_promoted_version_serves_and_the_history_says_why(registry):
    publish(registry, 1)
    publish(registry, 2)

    registry.promote("gates", 1, reason="first")
    registry.promote("gates", 2, reason="better")

    assert registry.serving("gates").number == 2
    assert [(p.number, p.reason) for p in registry.history("gates")] == [
        (1, "first"), (2, "better"),
    ]  # fmt: skip


def test_rollbacks_go_back_step_by_step(registry):
    for step in (1, 2, 3):
        publish(registry, step)
        registry.promote("gates", step, reason="")

    assert [registry.rollback("gates").number for _ in range(2)] == [2, 1]
    assert registry.serving("gates").number == 1
    assert [(p.number, p.rolled_back) for p in registry.history("gates")] == [
        (1, False), (2, False), (3, False), (2, True), (1, True),
    ]  # fmt: skip
    with pytest.raises(CardError, match="a rollback needs a version that served before"):
        registry.rollback("gates")


def test_a_rollback_in_a_folder_that_is_no_registry_leaves_it_as_it_is(tmp_path):
    with pytest.raises(CardError, match="a rollback needs a version that served before"):
        Registry(str(tmp_path)).rollback("gates")
    assert list(tmp_path.iterdir()) == []


def test_after_a_rollback_a_promotion_goes_on_from_there(registry):
    for step in (1, 2, 3):
        publish(registry, step)
    registry.promote("gates", 1, reason="")
    registry.promote("gates", 2, reason="")
    registry.rollback("gates")
    registry.promote("gates", 3, reason="")

    assert registry.rollback("gates").number == 1


def test_promoting_the_version_that_serves_changes_nothing(registry):
    publish(registry)
    first = registry.promote("gates", 1, reason="first")

    assert registry.promote("gates", 1, reason="again") == first
    assert len(registry.history("gates")) == 1


def test_a_version_that_is_not_there_is_told_with_those_that_are(registry):
    publish(registry, 1)
    publish(registry, 2)

    with pytest.raises(CardError, match=r"gates: there is no version 3; there are 1, 2"):
        registry.promote("gates", 3, reason="")
    with pytest.raises(CardError, match=r"no version of 'cars' is published; models: gates"):
        registry.fetch("cars", 1)


def test_a_damaged_pointer_is_told_by_its_path(folder, tmp_path):
    publish(folder)
    (tmp_path / "models" / "gates" / "serving.json").write_text("{")

    with pytest.raises(ModelError, match=r"gates/serving\.json: is no Serving as a registry"):
        folder.serving("gates")


# --- fetching ------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["model.onnx", "card.yaml"])
def test_a_file_that_was_tampered_with_is_refused(folder, tmp_path, file):
    publish(folder)
    path = tmp_path / "models" / "gates" / "versions" / "00000001" / file
    path.write_bytes(path.read_bytes() + b"\n")

    with pytest.raises(ModelError, match=rf"{file}: sha256 must be [0-9a-f]{{64}} as it was publi"):
        find_model(f"{folder.url}/gates@1")


def test_weights_that_were_tampered_with_are_refused(folder, tmp_path):
    publish(folder)
    path = tmp_path / "models" / "gates" / "versions" / "00000001" / "weights.safetensors"
    path.write_bytes(b"other")

    with pytest.raises(ModelError, match=r"weights\.safetensors: sha256 must be"):
        folder.weights("gates", 1)


def test_a_file_of_an_object_store_that_was_tampered_with_is_refused(memory):
    publish(memory)
    path = f"{memory.url}/gates/versions/00000001/model.onnx"
    fsspec.filesystem("memory").pipe_file(path, b"other")

    with pytest.raises(ModelError, match=r"model\.onnx: sha256 must be"):
        memory.fetch("gates", 1)


def test_a_model_of_an_object_store_is_copied_once(memory, tmp_path, monkeypatch):
    publish(memory)
    first = memory.fetch("gates", 1)
    assert Path(first.path).is_relative_to(tmp_path / "cache" / "sightflow" / "models")
    before = os.stat(first.path)

    assert memory.fetch("gates", 1) == first
    assert os.stat(first.path).st_ino == before.st_ino


def test_the_weights_are_those_that_were_published(registry):
    publish(registry, of=weights(bias=[1, 2]))

    assert registry.weights("gates", 1) == weights(bias=[1, 2])


# --- from the head to the result -----------------------------------------------------------------


def test_a_trained_head_is_published_and_classifies_a_picture(folder, tmp_path):
    head = Head().open(2, (1280,), Optimiser(), seed=0)
    features = np.random.default_rng(0).random((8, 1280), np.float32)
    head.learn(features, np.array([0, 1] * 4), step=0)
    exported = head.export()
    card = Card(
        name="gates",
        task="classify",
        input=exported.input,
        head=exported.head,
        labels=("gate", "fence"),
        licence=zoo("efficientnet_lite0").card.licence,
    )
    version = folder.publish(
        "gates",
        onnx=exported.onnx,
        weights=safetensors.numpy.save(dict(head.weights())),
        card=card,
        facts=facts(),
    )
    (tmp_path / "scene.png").write_bytes(encode_image(draw_scene(), "PNG"))

    step = Classify(model=find_model(f"{folder.url}/gates@{version.number}"))
    pipeline = (
        Pipeline(Directory(str(tmp_path / "scene.png")))
        .apply("classify", step)
        .write("results", JsonLines(str(tmp_path / "results.jsonl")))
    )
    summary = run(pipeline, RunSettings(runner="inline"))

    assert summary.ledger.recognised == 1
    text = (tmp_path / "results.jsonl").read_text()
    assert '"label":"gate"' in text
    assert '"model":"gates","model_version":"1"' in text
