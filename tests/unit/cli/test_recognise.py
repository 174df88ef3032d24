"""`sightflow run` replaces what an earlier run has written, if it is asked to."""

from pathlib import Path

from click.testing import CliRunner

from sightflow.cli import cli
from sightflow.testing import draw_scene, encode_image

FILE = """
source: {{kind: Directory, paths: {folder}/photos}}
steps:
  - {{name: prepare, kind: Prepare}}
sinks:
  - {{name: results, kind: JsonLines, path: {folder}/out.jsonl}}
run: {{runner: inline}}
"""


def test_a_second_run_needs_to_be_told_and_then_replaces_the_output(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(encode_image(draw_scene(32, 24)))
    (tmp_path / "job.yaml").write_text(FILE.format(folder=tmp_path))
    words = ["run", str(tmp_path / "job.yaml"), "--quiet"]
    assert CliRunner().invoke(cli, words).exit_code == 0

    again = CliRunner().invoke(cli, words)
    (tmp_path / "photos" / "b.jpg").write_bytes(encode_image(draw_scene(32, 24)))
    replaced = CliRunner().invoke(cli, [*words, "--overwrite"])

    assert again.exit_code != 0
    assert replaced.exit_code == 0
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 2


def test_metrics_of_a_run_in_this_process_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encode_image(draw_scene(32, 24)))
    words = ["classify", str(tmp_path / "a.jpg"), "--runner", "inline", "--metrics", "9249"]
    left = CliRunner().invoke(cli, words)
    assert left.exit_code == 2
    assert "--metrics and --otlp go with --runner flink" in left.stderr


def test_the_options_of_a_call_come_before_those_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "job.yaml").write_text(FILE.format(folder=tmp_path))
    left = CliRunner().invoke(cli, ["run", str(tmp_path / "job.yaml"), "--metrics", "9249"])
    assert "`metrics_port` needs the runner flink" in str(left.exception)
