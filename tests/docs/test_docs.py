"""What the documentation shows works: code runs, pipelines are read, links lead somewhere."""

import re
import shlex
from contextlib import suppress
from dataclasses import replace

import click
import pytest
import yaml
from tests.docs.pages import PAGES, ROOT, anchors, blocks, links

import sightflow
from sightflow.cli import cli
from sightflow.configuration import read_pipeline
from sightflow.models import read_card
from sightflow.runners import run

PYTHON = blocks("python")
PYTHON_PAGES = sorted({block.page for block in PYTHON})
YAML = blocks("yaml")
PIPELINES = [block for block in YAML if "source" in yaml.safe_load(block.text)]
CARDS = [block for block in YAML if "task" in yaml.safe_load(block.text)]
COMMANDS = [
    (f"{block}: {line}", line)
    for block in blocks("console")
    for line in block.text.replace("\\\n", " ").splitlines()
    if line.startswith("sightflow")
]


def name_of(page):
    return str(page.relative_to(ROOT))


def test_the_pages_hold_what_these_tests_look_for():
    assert len(PAGES) >= 14
    assert len(PYTHON) >= 10
    assert len(PYTHON_PAGES) >= 5
    assert len(PIPELINES) >= 6
    assert len(CARDS) >= 5
    assert len(COMMANDS) >= 25
    assert sum(len(links(page)) for page in PAGES) >= 40


def test_every_yaml_block_is_a_whole_pipeline_or_a_whole_card():
    assert [str(b) for b in YAML if b not in PIPELINES and b not in CARDS] == []


@pytest.mark.parametrize("page", PYTHON_PAGES, ids=name_of)
def test_the_python_blocks_of_a_page_run_one_after_the_other(page, place, save_modules, served):
    save_modules(page)
    namespace = {"__name__": "page"}
    for block in blocks("python", page):
        code = "\n" * (block.line - 1) + served(block.text)
        if not block.module:
            exec(compile(code, str(page), "exec"), namespace)


@pytest.mark.parametrize("block", PIPELINES, ids=str)
def test_a_pipeline_of_the_documentation_is_read_and_runs(block, place, save_modules, served):
    save_modules(block.page)
    (place / "block.yaml").write_text(served(block.text))
    pipeline, settings = read_pipeline(place / "block.yaml")
    n_recognised = [0]

    def note(ledger, n_images):
        n_recognised[0] = ledger.recognised

    how = replace(settings, runner="inline")
    summary = run(pipeline, how, on_progress=note, stop=lambda: n_recognised[0] >= 3)
    assert summary.ledger.rejected == 0  # a live stream may leave pictures out
    assert summary.ledger.recognised >= 3


@pytest.mark.parametrize("block", CARDS, ids=str)
def test_a_card_of_the_documentation_is_read_and_has_no_field_that_does_not_exist(block, place):
    (place / "card.yaml").write_text(block.text)
    card = read_card(place / "card.yaml")
    shown = yaml.safe_load(block.text)
    assert all(hasattr(card, name) for name in shown)
    assert all(hasattr(card.input, name) for name in shown["input"])
    assert all(hasattr(card.input.preprocess, name) for name in shown["input"]["preprocess"])


@pytest.mark.parametrize("command", [c for _, c in COMMANDS], ids=[place for place, _ in COMMANDS])
def test_a_command_of_the_documentation_is_understood(command, place):
    words = shlex.split(re.split(r"[|>]", command)[0], comments=True)[1:]
    with suppress(click.exceptions.Exit):  # --help and --version
        group = cli.make_context("sightflow", list(words))
        name, chosen, rest = cli.resolve_command(group, words)
        context = chosen.make_context(name, rest, parent=group)
        rest = [*context._protected_args, *context.args]  # behind arguments of a group itself
        if isinstance(chosen, click.Group) and rest:
            name, chosen, rest = chosen.resolve_command(context, rest)
            chosen.make_context(name, rest, parent=context)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_to_a_file_and_a_heading(page):
    for target in links(page):
        path, _, anchor = target.partition("#")
        file = (page.parent / path) if path else page
        assert file.exists(), f"{name_of(page)} links to {target}"
        assert not anchor or anchor in anchors(file), f"{name_of(page)} links to {target}"


def test_every_public_name_is_in_the_reference():
    pages = [ROOT / "README.md", *(ROOT / "docs/reference").glob("*.md")]
    words = set(re.findall(r"\w+", "\n".join(page.read_text("utf-8") for page in pages)))
    assert set(sightflow.__all__) - words == set()


def test_no_page_names_a_folder_of_one_machine():
    own = re.compile(r"/tmp/|/home/|/root/|/Users/")
    assert [name_of(page) for page in PAGES if own.search(page.read_text("utf-8"))] == []
