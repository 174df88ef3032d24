"""How fast is a GPU? Workers' calls merged into large batches, against the CPU of the same machine.

    make bench-gpu

Without a GPU that ONNX Runtime can use it says so, writes that it was skipped, and ends with 0.
"""

import onnxruntime

from bench import machine, write_report
from sightflow import RunSettings
from sightflow.settings import n_cores
from variants import compare, parser

PROVIDERS = {"cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}


def main() -> None:
    """Run the benchmark on every device that is there."""
    arguments = parser(__doc__, "gpu", images=20_000).parse_args()
    there = onnxruntime.get_available_providers()
    devices = [device for device, provider in PROVIDERS.items() if provider in there]
    if not devices:
        reason = f"ONNX Runtime has no GPU provider here, only {', '.join(there)}"
        print(f"skipped: {reason}; install `onnxruntime-gpu` on a machine with an NVIDIA GPU")
        write_report(arguments.out, {"machine": machine(), "skipped": reason})
        return
    workers = 2 * n_cores()  # half of them decode while the GPU works for the others
    variants = {"cpu": RunSettings(device="cpu")} | {
        f"{device}, batch {size}": RunSettings(device=device, workers=workers, max_batch=size)
        for device in devices
        for size in (1, 8, 32)
    }
    compare(
        arguments,
        "Classification on a GPU",
        variants,
        "steady_images_per_s",
        lambda speed: {
            f"{name}, times the CPU": round(speed[name] / speed["cpu"], 2) for name in variants
        },
    )


if __name__ == "__main__":
    main()
