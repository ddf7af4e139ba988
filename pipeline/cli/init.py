"""Floor 5, `release init`: writes a working project into an empty or new folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.console import result, tell
from pipeline.demo import project_files
from pipeline.errors import UsageError


def register(app: typer.Typer) -> None:
    app.command("init")(init)


def init(
    folder: Annotated[Path, typer.Argument(help="Where to write; made if it does not exist.")],
    sample: Annotated[
        bool, typer.Option("--sample", help="Two sample services and a fleet of twelve clients.")
    ] = False,
) -> None:
    """Make a project: fleet.toml and a service to begin with."""
    files = project_files(sample)
    standing = [file.path for file in files if (folder / file.path).exists()]
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file", state="nothing was written", remedy="name a folder")
    if standing:
        raise UsageError(
            f"{folder} holds {len(standing)} of these files already: {', '.join(standing[:3])}",
            state="nothing was written",
            remedy="name a new folder",
        )
    for file in files:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
    tell(f"{len(files)} files written")
    result(f"{folder}\n\nnext: cd {folder} && git init && release local up")
