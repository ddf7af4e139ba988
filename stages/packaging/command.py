"""Room: stages/packaging. Running a service's own build command: no shell, in its folder, its output shown."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

from pipeline.errors import BuildFailed, ConfigInvalid

__all__ = ["run_build_command"]

_SHELL_WORDS = frozenset({"&&", "||", "|", ";", "&", ">", ">>", "<", "2>", "2>&1"})


def run_build_command(
    command: str, folder: Path, variables: tuple[tuple[str, str], ...], say: Callable[[str], None]
) -> None:
    """ConfigInvalid for a command that needs a shell, BuildFailed where it cannot start or does not exit 0.

    variables: set on top of the environment. say: gets every line of its output as it comes.
    """
    words = _words(command)
    say(f"$ {shlex.join(words)}")
    try:
        process = subprocess.Popen(
            words,
            cwd=folder,
            env={**os.environ, **dict(variables)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as fault:
        raise _failed(words[0], f"cannot be started: {fault.strerror}") from None
    with process:
        assert process.stdout is not None
        for line in process.stdout:
            say(line.rstrip("\n"))
    if process.returncode != 0:
        ended = (
            f"ended with exit code {process.returncode}"
            if process.returncode > 0
            else f"was ended by signal {-process.returncode}"
        )
        raise _failed(shlex.join(words), ended)


def _words(command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as fault:
        raise _invalid(f"it cannot be split into words: {fault}") from None
    if not words:
        raise _invalid("it is empty")
    if _SHELL_WORDS & set(words):
        raise _invalid("it runs without a shell; put the steps into a script and name the script")
    return words


def _invalid(why: str) -> ConfigInvalid:
    return ConfigInvalid(
        f"the build command cannot be run: {why}",
        state="nothing was built or uploaded",
        remedy="correct [service].build in release.toml",
    )


def _failed(command: str, how: str) -> BuildFailed:
    return BuildFailed(
        f"the build command {command} {how}",
        state="nothing was uploaded",
        remedy="correct the build, then run release build again",
    )
