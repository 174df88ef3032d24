"""How much faster are more workers? Each has one thread for its models.

make bench-scaling
"""

from sightflow import RunSettings
from sightflow.settings import n_cores
from variants import compare, parser


def main() -> None:
    """Run the benchmark with 1, 2, 4, ... workers, up to the number of cores."""
    arguments = parser(__doc__, "scaling", images=1_500).parse_args()
    counts = [n for n in (1, 2, 4, 8, 16, 32) if n <= n_cores()]
    compare(
        arguments,
        "Classification by the number of workers",
        {f"{n} workers": RunSettings(workers=n, threads=1) for n in counts},
        "steady_images_per_s",
        lambda speed: {
            f"times as fast with {n} workers": round(speed[f"{n} workers"] / speed["1 workers"], 3)
            for n in counts
        },
    )


if __name__ == "__main__":
    main()
