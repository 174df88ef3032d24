"""Command line: `python -m tools.convert nanodet --out DIR`."""

import hashlib
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import click
import onnx

from tools.convert import (
    blazeface_back,
    efficientnet_lite0,
    mobilefacenet,
    mtcnn_onet,
    nanodet,
)
from tools.convert.compare import MAX_RELATIVE_DIFFERENCE, all_small, compare
from tools.convert.errors import ConvertError
from tools.convert.fetch import Package, download, read_members
from tools.convert.onnx_graph import serialize


@dataclass(frozen=True)
class Recipe:
    """Where the weights of a model come from, and how they become ONNX."""

    package: Package
    convert: Callable[[Mapping[str, bytes]], onnx.ModelProto]


RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "blazeface_back": Recipe(blazeface_back.PACKAGE, blazeface_back.convert),
        "efficientnet_lite0": Recipe(efficientnet_lite0.PACKAGE, efficientnet_lite0.convert),
        "mobilefacenet": Recipe(mobilefacenet.PACKAGE, mobilefacenet.convert),
        "mtcnn_onet": Recipe(mtcnn_onet.PACKAGE, mtcnn_onet.convert),
        "nanodet": Recipe(nanodet.PACKAGE, nanodet.convert),
    }
)


@click.command()
@click.argument("model", type=click.Choice([*RECIPES, "all"]))
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to write MODEL.onnx to.",
)
@click.option(
    "--package",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Archive of the package, downloaded before; without it, pip or npm downloads it.",
)
@click.option(
    "--check",
    "reference",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="ONNX file that must compute the same.",
)
def main(model: str, out: Path, package: Path | None, reference: Path | None) -> None:
    """Make the ONNX file of MODEL from the registry package that its weights come from."""
    if model == "all" and (package or reference):
        raise click.UsageError(
            "`--package` and `--check` must go with one model; got `all`; name the model"
        )
    out.mkdir(parents=True, exist_ok=True)
    try:
        for name in RECIPES if model == "all" else [model]:
            path = _make(name, out, package)
            if reference:
                _check(path, reference)
    except ConvertError as error:
        raise click.ClickException(str(error)) from error


def _make(name: str, out: Path, archive: Path | None) -> Path:
    """Write one model and print its size and digest."""
    recipe = RECIPES[name]
    with tempfile.TemporaryDirectory() as folder:
        archive = archive or download(recipe.package, Path(folder))
        files = read_members(recipe.package, archive)
    content = serialize(recipe.convert(files))
    path = out / f"{name}.onnx"
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    click.echo(f"{path}  {len(content)} bytes  sha256 {digest}")
    return path


def _check(path: Path, reference: Path) -> None:
    """Print how far a model is from the reference; end with status 1 if that is too far."""
    differences = list(compare(path, reference))
    for difference in differences:
        click.echo(
            f"{difference.output}  batch {difference.batch_size}  "
            f"max abs difference {difference.max_abs:.3g}  of range {difference.relative:.3g}"
        )
    if not all_small(differences):
        raise ConvertError(
            f"{path}: differences from {reference} must be at most {MAX_RELATIVE_DIFFERENCE:g} of "
            "an output's range; got the ones above; see which layer was converted differently"
        )


if __name__ == "__main__":
    main(prog_name="python -m tools.convert")
