"""Fixtures of the acceptance tests: one small company per worker, each test with a service of its own in it."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator

import pytest

from pipeline.adapters.local.front import process
from tests.acceptance.company import CLIENTS, ROOT, Company, Service
from tests.acceptance.software import Software
from tests.local_aws import Front, front

__all__ = ["company", "front", "service"]

_OWN = ("AWS_", "PYTEST_", "TIDEGATE_", "RELEASE_")


@pytest.fixture(scope="session")
def company(front: Front, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    """Bootstrapped: accounts, roles, buckets, key. Ends with a look for credentials in everything it left behind."""
    root = tmp_path_factory.mktemp("company") / "project"
    root.mkdir()
    made = Company(front=front, root=root, environment=_environment(front))
    (root / "fleet.toml").write_text(_fleet(), encoding="utf-8")
    (root / ".gitignore").write_text(".tidegate/\n*.json\n", encoding="utf-8")
    made.git("init", "--quiet", "--initial-branch=main")
    made.service("lamp").write(Software(version="0.1.0"), own_stack=True)
    made.release("bootstrap", "all")
    made.commit()
    yield made
    assert made.leaks() == []


@pytest.fixture
def service(company: Company, request: pytest.FixtureRequest) -> Callable[..., Service]:
    """`service(bake="1s", …)`: a service named after the test, with these [waves]."""
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_")).strip("-")
    name = f"{words[:18].strip('-')}-{hashlib.sha256(words.encode()).hexdigest()[:6]}"

    def make(**waves: object) -> Service:
        return company.service(name, **waves)

    return make


def _environment(front: Front) -> dict[str, str]:
    """A shell in which `eval "$(release local env)"` was typed, and nothing of this test run."""
    shell = {name: value for name, value in os.environ.items() if not name.startswith(_OWN)}
    local = {name: value for name, value in process.environment(front.home).items() if value}
    return {**shell, **local, "PYTHONPATH": str(ROOT)}


def _fleet() -> str:
    """`lamp` has an account of its own; the services of single tests do without."""
    lines = ["[accounts]", 'email = "qa@example.com"', "[health]", 'allow = ["127.0.0.1"]']
    lines += ["[[service]]", 'name = "lamp"', 'regions = ["us-east-1"]']
    for name, regions in CLIENTS.items():
        listed = ", ".join(f'"{region}"' for region in regions)
        ring = "early" if name == "ada" else "main"
        lines += ["[[client]]", f'name = "{name}"', f"regions = [{listed}]", f'ring = "{ring}"']
        lines += ['services = ["lamp"]']
    return "\n".join(lines) + "\n"
