"""`stemstream models`: which there are, where their weights are, and fetching them."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from cli.terminal import output, print_path
from streamer import models
from streamer.errors import WeightsError

app = typer.Typer(help="List the models; fetch their weights.", invoke_without_command=True)

Name = Annotated[str, typer.Argument(metavar="MODEL", help="a name that `stemstream models` lists")]


@app.callback()
def listing(context: typer.Context) -> None:
    """List the models, with their stems, size, licence and where the weights are."""
    if context.invoked_subcommand is not None:
        return
    table = Table("model", "stems", "size", "weights", "licence", box=None)
    licences = list(dict.fromkeys(models.info(name).licence for name in models.names()))
    places = []
    for name in models.names():
        info = models.info(name)
        here = models.available(name)
        table.add_row(
            name,
            " ".join(info.stems),
            _size(here.bytes if here else info.published_bytes),
            "here" if here else _origin(info),
            f"[{1 + licences.index(info.licence)}]",
        )
        if here:
            places.append(f"{name} is in {here.path}")
    notes = [f"[{number}] {licence}" for number, licence in enumerate(licences, start=1)]
    output.print(table)
    output.print("\n".join(["", *notes, *places]), soft_wrap=True)


@app.command()
def download(name: Name) -> None:
    """Fetch a model's weights, so that it works without a network."""
    _needs_weights(name)
    for file in models.download(name):
        print_path(file)


@app.command()
def path(name: Name) -> None:
    """Print where a model's weights are."""
    here = models.available(name)
    if here is None:
        _needs_weights(name)
        raise WeightsError(
            f"the weights of {name} are not on this machine; `stemstream models download {name}` "
            "fetches them"
        )
    print_path(here.path)


def _needs_weights(name: str) -> None:
    if name in models.names() and models.info(name).origin == "none":
        raise WeightsError(f"{name} has no weights; it works as it is")


def _size(count: int | None) -> str:
    return "" if count is None else f"{count / 1e6:.0f} MB"


def _origin(info: models.ModelInfo) -> str:
    return {"hub": "to be fetched", "made": f"from {info.made_from}"}.get(
        info.origin, "none needed"
    )
