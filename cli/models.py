"""`stemstream models`: which there are, where their weights are, and fetching them."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from streamer import models
from streamer.errors import WeightsError

app = typer.Typer(help="List the models; fetch their weights.", invoke_without_command=True)

Name = Annotated[str, typer.Argument(metavar="MODEL", help="a name that `stemstream models` lists")]


@app.callback()
def listing(context: typer.Context) -> None:
    """List the models, with their stems, size, licence and where the weights are."""
    if context.invoked_subcommand is not None:
        return
    table = Table("model", "stems", "size", "weights", "licence", show_lines=True)
    for name in models.names():
        info = models.info(name)
        here = models.available(name)
        table.add_row(
            name,
            ", ".join(info.stems),
            _size(here.bytes if here else info.published_bytes),
            str(here.path) if here else _origin(info),
            info.licence,
        )
    Console(highlight=False).print(table)


@app.command()
def download(name: Name) -> None:
    """Fetch a model's weights, so that it works without a network."""
    typer.echo(str(models.download(name)))


@app.command()
def path(name: Name) -> None:
    """Print where a model's weights are."""
    here = models.available(name)
    if here is None:
        raise WeightsError(
            f"the weights of {name} are not on this machine; `stemstream models download {name}` "
            "fetches them"
        )
    typer.echo(str(here.path))


def _size(count: int | None) -> str:
    return "" if count is None else f"{count / 1e6:.0f} MB"


def _origin(info: models.ModelInfo) -> str:
    return {"hub": "to be fetched", "made": f"made from {info.made_from}"}.get(
        info.origin, "none needed"
    )
