"""Command line: `python -m tools.roads signs PHOTOS OUT`."""

import click

from tools.roads.signs import signs


@click.group()
def main() -> None:
    """Make pictures of roads to train with."""


main.add_command(signs)

if __name__ == "__main__":
    main()
