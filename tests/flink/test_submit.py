"""What is refused before anything is sent to a cluster, and what clusters answer."""

import http.server
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.classifiers import save_colour_classifier, save_colours
from tests.streams import Offered

from sightflow import (
    AnnotatedImages,
    Classify,
    Detect,
    Directory,
    JsonLines,
    Pipeline,
    RunSettings,
    Track,
    Zone,
    find_model,
    submit,
)
from sightflow.engine.upgrade import NEW_RUN, Description
from sightflow.errors import JobError, PipelineError, SetupError
from sightflow.flink.failures import refusal_of
from sightflow.flink.jobs import find_job
from sightflow.flink.places import check_places
from sightflow.flink.rest import Rest
from sightflow.flink.restoring import Note, note_behind
from sightflow.learn.evaluate import Evaluate
from sightflow.learn.publish import Publish
from sightflow.learn.train import Train
from sightflow.sinks.dataset import Dataset
from sightflow.sources.jsoncontrol import JsonControl
from sightflow.sources.kafka import KafkaImages
from sightflow.sources.kafkacontrol import KafkaControl
from sightflow.sources.newest import Newest


@contextmanager
def answering(
    answers: dict[str, Any],
    status: int = 200,
    *,
    server: type[http.server.HTTPServer] = http.server.ThreadingHTTPServer,
    host: str = "127.0.0.1",
) -> Iterator[str]:
    """Give the URL of a server that answers paths with these bodies."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = answers.get(self.path, b"")
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            pass

    with server((host, 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        try:
            yield f"http://{f'[{host}]' if ':' in host else host}:{running.server_port}"
        finally:
            running.shutdown()
            thread.join()


STREAM = Pipeline(Offered(9))


@pytest.mark.parametrize("sink", [JsonLines("out.jsonl"), AnnotatedImages("pictures")])
def test_a_sink_that_needs_the_client_is_refused(sink):
    message = f"sink 'out': {type(sink).__name__} is finished by the process that waits"
    with pytest.raises(PipelineError, match=message):
        submit(STREAM.write("out", sink), rest_url="http://nowhere:1")


def test_a_folder_for_the_state_of_local_runs_is_refused():
    with pytest.raises(PipelineError, match="`state_dir: here` of the run is a folder of this"):
        submit(STREAM, RunSettings(state_dir="here"), rest_url="http://nowhere:1")


def test_a_folder_for_a_page_is_refused():
    with pytest.raises(PipelineError, match="`view_dir: here` of the run is a folder of this"):
        submit(STREAM, RunSettings(view_dir="here"), rest_url="http://nowhere:1")


@pytest.mark.parametrize("name", ["state_dir", "from_savepoint"])
def test_a_place_of_the_cluster_is_a_url(name):
    with pytest.raises(PipelineError, match=f"`{name}` is a URL that the cluster can reach"):
        submit(STREAM, rest_url="http://nowhere:1", **{name: "/tmp/state"})


@pytest.mark.parametrize(
    "url", ["nowhere", "https://flink", "http://flink/behind/a/proxy", "ftp:a"]
)
def test_a_url_that_is_no_rest_is_refused(url):
    with pytest.raises(PipelineError, match="the REST of a cluster is http://HOST:PORT"):
        Rest(url)


@pytest.mark.parametrize("paths", ["{}/photos", "{}/photos/*.jpg", "{}/photos/one.jpg"])
def test_a_folder_of_this_machine_is_refused_unless_all_have_it(paths, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").touch()
    pipeline = Pipeline(Directory(paths.format(tmp_path)))
    with pytest.raises(PipelineError, match=f"the source: {tmp_path}/photos.* is on this machine"):
        check_places(pipeline, [])
    with pytest.raises(PipelineError, match="is on this machine"):
        check_places(pipeline, [f"{tmp_path}/photo"])
    check_places(pipeline, [f"{tmp_path}/"])


def test_messages_from_a_file_of_this_machine_are_refused_before_it_is_there(tmp_path):
    pipeline = STREAM.controlled_by(JsonControl(f"{tmp_path}/messages.jsonl"))
    with pytest.raises(PipelineError, match=f"the control: {tmp_path}/mess.* is on this machine"):
        check_places(pipeline, [])
    check_places(pipeline, [str(tmp_path)])


def test_a_word_that_is_also_the_name_of_a_file_here_is_no_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("pictures", "gate", "cat"):
        (tmp_path / name).mkdir()
    images = KafkaImages("pictures", "gate", group="gate", label_header="cat")
    for source in (images, Newest(images)):
        pipeline = Pipeline(source).apply("zone", Zone(((0, 0), (9, 0), (0, 9)), source_id="gate"))
        control = KafkaControl("gate", topic="pictures")
        check_places(pipeline.controlled_by(control), [])
    check_places(STREAM.apply("evaluate", Evaluate(labels=("cat", "dog"))), [])
    publish = Publish(registry="s3://models", name="cat")
    check_places(STREAM.apply("train", Train(labels=("cat", "dog"), publish=publish)), [])


def test_properties_of_a_client_are_read_where_the_client_is(tmp_path):
    path = tmp_path / "kafka.properties"
    path.write_text("security.protocol=SSL\n")
    images = KafkaImages("pictures", "kafka:9092", properties=str(path))
    check_places(Pipeline(images), [])
    said = STREAM.controlled_by(KafkaControl("kafka:9092", "said", properties=str(path)))
    for pipeline in (Pipeline(Newest(images)), said):
        with pytest.raises(PipelineError, match=f"{path} is on this machine"):
            check_places(pipeline, [])


def test_a_folder_for_results_is_refused_before_it_is_there(tmp_path):
    pipeline = STREAM.write("out", Dataset(f"{tmp_path}/out"))
    with pytest.raises(PipelineError, match=f"sink 'out': {tmp_path}/out is on this machine"):
        check_places(pipeline, [])
    check_places(pipeline, [str(tmp_path)])
    check_places(STREAM.write("out", Dataset("s3://bucket/out")), [])


def test_a_relative_path_is_refused_even_so(tmp_path, monkeypatch):
    save_colours(tmp_path / "photos", 1)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PipelineError, match="and name it from /"):
        check_places(Pipeline(Directory("photos")), [str(tmp_path)])


def test_weights_travel_but_a_registry_does_not(tmp_path):
    model = find_model(save_colour_classifier(tmp_path / "colours.onnx"))
    pipeline = Pipeline(Directory("s3://bucket/photos")).apply("classify", Classify(model))
    check_places(pipeline, [])
    train = Train(publish=Publish(registry=str(tmp_path), name="colours"))
    with pytest.raises(PipelineError, match=f"step 'train': {tmp_path} is on this machine"):
        check_places(Pipeline(Offered(9)).apply("train", train), [])


def test_a_cluster_of_another_version_is_refused():
    overview = {"flink-version": "1.20.1", "slots-available": 4, "slots-total": 4}
    with (
        answering({"/overview": overview}) as url,
        pytest.raises(SetupError, match=r"runs Flink 1\.20\.1 and Sightflow was made for 2\.3"),
    ):
        submit(STREAM, rest_url=url)


def test_something_that_is_no_cluster_is_said():
    with (
        answering({"/jobs/overview": b"<html>"}) as url,
        pytest.raises(SetupError, match="what answers there is no Flink cluster"),
    ):
        find_job(Rest(url), "a")


def test_a_refusal_of_flink_is_told_by_its_cause():
    told = {"errors": ["", "org.apache.X: no\n\tat java\nCaused by: NotFound: Job a not found"]}
    with (
        answering({"/jobs/a": told}, status=404) as url,
        pytest.raises(JobError, match=r"/jobs/a: NotFound: Job a not found$"),
    ):
        Rest(url).get("/jobs/a")


def test_a_job_is_found_by_its_name_or_the_begin_of_its_id():
    rows = [
        ("abcdef1", "gate", "RUNNING"),
        ("abcdef2", "gate", "FAILED"),
        ("facade3", "door", "RUNNING"),
        ("9999999", "facade", "RUNNING"),
        ("8888888", "abcdef1", "RUNNING"),
    ]
    told = {"jobs": [{"jid": jid, "name": name, "state": state} for jid, name, state in rows]}
    with answering({"/jobs/overview": told}) as url:
        assert find_job(Rest(url), "gate") == "abcdef1", "the other has ended"
        assert find_job(Rest(url), "FACADE3") == "facade3"
        assert find_job(Rest(url), "facade") == "9999999", "a name comes before the begin of an id"
        assert find_job(Rest(url), "abcdef1") == "8888888"
        assert find_job(Rest(url), "abcdef2") == "abcdef2"
        with pytest.raises(
            JobError, match=r"job 'abcdef': several are called so in .*abcdef1 \(gat"
        ):
            find_job(Rest(url), "abcdef")
        for words in ("", "facad", "a"):
            with pytest.raises(JobError, match=f"job '{words}': none is called so"):
                find_job(Rest(url), words)


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("http://[::1]:81", "[::1]", 81),
        ("http://[fe80::1]", "[fe80::1]", 8081),
        ("http://flink", "flink", 8081),
    ],
)
def test_an_address_with_colons_keeps_its_brackets(url, host, port):
    assert (Rest(url).host, Rest(url).port) == (host, port)


def test_a_cluster_is_asked_by_its_address_of_version_6():
    class Server(http.server.ThreadingHTTPServer):
        address_family = socket.AF_INET6

    with answering({"/overview": {"slots-total": 4}}, server=Server, host="::1") as url:
        assert Rest(url).get("/overview") == {"slots-total": 4}


def test_a_cluster_without_the_jar_for_python_is_told_where_it_goes():
    message = "o1: X\nCaused by: java.lang.ClassNotFoundException: org.apache.flink.streaming.api."
    refused = refusal_of(
        f"{message}operators.python.embedded.EmbeddedPythonProcessOperator\n\tat b"
    )
    assert isinstance(refused, SetupError)
    assert "copy opt/flink-python-*.jar of Flink into lib/" in str(refused)
    other = refusal_of("o1: X\n\tat a\nCaused by: java.net.X: too large\n\tat b")
    assert (type(other), str(other)) == (
        JobError,
        "the job was not submitted: java.net.X: too large",
    )


def a_note(pipeline: Pipeline = STREAM, listing: str | None = None) -> Note:
    return Note(Description.of(pipeline), NEW_RUN, listing)


CHECKPOINT, SAVEPOINT = "s3://b/c/{}/chk-7", "s3://b/s/savepoint-{:.6}-0123456789ab/"
JOB = "0123456789abcdef" * 2


@pytest.mark.parametrize(
    "place", [CHECKPOINT, SAVEPOINT, f"{CHECKPOINT}/_metadata", f"{SAVEPOINT}_metadata"]
)
def test_the_note_of_a_job_is_found_by_what_it_wrote(place):
    key, _, value = a_note().as_parameter().partition(":")
    config = {"execution-config": {"user-config": {key: value}}}
    jobs = {"jobs": [{"jid": JOB}, {"jid": JOB[::-1]}]}
    with answering({"/jobs/overview": jobs, f"/jobs/{JOB}/config": config}) as url:
        assert note_behind(Rest(url), place.format(JOB)) == a_note()
        assert note_behind(Rest(url), place.format("f" * 32)) is None
        assert note_behind(Rest(url), "s3://b/somewhere") is None


def test_a_job_that_is_not_ours_has_no_note():
    jobs = {"jobs": [{"jid": JOB}]}
    told = {"/jobs/overview": jobs, f"/jobs/{JOB}/config": {"jid": JOB}}
    with answering(told) as url:
        assert note_behind(Rest(url), CHECKPOINT.format(JOB)) is None


def test_a_state_goes_on_only_with_what_fits_it():
    none: dict[str, Any] = {"upgrade": False, "drop_state": ()}
    assert a_note().going_on(a_note(), **none) == NEW_RUN
    with pytest.raises(PipelineError, match="lists other images than when the job began"):
        a_note(listing="a").going_on(a_note(listing="b"), **none)
    tracked = STREAM.apply("detect", Detect()).apply("track", Track())
    with pytest.raises(PipelineError, match=r"another pipeline: .*'track'.* is new; .*--upgrade"):
        a_note().going_on(a_note(tracked), **none)
    with pytest.raises(PipelineError, match=r"step 'track' \(Track\) is gone"):
        a_note(tracked).going_on(a_note(), upgrade=True, drop_state=())
    history = a_note(tracked).going_on(a_note(), upgrade=True, drop_state=["track"])
    assert history.dropped == ("track",)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"upgrade": True}, "`upgrade` goes with `from_savepoint`"),
        ({"from_savepoint": "s3://b/s", "drop_state": ("a",)}, "`drop_state` goes with `upgrade`"),
    ],
)
def test_what_may_change_goes_with_a_savepoint(options, message):
    with pytest.raises(PipelineError, match=message):
        submit(STREAM, rest_url="http://nowhere:1", **options)
