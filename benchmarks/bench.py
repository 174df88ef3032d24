"""What the benchmarks share: facts about the machine, pictures, numbers, JSON, a plot."""

import datetime as dt
import importlib.metadata
import itertools
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

HERE = Path(__file__).resolve().parent
CACHE = HERE / ".cache"
"""What the benchmarks make once and keep: pictures, environments of peers."""

PACKAGES = (
    "apache-flink",
    "numpy",
    "onnxruntime",
    "opencv-python-headless",
    "sightflow",
    "simplejpeg",
    "torch",
)
"""Those of which a report names the version, where they are installed."""
OWN_OUTPUT = ("benchmarks/results", "docs/acceptance.md")
"""What measuring itself writes: a figure does not depend on it."""
PHOTOS = ("astronaut", "camera", "chelsea", "coffee", "rocket")
SIZE = (768, 576)
N_MADE, QUALITY, GRAIN = 200, 90, 4.0


def machine() -> dict[str, Any]:
    """Return what a figure depends on beside the code."""
    cpu = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": cpu[1] if cpu else platform.processor(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": _versions(),
        "date": dt.datetime.now(dt.timezone.utc).date().isoformat(),
        "commit": _commit(),
    }


def _versions() -> dict[str, str]:
    """Return the versions of the packages that are installed; nothing is imported."""
    there = {found.metadata["name"] for found in importlib.metadata.distributions()}
    return {name: importlib.metadata.version(name) for name in PACKAGES if name in there}


def _commit() -> str:
    """Return the commit of the sources, with a mark when files differ from it.

    What the measuring itself writes is no difference, so that one call may measure several things.
    """
    commit = _git("rev-parse", "--short", "HEAD")
    others = (f":(top,exclude){path}" for path in OWN_OUTPUT)
    differs = _git("status", "--porcelain", "--", ":(top)", *others)
    return f"{commit or 'unknown'}{'-dirty' if differs else ''}"


def _git(*words: str) -> str:
    call = ["git", "-C", str(HERE), *words]
    return subprocess.run(call, capture_output=True, text=True, check=False).stdout.strip()


def link_pictures(pictures: Path | None, folder: Path, n_images: int) -> None:
    """Fill a folder with links to the pictures, over and over.

    Args:
        pictures: folder with .jpg files; None takes pictures made from photographs.
        folder: where the links go, as 000000.jpg, 000001.jpg, ...
        n_images: how many links.
    """
    source = pictures or made_pictures()
    files = sorted(path.resolve() for path in source.rglob("*.jpg"))
    if not files:
        sys.exit(f"{source}: holds no .jpg; this benchmark needs pictures there")
    folder.mkdir(parents=True, exist_ok=True)
    for i, file in zip(range(n_images), itertools.cycle(files), strict=False):
        (folder / f"{i:06d}.jpg").symlink_to(file)


def made_pictures() -> Path:
    """Return a folder of 200 JPEGs of 768 x 576, made from scikit-image's photographs if need be.

    They are crops of other places, sizes and directions, always the same. The photographs are
    small, so crops are scaled up; a little grain gives the files back the bytes of a photograph.
    """
    folder = CACHE / f"pictures-{N_MADE}"
    if not folder.exists():
        unfinished = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        _make_pictures(unfinished)
        unfinished.rename(folder)
    return folder


def _make_pictures(folder: Path) -> None:
    import numpy as np
    import skimage.data
    from PIL import Image, ImageOps

    rng = np.random.default_rng(0)
    photos = [Image.fromarray(getattr(skimage.data, name)()).convert("RGB") for name in PHOTOS]
    for i in range(N_MADE):
        photo = photos[i % len(photos)]
        largest = min(photo.width / SIZE[0], photo.height / SIZE[1])
        width, height = (largest * rng.uniform(0.5, 1.0) * side for side in SIZE)
        x, y = rng.uniform(0, photo.width - width), rng.uniform(0, photo.height - height)
        crop = photo.resize(SIZE, Image.Resampling.BICUBIC, box=(x, y, x + width, y + height))
        if rng.random() < 0.5:
            crop = ImageOps.mirror(crop)
        grainy = np.asarray(crop) + rng.normal(0, GRAIN, (SIZE[1], SIZE[0], 1))
        picture = Image.fromarray(grainy.round().clip(0, 255).astype(np.uint8))
        picture.save(folder / f"{i:06d}.jpg", quality=QUALITY)


def median(values: Sequence[float]) -> float:
    """Return the median, to three decimals."""
    return round(statistics.median(values), 3)


def spread(values: Sequence[float]) -> list[float]:
    """Return the smallest and the largest value."""
    return [round(min(values), 3), round(max(values), 3)]


def write_report(path: Path, report: Mapping[str, Any]) -> None:
    """Write a report as JSON; the file is whole at any time.

    It says by which commit, when and on what it was measured, also where the caller does not.
    """
    if "machine" not in report:
        report = {"machine": machine(), **report}
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.part")
    unfinished.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", "utf-8")
    unfinished.replace(path)


@contextmanager
def line_plot(path: Path, title: str, *, size: tuple[float, float]) -> Iterator[Any]:
    """Give the axes of a plot of labelled lines, `size` in inches; write it as a PNG."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, ax = plt.subplots(figsize=size, layout="constrained")
    yield ax
    ax.set_title(title, loc="left")
    ax.legend(frameon=False)
    figure.savefig(path, dpi=120)
    plt.close(figure)


Panel = Mapping[str, Mapping[str, Sequence[float]]]
"""For each series, for each group on the x axis, the values that were measured."""


def plot_bars(path: Path, title: str, panels: Mapping[str, Panel]) -> None:
    """Draw panels of grouped bars: medians, with a line from the smallest to the largest value.

    Args:
        path: the PNG.
        title: of the figure.
        panels: by the title of the panel.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(
        len(panels), 1, figsize=(9, 3.6 * len(panels)), layout="constrained", squeeze=False
    )
    for ax, (name, panel) in zip(axes[:, 0], panels.items(), strict=True):
        _draw_panel(ax, name, panel)
    figure.suptitle(title)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _draw_panel(ax: Any, name: str, panel: Panel) -> None:
    groups = list(dict.fromkeys(group for series in panel.values() for group in series))
    width = 0.8 / max(1, len(panel))
    for i, (series, values) in enumerate(panel.items()):
        at = [groups.index(group) + (i + 0.5) * width - 0.4 for group in values]
        middle = [median(v) for v in values.values()]
        low = [max(0.0, m - min(v)) for m, v in zip(middle, values.values(), strict=True)]
        high = [max(0.0, max(v) - m) for m, v in zip(middle, values.values(), strict=True)]
        bars = ax.bar(at, middle, width, yerr=[low, high], label=series, capsize=2)
        ax.bar_label(bars, fmt="{:.0f}", fontsize=7, padding=2)
    ax.set_title(name, fontsize=10, loc="left")
    ax.set_xticks(range(len(groups)), groups)
    ax.spines[["top", "right"]].set_visible(False)
