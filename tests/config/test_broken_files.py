"""Every broken file of the corpus is refused with exactly the lines a person has read and found clear."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipeline.config import load_fleet, load_project, load_service
from pipeline.errors import ConfigInvalid
from tests.golden import matches_golden

CORPUS = Path(__file__).parent / "corpus"
FLEETS = sorted((CORPUS / "fleet").glob("*.toml"))
RELEASES = sorted((CORPUS / "release").glob("*.toml"))


def service_folder(tmp_path: Path, release_toml: Path | None = None) -> Path:
    folder = tmp_path / "intake"
    (folder / "tests").mkdir(parents=True)
    (folder / "client.yaml").write_text("Resources: {}\n")
    (folder / "service.yaml").write_text("Resources: {}\n")
    if release_toml is not None:
        shutil.copy(release_toml, folder / "release.toml")
    return folder


def expected(fault: ConfigInvalid) -> str:
    assert fault.exit_code == 2
    assert fault.state == "nothing was changed"
    return "".join(f"{line}\n" for line in (f"{fault.problem}: {fault.remedy}", *fault.details))


def test_the_corpus_is_large_enough() -> None:
    assert len(FLEETS) + len(RELEASES) >= 60


@pytest.mark.parametrize("path", FLEETS, ids=lambda p: p.stem)
def test_a_broken_fleet_is_refused_with_every_fault(path: Path, tmp_path: Path) -> None:
    shutil.copy(path, tmp_path / "fleet.toml")
    with pytest.raises(ConfigInvalid) as refused:
        load_fleet(tmp_path / "fleet.toml")
    matches_golden(path.with_suffix(".txt"), expected(refused.value))


@pytest.mark.parametrize("path", RELEASES, ids=lambda p: p.stem)
def test_a_broken_release_file_is_refused_with_every_fault(path: Path, tmp_path: Path) -> None:
    folder = service_folder(tmp_path, path)
    with pytest.raises(ConfigInvalid) as refused:
        load_service(folder)
    matches_golden(path.with_suffix(".txt"), expected(refused.value))


def details(path: Path) -> tuple[str, ...]:
    with pytest.raises(ConfigInvalid) as refused:
        load_fleet(path)
    return refused.value.details


def test_a_missing_file_a_directory_and_a_huge_file_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "huge.toml").write_bytes(b"#" * (1024 * 1024 + 1))
    assert details(tmp_path / "missing.toml") == ("missing.toml: there is no such file",)
    assert details(tmp_path / "folder") == ("folder: is a directory; a TOML file is wanted here",)
    assert details(tmp_path / "huge.toml") == (
        "huge.toml: is larger than 1 MiB; split it or look for what does not belong in it",
    )


def test_a_template_that_is_a_symlink_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    folder = service_folder(tmp_path)
    (tmp_path / "secret.yaml").write_text("Resources: {}\n")
    (folder / "link.yaml").symlink_to(tmp_path / "secret.yaml")
    (folder / "release.toml").write_text(
        '[service]\nname = "intake"\n[stack.client]\ntemplate = "link.yaml"\n'
    )
    with pytest.raises(ConfigInvalid) as refused:
        load_service(folder)
    line = 'stack.client.template: "link.yaml" leads out of this folder; a release is made of its own folder only'
    assert refused.value.details == (f"intake/release.toml: {line}",)


def test_a_symlink_loop_is_refused_as_a_file_that_is_not_there(tmp_path: Path) -> None:
    folder = service_folder(tmp_path)
    (folder / "loop.yaml").symlink_to(folder / "loop.yaml")
    (folder / "release.toml").write_text(
        '[service]\nname = "intake"\n[stack.client]\ntemplate = "loop.yaml"\n'
    )
    with pytest.raises(ConfigInvalid) as refused:
        load_service(folder)
    assert refused.value.details[0].startswith("intake/release.toml: stack.client.template: ")


def test_a_project_reports_the_faults_of_all_its_files_at_once(tmp_path: Path) -> None:
    service_folder(tmp_path)
    (tmp_path / "intake/release.toml").write_text('[service]\nname = "intake"\n[waves]\nbake = 5\n')
    (tmp_path / "fleet.toml").write_text("[accounts]\nemail = 7\n")
    with pytest.raises(ConfigInvalid) as refused:
        load_project(tmp_path)
    units = '"90s", "2h30m" or "2d" (days, hours, minutes and seconds, in this order)'
    assert refused.value.problem == "3 faults in 2 files"
    assert refused.value.details == (
        'fleet.toml: accounts.email: found 7; write an e-mail address, such as "qa@example.com"',
        'intake/release.toml: stack: is missing; write [stack.client] with template = "client.yaml"',
        f"intake/release.toml: waves.bake: found 5 without a unit; write {units}",
    )


def test_a_service_without_its_folder_or_with_another_name_is_refused(tmp_path: Path) -> None:
    folder = service_folder(tmp_path)
    (folder / "release.toml").write_text(
        '[service]\nname = "intke"\n[stack.client]\ntemplate = "client.yaml"\n'
    )
    services = "".join(
        f'[[service]]\nname = "{name}"\nregions = ["us-east-1"]\n' for name in ("intake", "notify")
    )
    (tmp_path / "fleet.toml").write_text('[accounts]\nemail = "qa@example.com"\n' + services)
    with pytest.raises(ConfigInvalid) as refused:
        load_project(tmp_path)
    assert refused.value.details == (
        'intake/release.toml: service.name: found "intke", but fleet.toml calls this service "intake"; use one name',
        "notify/release.toml: there is no such file",
    )


def test_outside_any_project_the_error_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        load_project(tmp_path)
    assert refused.value.remedy == "go to your project's folder, or make one: release init DIR"
