"""How good and how fast is training on the stream, beside a bare PyTorch loop on the same images?

    make bench-training ARGS="DATA"
    make bench-training ARGS="DATA --examples gtsrb --passes 5"

DATA is a folder with `gtsrb` and `cifar10`, each with `train.zip` and `test.zip`: a folder for each
class. It is not part of the project. Both sides take the images of `examples/NAME.yaml` in the same
order, with the same network, batches, rates and kind of augmentation; the loop decodes each image,
makes a step of a batch, and averages the weights, in one process with one thread for PyTorch. It
classifies nothing but the test images, while Sightflow tests every image before it learns from it.

Needs PyTorch: make setup-train.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench import HERE, line_plot, machine, write_report
from sightflow import JsonEvents, Pipeline, RunSettings, run
from sightflow.configuration import read_pipeline
from sightflow.engine.plan import informed
from sightflow.learn.torch_modules import conv_net
from sightflow.learn.train import Train
from sightflow.ops.decode import decode
from sightflow.protocols import Context
from sightflow.records import Claim, EncodedImage
from sightflow.sources.passes import Passes

EXAMPLES = ("gtsrb", "cifar10")


def described(
    name: str, data: Path, folder: Path, passes: int | None
) -> tuple[Pipeline, RunSettings]:
    """Return the pipeline of an example, with its labels; its schedule fits the passes."""
    values = {"data": str(data / name), "registry": str(folder / "models")}
    pipeline, settings = read_pipeline(HERE.parent / "examples" / f"{name}.yaml", values)
    source = pipeline.source
    assert isinstance(source, Passes)
    n_passes = passes or source.n_passes
    pipeline = replace(pipeline, source=replace(source, n_passes=n_passes, test_every=n_passes))
    pipeline = informed(pipeline)
    train, *rest = pipeline.learning
    publish = replace(train.operator.publish, every_steps=None)
    operator = replace(train.operator, publish=publish)
    return replace(pipeline, learning=(replace(train, operator=operator), *rest)), settings


@dataclass
class Loop:
    """A bare loop of PyTorch."""

    how: Train
    network: Any
    average: Any
    descent: Any
    step: int = 0

    @classmethod
    def begin(cls, how: Train) -> "Loop":
        """Return the loop with the first weights."""
        import copy

        import torch

        torch.set_num_threads(1)
        torch.manual_seed(how.seed)
        network = conv_net(
            num_classes=len(how.labels),
            size=how.network.preprocess.size,
            width=how.network.width,
            depth=how.network.depth,
            dropout=how.network.dropout,
        ).to(memory_format=torch.channels_last)
        plain = [p for p in network.parameters() if p.ndim < 2]
        decayed = [p for p in network.parameters() if p.ndim > 1]
        groups = [
            {"params": decayed, "weight_decay": how.optimiser.weight_decay},
            {"params": plain, "weight_decay": 0.0},
        ]
        descent = torch.optim.AdamW(groups, lr=how.optimiser.rate)
        return cls(how, network, copy.deepcopy(network).eval(), descent)

    def learn(self, images: npt.NDArray[np.uint8], class_ids: Sequence[int]) -> None:
        """Make a step."""
        import torch

        if self.how.augment is not None:
            images = self.how.augment.apply(images, np.random.default_rng(self.step))
        for group in self.descent.param_groups:
            group["lr"] = self.how.optimiser.rate_at(self.step)
        self.network.train()
        self.descent.zero_grad()
        smoothing = self.how.network.label_smoothing
        target = torch.tensor(class_ids)
        loss = torch.nn.functional.cross_entropy(
            self.network(prepared(images)), target, label_smoothing=smoothing
        )
        loss.backward()
        self.descent.step()
        stays = self.how.optimiser.averaging_at(self.step)
        with torch.no_grad():
            pairs = zip(
                self.average.state_dict().values(), self.network.state_dict().values(), strict=True
            )
            for kept, now in pairs:
                if kept.is_floating_point():
                    kept.lerp_(now, 1 - stays)
        self.step += 1

    def right(self, images: npt.NDArray[np.uint8], class_ids: Sequence[int]) -> int:
        """Return how many images are classified rightly."""
        import torch

        with torch.no_grad():
            said = self.average(prepared(images)).argmax(dim=1).numpy()
        return int((said == np.array(class_ids)).sum())


def prepared(images: npt.NDArray[np.uint8]) -> Any:
    """Return images as PyTorch takes them, each with mean 0 and deviation 1."""
    import torch

    batch = torch.tensor(images).permute(0, 3, 1, 2).float()
    batch = batch.contiguous(memory_format=torch.channels_last)
    mean = batch.mean(dim=(1, 2, 3), keepdim=True)
    return (batch - mean) / batch.std(dim=(1, 2, 3), keepdim=True).clamp_min(1.0)


def decoded(
    source: Passes, claims: Sequence[Claim], how: Train
) -> Iterator[tuple[npt.NDArray[np.uint8], list[int]]]:
    """Yield batches of images, uint8 [B, H, W, 3], and their classes."""
    read, prepare = source.open(Context("read")), how.network.preprocess.compile()
    for start in range(0, len(claims), how.batch_size):
        part = claims[start : start + how.batch_size]
        images = [next(iter(read(claim))) for claim in part]
        pixels = [decode(i.data).pixels for i in images if isinstance(i, EncodedImage)]
        batch = np.stack([prepare(one)[0] for one in pixels])
        yield batch, [how.labels.index(str(claim.origin.label)) for claim in part]


def bare_loop(pipeline: Pipeline) -> dict[str, Any]:
    """Train without Flink; return test accuracy and speed."""
    how, source = pipeline.learning[0].operator, pipeline.source
    claims = list(source.claims())
    to_learn = [claim for claim in claims if not claim.origin.held_out]
    tests = [claim for claim in claims if claim.origin.held_out]
    loop = Loop.begin(how)
    started, cpu = time.perf_counter(), time.process_time()
    for images, class_ids in decoded(source, to_learn, how):
        loop.learn(images, class_ids)
    seconds, cpu_s = time.perf_counter() - started, time.process_time() - cpu
    right = sum(loop.right(images, ids) for images, ids in decoded(source, tests, how))
    return {
        "images": len(to_learn),
        "test_accuracy": right / len(tests),
        "images_per_s": round(len(to_learn) / seconds, 1),
        "images_per_cpu_s": round(len(to_learn) / cpu_s, 1),
    }


def on_flink(pipeline: Pipeline, settings: RunSettings, folder: Path) -> dict[str, Any]:
    """Train on Flink; return test accuracy, speed and the prequential curve."""
    events = folder / "events.jsonl"
    times: list[tuple[float, int]] = []

    def note(ledger: Any, n_images: int | None) -> None:
        times.append((time.perf_counter(), ledger.read))

    summary = run(
        pipeline.write("events", JsonEvents(str(events), overwrite=True)),
        settings,
        on_progress=note,
    )
    told = [json.loads(line) for line in events.read_text().splitlines()]
    (test,) = (event["figures"] for event in told if event["kind"] == "tested")
    evaluated = [event["figures"] for event in told if event["kind"] == "evaluated"]
    n_tests = int(test["n"])
    n_images = summary.ledger.read - n_tests
    begun = next(t for t, n in times if n)
    learned = next(t for t, n in times if n >= n_images)
    first = next(n for t, n in times if n)
    return {
        "images": n_images,
        "test_accuracy": test["accuracy"],
        "images_per_s": round((n_images - first) / (learned - begun), 1),
        "with_start_images_per_s": round(n_images / summary.seconds, 1),
        "prequential": [[e["n"], e["window_accuracy"]] for e in evaluated],
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--examples", default=",".join(EXAMPLES), help=f"of {','.join(EXAMPLES)}")
    parser.add_argument("--passes", type=int, help="over the images [as in the example]")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "training.json")
    arguments = parser.parse_args()
    report: dict[str, Any] = {"machine": machine(), "examples": {}}
    for name in arguments.examples.split(","):
        if not (arguments.data / name / "train.zip").is_file():
            sys.exit(f"{arguments.data / name}: no train.zip; this benchmark needs its data")
        with tempfile.TemporaryDirectory() as scratch:
            pipeline, settings = described(name, arguments.data, Path(scratch), arguments.passes)
            found = {"passes": pipeline.source.n_passes}
            found["sightflow"] = on_flink(pipeline, settings, Path(scratch))
            print(name, json.dumps({**found["sightflow"], "prequential": "..."}), flush=True)
            found["bare_loop"] = bare_loop(pipeline)
            print(name, json.dumps(found["bare_loop"]), flush=True)
        report["examples"][name] = found
        write_report(arguments.out, report)
    with line_plot(
        arguments.out.with_suffix(".png"), "Before it is learned from", size=(8, 4)
    ) as ax:
        for name, found in report["examples"].items():
            curve = np.array(found["sightflow"]["prequential"])
            ax.plot(curve[:, 0], 100 * curve[:, 1], label=name)
        ax.set_xlabel("images")
        ax.set_ylabel("right in the last 1,000 images, %")
        ax.set_ylim(0, 100)
        ax.grid(alpha=0.3)


if __name__ == "__main__":
    main()
