"""Reads sources as syntax trees: what a file imports, calls and says. It runs nothing of what it reads."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("pipeline", "stages")

FLOORS: tuple[tuple[int, tuple[str, ...]], ...] = (
    (5, ("pipeline.cli", "pipeline.pytest_plugin")),
    (4, ("pipeline.compose",)),
    (3, ("stages", "pipeline.engine", "pipeline.adapters", "pipeline.config")),
    (2, ("pipeline.decide", "pipeline.views", "pipeline.ports")),
    (1, ("pipeline.model",)),
    (0, ("pipeline.errors", "pipeline.cloudformation", "pipeline.demo")),
)
PURE = ("pipeline.model", "pipeline.decide", "pipeline.views", "pipeline.ports")
IMPURE_MODULES = frozenset(
    {
        "asyncio",
        "boto3",
        "botocore",
        "cfnlint",
        "fileinput",
        "getpass",
        "git",
        "glob",
        "http",
        "io",
        "logging",
        "ministack",
        "multiprocessing",
        "os",
        "pathlib",
        "queue",
        "random",
        "requests",
        "rich",
        "secrets",
        "shutil",
        "signal",
        "socket",
        "sqlite3",
        "subprocess",
        "sys",
        "tempfile",
        "threading",
        "time",
        "typer",
        "urllib.request",
        "uuid",
    }
)
IMPURE_CALLS = frozenset({"open", "input", "print", "eval", "exec", "compile", "__import__"})
CLOCK_READS = frozenset({"now", "utcnow", "today"})


@dataclass(frozen=True, slots=True)
class Import:
    line: int
    module: str
    """Absolute; `?` where it is worked out at run time."""


def sources(root: Path) -> Iterator[Path]:
    for package in PACKAGES:
        yield from sorted((root / package).rglob("*.py"))


def module_of(path: Path, root: Path) -> str:
    parts = list(path.relative_to(root).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> tuple[int, str] | None:
    """(floor, room). The packages' own roots hold nothing and lie below everything."""
    if module == "pipeline":
        return 0, "pipeline"
    for floor, rooms in FLOORS:
        for room in rooms:
            if module == room or module.startswith(room + "."):
                return floor, room
    return None


def imports(path: Path, root: Path) -> tuple[Import, ...]:
    """Every import, whatever its form and wherever it stands: absolute, relative, in a function, by a literal
    given to importlib.import_module or __import__."""
    module = module_of(path, root)
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found: list[Import] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        match node:
            case ast.Import(names=names):
                found += [Import(node.lineno, alias.name) for alias in names]
            case ast.ImportFrom(module=source, names=names, level=level):
                base = _absolute(package, source, level)
                found += [Import(node.lineno, name) for name in _from(base, names, root)]
            case ast.Call() if _imports_at_run_time(node):
                found.append(Import(node.lineno, _literal(node, package)))
            case _:
                pass
    return tuple(found)


def _absolute(package: str, source: str | None, level: int) -> str:
    if level == 0:
        return source or ""
    parts = package.split(".")
    base = parts[: len(parts) - (level - 1)]
    return ".".join([*base, *([source] if source else [])])


def _from(base: str, names: list[ast.alias], root: Path) -> Iterator[str]:
    """`from pipeline import errors` imports the module pipeline.errors, not only the package."""
    folder = root.joinpath(*base.split("."))
    for alias in names:
        if (folder / f"{alias.name}.py").exists() or (folder / alias.name).is_dir():
            yield f"{base}.{alias.name}"
        else:
            yield base


def _imports_at_run_time(node: ast.Call) -> bool:
    match node.func:
        case ast.Attribute(attr="import_module") | ast.Name(id="import_module" | "__import__"):
            return True
        case _:
            return False


def _literal(node: ast.Call, package: str) -> str:
    match node.args:
        case [ast.Constant(value=str(name)), *_]:
            level = len(name) - len(name.lstrip("."))
            return _absolute(package, name.lstrip(".") or None, level)
        case _:
            return "?"


def floor_offences(path: Path, root: Path) -> tuple[str, ...]:
    """Imports of this file that do not go down."""
    own = room_of(module_of(path, root))
    where = path.relative_to(root)
    if own is None:
        return (f"{where}: belongs to no floor",)
    offences: list[str] = []
    for found in imports(path, root):
        if found.module == "?":
            if own[0] < 5:
                offences.append(f"{where}:{found.line}: imports something worked out at run time")
            continue
        if found.module.split(".")[0] not in PACKAGES:
            continue
        other = room_of(found.module)
        if other is None:
            offences.append(f"{where}:{found.line}: {found.module} belongs to no floor")
        elif other[1] != own[1] and other[0] >= own[0] and other[1] != "pipeline":
            offences.append(
                f"{where}:{found.line}: floor {own[0]} ({own[1]}) imports floor {other[0]} ({found.module})"
            )
    return tuple(offences)


def purity_offences(path: Path, root: Path) -> tuple[str, ...]:
    """What a pure file does that reaches the world: imports, built-in functions, the clock."""
    where = path.relative_to(root)
    offences = [
        f"{where}:{found.line}: imports {found.module}"
        for found in imports(path, root)
        if any(found.module == bad or found.module.startswith(bad + ".") for bad in IMPURE_MODULES)
        or found.module == "?"
    ]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in IMPURE_CALLS:
                offences.append(f"{where}:{node.lineno}: calls {name}()")
            case ast.Attribute(attr=attr, value=value) if attr in CLOCK_READS and _is_a_clock(value):
                offences.append(f"{where}:{node.lineno}: reads the clock by {attr}")
            case _:
                pass
    return tuple(offences)


def _is_a_clock(value: ast.expr) -> bool:
    match value:
        case ast.Name(id="datetime" | "date") | ast.Attribute(attr="datetime" | "date"):
            return True
        case _:
            return False


def functions_reading_stdin(path: Path, root: Path) -> tuple[str, ...]:
    """`file:function` of everything that reads the terminal or standard input; `<module>` outside functions."""
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return tuple(sorted({f"{path.relative_to(root)}:{name}" for name in _stdin_readers(tree, "<module>")}))


def _stdin_readers(node: ast.AST, function: str) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        inside = child.name if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else function
        match child:
            case ast.Call(func=ast.Name(id="input" | "getpass")):
                yield inside
            case ast.Attribute(attr="stdin", value=ast.Name(id="sys")):
                yield inside
            case ast.Call(
                func=ast.Attribute(attr="prompt" | "confirm" | "getpass", value=ast.Name(id=owner))
            ) if owner in ("typer", "click", "getpass"):
                yield inside
            case ast.ImportFrom(module="rich.prompt") | ast.ImportFrom(module="fileinput"):
                yield inside
            case _:
                pass
        yield from _stdin_readers(child, inside)
