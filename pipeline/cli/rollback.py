"""Floor 5, `release rollback`: every target of a wave, or of all, back on its own previous good release."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.cli.carry_out import conclude, stopping
from pipeline.cli.console import Settings, ask, heard, tell
from pipeline.cli.names import a_reason, a_release, a_target
from pipeline.compose import House
from pipeline.engine.loop import Until
from pipeline.errors import UsageError
from stages.rollback import RollbackScope, check_rollback, order_rollback


def register(app: typer.Typer) -> None:
    app.command("rollback")(command)


def command(
    context: typer.Context,
    release: Annotated[str, typer.Argument(help="SERVICE@VERSION")],
    reason: Annotated[str, typer.Option(help="Why; it stands in the journal.")],
    wave: Annotated[int | None, typer.Option(help="This wave and every later one.")] = None,
    only: Annotated[bool, typer.Option("--only", help="With --wave: just that wave.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Recall it everywhere.")] = False,
    target: Annotated[str, typer.Option(help="One target, CLIENT/REGION.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One document on stdout.")] = False,
) -> None:
    """Put targets back, newest first, each on the release it had before. It takes over from a running promotion."""
    settings: Settings = context.obj
    reason = a_reason(reason)
    house = House(settings.project, heard, tell)
    name = a_release(release)
    scope = _scope(wave, only=only, everything=everything, target=target)
    plan = house.fixed_plan(name)
    if plan is None:
        raise UsageError(
            f"{name} was never promoted", state="nothing was changed", remedy=f"see `release history {name}`"
        )
    words = ("rollback", str(name), *_options(scope), "--reason", reason)
    # A typing error must not stop a promotion: what would be refused is refused before anybody is asked, and again
    # before the lease is taken away.
    check_rollback(plan, scope, house.store.journal)
    if not yes:
        ask(f"Roll back {_told(scope)} of {name}?", settings, words)
    check_rollback(plan, scope, house.store.journal)
    with stopping() as signals, house.holding(name.service, preempt=True) as held:
        order_rollback(plan, scope, reason, house.store.journal, held.admission)
        ending = house.drive(plan, held, Until(blocked=False))
    conclude(house, plan, ending, signals, as_json=as_json, ordered=True)


def _scope(wave: int | None, *, only: bool, everything: bool, target: str) -> RollbackScope:
    if (wave is not None) + everything + bool(target) != 1:
        raise UsageError(
            "say what to roll back: exactly one of --wave N, --all and --target CLIENT/REGION",
            state="nothing was changed",
            remedy="see `release rollback --help`",
        )
    found = a_target(target) if target else None
    return RollbackScope(wave=wave, only=only, all=everything, target=found)


def _told(scope: RollbackScope) -> str:
    if scope.target is not None:
        return str(scope.target)
    if scope.all:
        return "every target"
    return f"wave {scope.wave}" + ("" if scope.only else " and all later ones")


def _options(scope: RollbackScope) -> tuple[str, ...]:
    if scope.target is not None:
        return ("--target", str(scope.target))
    if scope.all:
        return ("--all",)
    return ("--wave", str(scope.wave), *(("--only",) if scope.only else ()))
