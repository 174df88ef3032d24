"""The rules of the house: imports point down, and files, functions and names stay small."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import sightflow

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "sightflow"
FILES = sorted(PACKAGE.rglob("*.py"))
NAMES = [str(path.relative_to(PACKAGE)) for path in FILES]

HEAVY = ("pyflink", "torch", "onnxruntime", "cv2")
NO_NOUNS = {"utils", "util", "common", "core", "helpers", "helper", "misc", "base"}
MAX_LINES, MAX_BODY, MAX_PARAMETERS, MAX_PUBLIC = 400, 40, 8, 26

EACH_FILE = pytest.mark.parametrize("path", FILES, ids=NAMES)

Function = ast.FunctionDef | ast.AsyncFunctionDef


def nodes(path: Path, *kinds: type[ast.AST]) -> Iterator[ast.AST]:
    return (n for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, kinds))


def body_lines(function: Function) -> int:
    """Return the lines of a body, from the first statement after the docstring to the last."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def n_parameters(function: Function) -> int:
    args = function.args
    return len(args.posonlyargs) + len(args.args) + len(args.kwonlyargs) - 1  # without self


def is_dataclass(node: ast.ClassDef) -> bool:
    return any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list)


def n_required_fields(node: ast.ClassDef) -> int:
    """Return how many arguments a dataclass cannot be made without; options have defaults."""
    return sum(isinstance(item, ast.AnnAssign) and item.value is None for item in node.body)


def test_the_files_were_found() -> None:
    assert len(FILES) >= 40


def test_imports_point_down_only() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-2_000:]


def loaded_by(code: str) -> set[str]:
    """Return which heavy libraries a fresh Python has loaded after running `code`."""
    report = f"import sys; print(*[m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; {report}"], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded_by("import sightflow") == set()


def test_describing_a_pipeline_loads_no_flink_and_no_model_library() -> None:
    code = "from sightflow import *"
    assert loaded_by(code) & {"pyflink", "torch", "onnxruntime"} == set()


@EACH_FILE
def test_a_file_is_not_too_long(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= MAX_LINES


@EACH_FILE
def test_a_function_is_not_too_long(path: Path) -> None:
    functions = list(nodes(path, ast.FunctionDef, ast.AsyncFunctionDef))
    assert [f.name for f in functions if body_lines(f) > MAX_BODY] == []  # type: ignore[attr-defined,arg-type]


@EACH_FILE
def test_a_constructor_takes_few_parameters(path: Path) -> None:
    classes = [node for node in nodes(path, ast.ClassDef) if isinstance(node, ast.ClassDef)]
    written = [
        (node.name, n_parameters(item))
        for node in classes
        for item in node.body
        if isinstance(item, ast.FunctionDef) and item.name == "__init__"
    ]
    generated = [(node.name, n_required_fields(node)) for node in classes if is_dataclass(node)]
    assert [found for found in written + generated if found[1] > MAX_PARAMETERS] == []


@EACH_FILE
def test_every_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text("utf-8")))


def test_files_and_folders_are_named_by_a_noun() -> None:
    parts = {part for path in FILES for part in path.relative_to(PACKAGE).with_suffix("").parts}
    assert parts & NO_NOUNS == set()


def test_a_name_of_a_room_has_one_home() -> None:
    rooms = ("dashboard", "engine", "learn", "metrics", "ops", "sinks", "sources", "tasks")
    texts = {room: (PACKAGE / room / "__init__.py").read_text("utf-8") for room in rooms}
    assert [room for room, text in texts.items() if len(ast.parse(text).body) != 1] == []


def test_only_the_flink_room_imports_pyflink() -> None:
    places = {
        path.relative_to(PACKAGE).parts[0]
        for path in FILES
        for node in nodes(path, ast.Import, ast.ImportFrom)
        if "pyflink" in ast.unparse(node)
    }
    assert places == {"flink"}


@pytest.mark.parametrize(
    ("library", "file"),
    [
        ("motrics", "metrics/tracking.py"),
        ("confluent_kafka", "storage/kafka.py"),
        ("jgo", "flink/jars.py"),
    ],
)
def test_only_one_file_imports_a_library(library: str, file: str) -> None:
    places = [
        name
        for name, path in zip(NAMES, FILES, strict=True)
        for node in nodes(path, ast.Import, ast.ImportFrom)
        if library in ast.unparse(node)
    ]
    assert places == [file]


def test_there_are_few_public_names_and_each_can_be_loaded() -> None:
    assert 10 <= len(sightflow.__all__) <= MAX_PUBLIC
    assert [name for name in sightflow.__all__ if getattr(sightflow, name, None) is None] == []


def test_type_checkers_see_the_same_public_names() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text("utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = [
        alias.asname or alias.name
        for node in ast.walk(block)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    assert sorted(seen) == list(sightflow.__all__)


def test_a_public_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'sightflow' has no attribute 'Nope'"):
        _ = sightflow.Nope
