"""How long from the command to the first result? Few pictures, one run after the other.

make bench-coldstart
"""

from sightflow import RunSettings
from variants import compare, parser


def main() -> None:
    """Run the benchmark: embedded Flink, and this process for comparison."""
    arguments = parser(__doc__, "coldstart", images=40).parse_args()
    compare(
        arguments,
        "From the command to the first result",
        {runner: RunSettings(runner=runner) for runner in ("flink", "inline")},
        "first_result_s",
        lambda seconds: {f"first result, {name}, s": value for name, value in seconds.items()},
    )


if __name__ == "__main__":
    main()
