"""What `release init` writes, and that a wheel brings all of it."""

import compileall
import json
import subprocess
import sys
import tomllib
import zipfile
from collections import Counter
from pathlib import Path

import pytest

import pipeline.demo
from pipeline.config import load_project
from pipeline.demo import INTAKE_VERSIONS, ProjectFile, project_files, version_of_intake

DEMO = Path(pipeline.demo.__file__).parent
LIST_ALL = """
import hashlib, json
from pipeline.demo import INTAKE_VERSIONS, project_files, version_of_intake
groups = [project_files(True), project_files(False), *map(version_of_intake, INTAKE_VERSIONS)]
print(json.dumps([[[f.path, hashlib.sha256(f.content).hexdigest()] for f in group] for group in groups]))
"""


def listed_by(path: Path) -> object:
    script = f"import sys; sys.path.insert(0, {str(path)!r}){LIST_ALL}"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def copy_package(destination: Path) -> None:
    for source in [DEMO.parent / "__init__.py", *DEMO.rglob("*")]:
        if source.is_file() and "__pycache__" not in source.parts:
            copy = destination / "pipeline" / source.relative_to(DEMO.parent)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(source.read_bytes())


def contents(sample: bool) -> dict[str, str]:
    return {file.path: file.content.decode() for file in project_files(sample)}


def test_the_sample_is_the_folder_verbatim() -> None:
    on_disk = {
        path.relative_to(DEMO / "sample").as_posix(): path.read_bytes()
        for path in (DEMO / "sample").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {file.path: file.content for file in project_files(sample=True)} == on_disk


def test_a_project_has_its_fleet_its_services_and_ignores_local_state() -> None:
    assert {"fleet.toml", ".gitignore", "README.md"} <= contents(True).keys()
    assert {"fleet.toml", ".gitignore", "hello/release.toml", "hello/src/app.py"} <= contents(False).keys()
    assert all(".tidegate/" in contents(sample)[".gitignore"].splitlines() for sample in (True, False))


def test_files_come_ordered_by_path_whatever_the_file_system_says() -> None:
    for files in (project_files(sample=True), project_files(sample=False), version_of_intake("1.2.0")):
        assert [file.path for file in files] == sorted(file.path for file in files)


def test_an_installed_copy_and_a_zipped_copy_bring_the_same_files(tmp_path: Path) -> None:
    copy_package(tmp_path / "site")
    compileall.compile_dir(tmp_path / "site", quiet=1)  # as installers do: leaves __pycache__ among the data
    with zipfile.ZipFile(tmp_path / "wheel.zip", "w") as archive:
        for path in sorted((tmp_path / "site").rglob("*")):
            if "__pycache__" not in path.parts:
                archive.write(path, path.relative_to(tmp_path / "site"))
    expected = listed_by(DEMO.parents[1])
    assert listed_by(tmp_path / "site") == expected
    assert listed_by(tmp_path / "wheel.zip") == expected


def test_every_version_of_intake_names_the_same_files() -> None:
    named = [[file.path for file in version_of_intake(version)] for version in INTAKE_VERSIONS]
    assert named == [["intake/api/openapi.yaml", "intake/client.yaml", "intake/client/app.py"]] * 4


def test_version_1_0_0_is_the_sample_as_it_is_written() -> None:
    sample = set(project_files(sample=True))
    assert set(version_of_intake("1.0.0")) < sample
    assert not set(version_of_intake("1.3.0")) & sample


def test_a_version_keeps_what_the_one_before_it_changed() -> None:
    def file_of(version: str, path: str) -> ProjectFile:
        return next(file for file in version_of_intake(version) if file.path == path)

    assert file_of("1.2.0", "intake/client.yaml") == file_of("1.1.0", "intake/client.yaml")
    assert file_of("1.1.0", "intake/client.yaml") != file_of("1.0.0", "intake/client.yaml")


def test_an_unknown_version_is_refused() -> None:
    with pytest.raises(KeyError, match=r"2\.0\.0"):
        version_of_intake("2.0.0")


def test_the_sample_fleet_is_the_one_the_demo_tells_of() -> None:
    fleet = tomllib.loads(contents(True)["fleet.toml"])
    clients = fleet["client"]
    assert [service["name"] for service in fleet["service"]] == ["intake", "notify"]
    assert len({client["name"] for client in clients}) == 12
    assert {region for client in clients for region in client["regions"]} == {
        "us-east-1",
        "eu-west-1",
        "ap-southeast-2",
    }
    assert [c["name"] for c in clients if len(c["regions"]) == 2] == ["acme"]
    assert Counter(name for c in clients for name in c["services"]) == {"intake": 12, "notify": 7}
    assert Counter(c["ring"] for c in clients) == {"early": 3, "main": 3, "wide": 6}
    assert [c["name"] for c in clients if len(c["cosmetic"]["BrandColour"]) == 4] == ["maple"]


@pytest.mark.parametrize("sample", [True, False])
def test_every_file_a_release_toml_names_is_in_the_project(sample: bool) -> None:
    files = contents(sample)
    for path in [path for path in files if path.endswith("/release.toml")]:
        folder, release = path.removesuffix("release.toml"), tomllib.loads(files[path])
        assert release["service"]["name"] == folder.rstrip("/")
        assert all(folder + stack["template"] in files for stack in release["stack"].values())
        assert any(name.startswith(folder + release["test"]["tests"]) for name in files)
        if "openapi" in release.get("contract", {}):
            assert folder + release["contract"]["openapi"] in files


@pytest.mark.parametrize(("sample", "targets"), [(True, {"intake": 13, "notify": 8}), (False, {"hello": 1})])
def test_a_project_is_accepted_by_the_configuration_as_it_stands(
    sample: bool, targets: dict[str, int], tmp_path: Path
) -> None:
    for file in project_files(sample):
        path = tmp_path / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
    project = load_project(tmp_path)
    assert {name: folder for name, folder, _ in project.specs} == {name: tmp_path / name for name in targets}
    assert targets == {
        name: sum(len(client.regions) for client in project.fleet.clients if name in client.services)
        for name in targets
    }


@pytest.mark.parametrize("sample", [True, False])
def test_all_python_of_a_project_compiles(sample: bool) -> None:
    for path, text in contents(sample).items():
        if path.endswith(".py"):
            compile(text, path, "exec")
