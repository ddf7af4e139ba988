"""A corpus of broken configurations, templates, plans and command lines: each a clear error with its own exit code,
nothing on stdout, nothing written, no traceback, and no AWS needed to say so.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.cli.main import main

FLEET = """\
[tools]
management = "111111111111"
account = "222222222222"
release_key = "arn:aws:kms:us-east-1:222222222222:key/11111111-2222-3333-4444-555555555555"
organization = "o-abcdefghij"
[accounts]
email = "qa@example.com"
[health]
allow = ["*.example.com"]
[[service]]
name = "lamp"
account = "333333333333"
regions = ["us-east-1"]
[[client]]
name = "ada"
account = "444444444444"
regions = ["us-east-1", "eu-west-1"]
services = ["lamp"]
"""
RELEASE = """\
[service]
name = "lamp"
[stack.client]
template = "client.yaml"
[waves]
bake = "1h"
"""
TEMPLATE = """\
Parameters: {Client: {Type: String}}
Resources:
  Greeting: {Type: AWS::SSM::Parameter, Properties: {Type: String, Value: !Ref Client}}
  Function: {Type: AWS::Lambda::Function, Properties: {Code: code, Handler: app.answer, Runtime: python3.12}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """One change to one file of a good project, and what must be said about it."""

    file: str
    old: str
    new: str
    says: str
    code: int = 2


FLEETS = {
    "not TOML": Broken(file="fleet.toml", old="[accounts]", new="[accounts", says="fleet.toml"),
    "an unknown table": Broken(file="fleet.toml", old="[health]", new="[helth]", says="helth"),
    "an unknown key": Broken(file="fleet.toml", old="email =", new="mail =", says="mail"),
    "an unquoted account": Broken(file="fleet.toml", old='"444444444444"', new="444444444444", says="quote"),
    "a short account": Broken(
        file="fleet.toml", old='"444444444444"', new='"44444"', says="client[0].account"
    ),
    "a letter in an account": Broken(
        file="fleet.toml", old='"444444444444"', new='"44444444444O"', says="client[0].account"
    ),
    "the same account twice": Broken(
        file="fleet.toml", old='"444444444444"', new='"333333333333"', says="333333333333"
    ),
    "the same client twice": Broken(
        file="fleet.toml",
        old="[[client]]",
        new='[[client]]\nname = "ada"\nregions = ["us-east-1"]\n[[client]]',
        says="ada",
    ),
    "no Region": Broken(
        file="fleet.toml", old='["us-east-1", "eu-west-1"]', new="[]", says="client[0].regions"
    ),
    "a Region that is none": Broken(file="fleet.toml", old='"eu-west-1"', new='"europe"', says="europe"),
    "the same Region twice": Broken(
        file="fleet.toml", old='"eu-west-1"', new='"us-east-1"', says="us-east-1"
    ),
    "a service nobody has": Broken(file="fleet.toml", old='["lamp"]', new='["lampe"]', says="lampe"),
    "a name with capitals": Broken(file="fleet.toml", old='"ada"', new='"Ada"', says="client[0].name"),
    "no mailbox": Broken(file="fleet.toml", old="qa@example.com", new="qa", says="accounts.email"),
    "a mailbox with a plus": Broken(file="fleet.toml", old="qa@", new="qa+x@", says="accounts.email"),
    "a host with a path": Broken(
        file="fleet.toml", old="*.example.com", new="https://x.example.com/y", says="health.allow[0]"
    ),
    "a release key of another shape": Broken(
        file="fleet.toml", old="arn:aws:kms", new="arn:aws:s3", says="tools.release_key"
    ),
    "a NUL": Broken(file="fleet.toml", old='"qa@example.com"', new='"qa\0@example.com"', says="fleet.toml"),
    "a client's path as a name": Broken(
        file="fleet.toml", old='"ada"', new='"../ada"', says="client[0].name"
    ),
}
RELEASES = {
    "not TOML": Broken(file="lamp/release.toml", old='"lamp"', new='"lamp', says="lamp/release.toml"),
    "an unknown key": Broken(file="lamp/release.toml", old="bake", new="backe", says="backe"),
    "a time without a unit": Broken(file="lamp/release.toml", old='"1h"', new="60", says="waves.bake"),
    "a negative time": Broken(file="lamp/release.toml", old='"1h"', new='"-1h"', says="waves.bake"),
    "another service's name": Broken(file="lamp/release.toml", old='"lamp"', new='"bell"', says="bell"),
    "a template that is not there": Broken(
        file="lamp/release.toml", old="client.yaml", new="other.yaml", says="stack.client.template"
    ),
    "a template outside": Broken(
        file="lamp/release.toml", old="client.yaml", new="../fleet.toml", says="stack.client.template"
    ),
    "no stack": Broken(file="lamp/release.toml", old="[stack.client]", new="[stack.client2]", says="stack"),
    "a tolerance below zero": Broken(
        file="lamp/release.toml", old='bake = "1h"', new="tolerance = -1", says="waves.tolerance"
    ),
    "nobody in flight": Broken(
        file="lamp/release.toml", old='bake = "1h"', new="max_in_flight = 0", says="waves.max_in_flight"
    ),
    "a size above all": Broken(
        file="lamp/release.toml", old='bake = "1h"', new='sizes = ["120%"]', says="waves.sizes[0]"
    ),
    "the rest before the end": Broken(
        file="lamp/release.toml", old='bake = "1h"', new='sizes = ["rest", 1]', says="waves.sizes"
    ),
    "a word for on_fail that is none": Broken(
        file="lamp/release.toml",
        old='bake = "1h"',
        new='on_fail = { wave = "ignore" }',
        says="waves.on_fail.wave",
    ),
}
TEMPLATES = {
    "not YAML": Broken(file="lamp/client.yaml", old="Resources:", new="Resources: [", says="client.yaml"),
    "not a mapping": Broken(file="lamp/client.yaml", old=TEMPLATE, new="- 1\n- 2\n", says="client.yaml"),
    "empty": Broken(file="lamp/client.yaml", old=TEMPLATE, new="", says="client.yaml"),
    "no resources": Broken(file="lamp/client.yaml", old="Resources:", new="Ressources:", says="Resources"),
    "a duplicate key": Broken(file="lamp/client.yaml", old="  Function:", new="  Greeting:", says="Greeting"),
    "an unknown tag": Broken(file="lamp/client.yaml", old="!Ref", new="!Reff", says="Reff"),
    "a tag that runs Python": Broken(
        file="lamp/client.yaml",
        old="!Ref Client",
        new="!!python/object/apply:os.getcwd []",
        says="client.yaml",
    ),
    "code that is not there": Broken(
        file="lamp/client.yaml", old="Code: code", new="Code: cod", says="'cod' is neither a file nor", code=1
    ),
    "code outside the folder": Broken(
        file="lamp/client.yaml", old="Code: code", new="Code: ../..", says="lies outside", code=1
    ),
    "a mark of its own": Broken(
        file="lamp/client.yaml", old="  Greeting:", new="  TidegateReleaseMark:", says="TidegateReleaseMark"
    ),
    "an alias bomb": Broken(
        file="lamp/client.yaml",
        old=TEMPLATE,
        new="a: &a [x,x,x,x,x,x,x,x,x]\n"
        + "".join(
            f"{n}: &{n} [{','.join(['*' + p] * 9)}]\n" for p, n in zip("abcdefgh", "bcdefghi", strict=True)
        ),
        says="client.yaml",
    ),
}
PLANS = {
    "not JSON": "{",
    "empty": "",
    "a list": "[]",
    "a number": "17",
    "no plan in it": json.dumps({"format_version": 1, "digest": "sha256:" + "0" * 64}),
    "a digest that is none": json.dumps({"format_version": 1, "digest": "abc", "plan": {}}),
    "not text": "\x00\x01\x02",
    "nested without end": "[" * 100_000,
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A good project, committed and tagged, in a shell without any credentials."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    nowhere = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    nowhere |= {name: str(tmp_path / "none") for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")}
    for name, value in nowhere.items():
        monkeypatch.setenv(name, value)
    root = tmp_path / "project"
    (root / "lamp" / "code").mkdir(parents=True)
    (root / "fleet.toml").write_text(FLEET, encoding="utf-8")
    (root / "lamp" / "release.toml").write_text(RELEASE, encoding="utf-8")
    (root / "lamp" / "client.yaml").write_text(TEMPLATE, encoding="utf-8")
    (root / "lamp" / "code" / "app.py").write_text("def answer(event, context): ...\n", encoding="utf-8")
    return root


Refused = Callable[..., str]


@pytest.fixture
def refused(project: Path, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Runs `release …` in the project; what it said on stderr, once all of the rules above have been checked."""

    def run(*arguments: str, code: int = 2) -> str:
        before, began = _tree(project), time.process_time()
        found = main(["-C", str(project), *arguments])
        took, said = time.process_time() - began, capsys.readouterr()
        assert found == code, said.err
        assert said.out == ""
        assert said.err.count("error") + said.err.count("Error") >= 1
        for never in ("Traceback", "a fault in Tidegate itself", "pydantic", "ValidationError"):
            assert never not in said.err
        assert _tree(project) == before
        assert took < 2
        return said.err

    return run


def _tree(project: Path) -> dict[str, bytes]:
    """Without the state file, which is made empty by whoever asks it first."""
    return {
        str(path.relative_to(project)): path.read_bytes()
        for path in sorted(project.rglob("*"))
        if path.is_file() and not {".git", ".tidegate"} & set(path.parts)
    }


def _break(project: Path, broken: Broken) -> None:
    path = project / broken.file
    text = path.read_text(encoding="utf-8")
    assert broken.old in text
    path.write_text(text.replace(broken.old, broken.new, 1), encoding="utf-8")


def _commit(project: Path) -> None:
    person = ("-c", "user.name=ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false")
    for words in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "work"), ("tag", "lamp/1.0.0")):
        subprocess.run(["git", *person, *words], cwd=project, check=True, capture_output=True)


def test_the_corpus_is_large_enough() -> None:
    assert len(FLEETS) + len(RELEASES) + len(TEMPLATES) + len(PLANS) >= 50


@pytest.mark.parametrize("name", FLEETS)
def test_a_broken_fleet_is_refused_at_its_path(name: str, project: Path, refused: Refused) -> None:
    _break(project, FLEETS[name])
    assert FLEETS[name].says in refused("plan", "lamp@1.0.0")


@pytest.mark.parametrize("name", RELEASES)
def test_a_broken_release_file_is_refused_at_its_path(name: str, project: Path, refused: Refused) -> None:
    _break(project, RELEASES[name])
    assert RELEASES[name].says in refused("build", "lamp")


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_broken_template_is_refused_before_anything_is_uploaded(
    name: str, project: Path, refused: Refused
) -> None:
    _break(project, TEMPLATES[name])
    _commit(project)
    assert TEMPLATES[name].says in refused("build", "lamp", code=TEMPLATES[name].code)


@pytest.mark.parametrize("name", PLANS)
def test_a_file_that_is_no_plan_is_refused(name: str, project: Path, refused: Refused) -> None:
    (project / "plan.json").write_text(PLANS[name], encoding="utf-8")
    said = refused("promote", str(project / "plan.json"))
    assert "this file is not a plan" in said
    assert "release plan RELEASE -o plan.json" in said


def test_an_edited_plan_is_an_integrity_fault(project: Path, refused: Refused) -> None:
    document = {"format_version": 1, "digest": f"sha256:{'0' * 64}", "plan": {"release": "lamp@1.0.0"}}
    (project / "plan.json").write_text(json.dumps(document), encoding="utf-8")
    assert "this plan has been edited" in refused("promote", str(project / "plan.json"), code=7)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("promote", "lamp"), "SERVICE@VERSION"),
        (("promote", "lamp@1"), "MAJOR.MINOR.PATCH"),
        (("promote", "lamp@1.0.0", "--until", "tomorrow"), "blocked, done or wave:N"),
        (("promote", "lamp@9.9.9"), "there is no release lamp@9.9.9"),
        (("promote", "missing.json"), "there is no plan missing.json"),
        (("plan", "../../etc@1.0.0"), "SERVICE@VERSION"),
        (("plan", "lamp@1.0.0", "--format", "yaml"), "text, json, markdown or mermaid"),
        (("rollback", "lamp@1.0.0", "--reason", "x"), "exactly one of --wave N, --all and --target"),
        (("rollback", "lamp@1.0.0", "--reason", "x", "--all", "--wave", "1"), "exactly one of"),
        (("rollback", "lamp@1.0.0", "--reason", "x", "--target", "ada"), "CLIENT/REGION"),
        (("rollback", "lamp@1.0.0", "--all"), "--reason"),
        (("halt", "lamp@1.0.0"), "--reason"),
        (("halt", "lamp@9.9.9", "--reason", "x"), "lamp@9.9.9"),
        (("resume", "lamp@9.9.9", "--reason", "x"), "lamp@9.9.9"),
        (("resume", "lamp@1.0.0"), "--reason"),
        (("pause", "lamp@1.0.0"), "--reason"),
        (("pause", "lamp@9.9.9", "--reason", "x"), "lamp@9.9.9"),
        (("pause", "lamp@1.0.0", "--reason", "  "), "the reason is empty"),
        (("retry", "lamp@1.0.0"), "--reason"),
        (("retry", "lamp@9.9.9", "--reason", "x"), "lamp@9.9.9"),
        (("approve", "lamp@9.9.9"), "lamp@9.9.9"),
        (("approve", "lamp@1.0.0", "--lane", "warp"), "warp"),
        (("promote", "lamp@1.0.0", "--full"), "--full wants --reason"),
        (("promote", "lamp@1.0.0", "--full", "--reason", " "), "--full wants --reason"),
        (("promote", "lamp@1.0.0", "--emergency", "--reason", "x"), "--ticket"),
        (("promote", "lamp@1.0.0", "--full", "--emergency", "--reason", "x"), "two ways to hurry"),
        (("promote", "lamp@1.0.0", "--reason", "x"), "for --full and --emergency"),
        (("promote", "lamp@1.0.0", "--ticket", "x"), "for --full and --emergency"),
        (("clear", "lamp", "ada", "--reason", "x"), "CLIENT/REGION"),
        (("history", "--client", "zoe"), "says nothing of client zoe"),
        (("status", "lamp@9.9.9"), "lamp@9.9.9"),
        (("history", "lamp@9.9.9"), "says nothing of that"),
        (("build", "bell"), "bell"),
        (("frobnicate",), "frobnicate"),
        (("test", "lamp@1.0.0", "--accounts", "0"), "--accounts"),
    ],
)
def test_a_command_line_that_means_nothing_exits_2_and_says_what_would(
    arguments: tuple[str, ...], says: str, refused: Refused
) -> None:
    assert says in refused(*arguments)


def test_a_folder_without_a_project_says_how_to_make_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["-C", str(tmp_path), "status"]) == 2
    assert "release init" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_init_never_writes_over_what_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "fleet.toml").write_text("mine\n", encoding="utf-8")
    assert main(["init", str(tmp_path), "--sample"]) == 2
    assert "nothing was written" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["fleet.toml"]
