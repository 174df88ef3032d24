"""What do checkpoints cost? Every second, every ten seconds (the default), and never.

make bench-checkpoint
"""

from sightflow import RunSettings
from variants import compare, parser

NEVER_MS = 86_400_000


def main() -> None:
    """Run the benchmark."""
    arguments = parser(__doc__, "checkpoint", images=3_000).parse_args()
    intervals = {"every 1 s": 1_000, "every 10 s": 10_000, "never": NEVER_MS}
    compare(
        arguments,
        "Classification by the time between checkpoints",
        {name: RunSettings(checkpoint_interval_ms=ms) for name, ms in intervals.items()},
        "steady_images_per_s",
        lambda speed: {
            f"cost {name}, %": round(100 * (1 - speed[name] / speed["never"]), 2)
            for name in intervals
        },
    )


if __name__ == "__main__":
    main()
