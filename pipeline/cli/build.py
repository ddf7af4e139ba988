"""Floor 5, `release build`: once; the same input gives the same digest, and a second build uploads nothing."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.cli.console import Settings, result, result_json, tell
from pipeline.compose import House


def register(app: typer.Typer) -> None:
    app.command("build")(command)


def command(
    context: typer.Context,
    service: Annotated[
        str, typer.Argument(help="Which service; may be left out where there is only one.")
    ] = "",
    version: Annotated[str, typer.Option(help="Instead of the version in the git tag.")] = "",
    allow_dirty: Annotated[bool, typer.Option("--allow-dirty", help="Build uncommitted changes.")] = False,
    allow_untagged: Annotated[
        bool, typer.Option("--allow-untagged", help="With --version: build a commit without its tag.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One document on stdout.")] = False,
) -> None:
    """Package, upload, sign and record a release."""
    settings: Settings = context.obj
    house = House(settings.project)
    built = house.build(
        service, version=version, allow_dirty=allow_dirty, allow_untagged=allow_untagged, say=tell
    )
    release, digest = built.manifest.release, built.manifest.digest
    if as_json:
        result_json(
            {
                "format_version": 1,
                "release": str(release),
                "digest": digest,
                "uploads": built.uploads,
                "already": built.already,
            }
        )
        return
    done = "was built before; nothing was uploaded" if built.already else f"{built.uploads} objects uploaded"
    result(f"{release}\n  {digest}\n  {done}\n\nnext: release test {release}")
