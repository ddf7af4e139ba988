"""`release build`: once, the same everywhere, and never over what stands there already."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import git
import pytest

from pipeline.adapters.git import GitRepository
from pipeline.adapters.local.artifacts import FolderArtifacts
from pipeline.adapters.simulated.clock import SimulatedClock
from pipeline.adapters.simulated.stores import MemoryJournal
from pipeline.decide.provenance import envelope_bytes, signed_digest, statement_bytes
from pipeline.decide.template import template_digest
from pipeline.errors import (
    ArtifactDamaged,
    ArtifactMissing,
    BlockedByPolicy,
    BuildFailed,
    ConfigInvalid,
    IntegrityBroken,
    NotFound,
    ReleaseError,
    UsageError,
    VersionTaken,
)
from pipeline.model.canonical import sha256_hex
from pipeline.model.event import ReleaseBuilt
from pipeline.model.ids import ReleaseName, digest
from pipeline.model.policy import CanaryPolicy, WavePolicy
from pipeline.model.release import Contract, Manifest, ServiceSpec, TestPolicy, artifact_key
from pipeline.model.stack import Mark
from stages.build import BuildResult, build
from stages.manifests import load_manifest, load_spec, spec_from_json, spec_to_json, verify_release
from tests.stages.keys import KeyRing, TestKey
from tests.stages.workshop import AT, KEY, REGIONS, Workshop, a_service, files_in

RELEASE = ReleaseName("intake", "1.0.0")
STREAM = "release/intake@1.0.0"


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    spec = a_service(tmp_path / "src")
    return Workshop(tmp_path / "store", spec, tmp_path / "src")


def loaded(shop: Workshop) -> Manifest:
    return load_manifest(RELEASE, shop.artifacts, KeyRing(shop.key), KEY)[0]


def test_data_that_would_not_outlive_its_stack_never_becomes_a_release(shop: Workshop) -> None:
    keys = "\n  Keys: {Type: AWS::KMS::Key, DeletionPolicy: Retain}\nOutputs:"
    text = (shop.folder / "client.yaml").read_text()
    (shop.folder / "client.yaml").write_text(text.replace("\nOutputs:", keys))

    with pytest.raises(BlockedByPolicy) as caught:
        shop.build()

    assert caught.value.exit_code == 8
    assert caught.value.details == (
        "template:client: Resources.Keys: UpdateReplacePolicy must be Retain or Snapshot [data-outlives-stack]",
    )
    assert files_in(shop.store) == {}


# --- what a build makes ----------------------------------------------------------------------------


def test_a_build_stores_every_artifact_in_every_region_and_signs_the_list(shop: Workshop) -> None:
    result = shop.build()
    purposes = sorted(artifact.purpose for artifact in result.manifest.artifacts)
    assert purposes == ["client.yaml#Form.Code", "spec", "template:client"]
    assert (result.uploads, result.already) == (3 * len(REGIONS) + 1, False)
    assert loaded(shop) == result.manifest
    assert verify_release(result.manifest, shop.artifacts, REGIONS) == 3 * len(REGIONS)


def test_the_manifest_says_what_was_built_from_what(shop: Workshop) -> None:
    manifest = shop.build().manifest
    code = next(a for a in manifest.artifacts if a.purpose == "client.yaml#Form.Code")
    (stack,) = manifest.stacks
    assert (manifest.release, manifest.commit, manifest.dirty) == (RELEASE, "c" * 40, False)
    assert (stack.role, stack.functions) == ("client", (("Form", code.digest),))
    assert [(p.name, p.type, p.default) for p in stack.parameters] == [("Client", "String", None)]
    assert stack.resource_types == (
        ("Form", "AWS::Lambda::Function"),
        ("TidegateReleaseMark", "AWS::SSM::Parameter"),
    )
    assert [path for path, _ in manifest.inputs] == ["client.yaml", "client/app.py"]


def test_the_stored_template_carries_the_mark_of_the_release(shop: Workshop) -> None:
    manifest = shop.build().manifest
    (stack,) = manifest.stacks
    body = json.loads(shop.artifacts.get(stack.template))
    mark = Mark.parse(body["Outputs"]["TidegateRelease"]["Value"])
    assert mark == Mark(release="intake@1.0.0", digest=manifest.digest, commit="c" * 40)
    assert template_digest(body) == stack.template
    assert stack.unmarked != stack.template


def test_policy_and_tests_travel_inside_the_release(shop: Workshop) -> None:
    for name in (
        "tests/integration/test_forms.py",
        "api/openapi.yaml",
        "events/form.schema.json",
        "sdk/sdk.py",
    ):
        (shop.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (shop.folder / name).write_text(name)
    shop.spec = replace(
        shop.spec,
        waves=WavePolicy(canary=CanaryPolicy(clients=3)),
        test=TestPolicy(accounts=2, tests="tests/integration"),
        contract=Contract(
            openapi="api/openapi.yaml", events="events/*.schema.json", sdk="sdk", tests="tests"
        ),
    )
    manifest = shop.build().manifest
    assert load_spec(manifest, shop.artifacts) == shop.spec
    assert {artifact.purpose for artifact in manifest.artifacts} >= {
        "contract:openapi",
        "contract:events",
        "contract:sdk",
        "contract:tests",
        "tests",
    }


def test_the_journal_records_the_build_once(shop: Workshop) -> None:
    result = shop.build()
    shop.build()
    assert [(entry.event, entry.actor) for entry in shop.journal.read(STREAM)] == [
        (
            ReleaseBuilt(digest=result.manifest.digest, manifest=result.envelope_digest, commit="c" * 40),
            "ada",
        )
    ]


# --- once ------------------------------------------------------------------------------------------


def test_a_second_build_of_the_same_input_uploads_nothing_and_signs_nothing(shop: Workshop) -> None:
    first = shop.build()
    before = files_in(shop.store)
    second = shop.build()
    assert (second.uploads, second.already) == (0, True)
    assert (second.manifest, second.envelope_digest) == (first.manifest, first.envelope_digest)
    assert files_in(shop.store) == before
    assert shop.key.signed == 1


def test_another_folder_and_another_time_give_the_same_release(shop: Workshop, tmp_path: Path) -> None:
    first = shop.build()
    shutil.copytree(shop.folder, tmp_path / "elsewhere" / "deeper")
    for path in (tmp_path / "elsewhere").rglob("*"):
        os.utime(path, (1, 1))
    shop.folder = tmp_path / "elsewhere" / "deeper"
    second = shop.build()
    assert (second.uploads, second.already) == (0, True)
    assert second.manifest == first.manifest


def test_another_builder_of_the_same_input_finds_it_built(shop: Workshop) -> None:
    first = shop.build()
    second = shop.build(builder="https://github.com/example/intake/actions")
    assert (second.uploads, second.already) == (0, True)
    assert second.manifest.builder == first.manifest.builder == "urn:tidegate:builder:local"


def test_a_region_that_joined_the_fleet_gets_what_is_missing_there(shop: Workshop) -> None:
    first = shop.build()
    second = shop.build(regions=(*REGIONS, "ap-south-1"))
    assert (second.uploads, second.already) == (3, True)
    assert second.envelope_digest == first.envelope_digest


def test_a_build_that_died_before_it_signed_is_simply_run_again(shop: Workshop) -> None:
    shop.build()
    (shop.store / "documents" / "releases" / "intake" / "1.0.0.json").unlink()
    again = shop.build()
    assert (again.uploads, again.already) == (1, False)
    assert loaded(shop) == again.manifest


def other_code(shop: Workshop) -> None:
    (shop.folder / "client" / "app.py").write_text("def handler(event, context):\n    return 2\n")


def other_template(shop: Workshop) -> None:
    path = shop.folder / "client.yaml"
    path.write_text(path.read_text().replace("python3.11", "python3.12"))


def other_commit(shop: Workshop) -> None:
    shop.repository.says(sha="d" * 40)


def other_policy(shop: Workshop) -> None:
    shop.spec = replace(shop.spec, waves=WavePolicy(tolerance=1))


CHANGES = (other_code, other_template, other_commit, other_policy)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_version_that_exists_with_another_digest_is_refused(
    shop: Workshop, change: Callable[[Workshop], None]
) -> None:
    first = shop.build()
    before = files_in(shop.store)
    change(shop)
    with pytest.raises(VersionTaken) as caught:
        shop.build()
    assert (caught.value.exit_code, caught.value.state) == (7, "nothing was uploaded")
    assert caught.value.details[0] == f"it is {first.manifest.digest}"
    assert files_in(shop.store) == before
    assert len(shop.journal.read(STREAM)) == 1


def test_a_version_that_only_the_journal_knows_is_refused_too(shop: Workshop) -> None:
    shop.build()
    shutil.rmtree(shop.store)
    other_code(shop)
    with pytest.raises(VersionTaken):
        shop.build()
    assert not shop.store.exists()


# --- damage ----------------------------------------------------------------------------------------


def envelope_path(shop: Workshop) -> Path:
    return shop.store / "documents" / "releases" / "intake" / "1.0.0.json"


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x01
    path.write_bytes(bytes(content))


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [truncate, flip, empty], ids=lambda damage: damage.__name__)
def test_a_damaged_manifest_is_exit_7_for_whoever_reads_it(
    shop: Workshop, damage: Callable[[Path], None]
) -> None:
    shop.build()
    damage(envelope_path(shop))
    before = files_in(shop.store)
    for act in (lambda: loaded(shop), shop.build):
        with pytest.raises(IntegrityBroken) as caught:
            act()
        assert caught.value.exit_code == 7
    assert files_in(shop.store) == before


@pytest.mark.parametrize("how", ["unsigned", "another key", "another release's"])
def test_a_manifest_that_the_pinned_key_did_not_sign_is_exit_7(shop: Workshop, how: str) -> None:
    manifest = shop.build().manifest
    payload = statement_bytes(manifest)
    match how:
        case "unsigned":
            signature = b""
        case "another key":
            signature = TestKey(KEY).sign(signed_digest(payload))
        case _:
            payload = statement_bytes(replace(manifest, release=ReleaseName("intake", "9.9.9")))
            signature = shop.key.sign(signed_digest(payload))
    envelope_path(shop).write_bytes(envelope_bytes(payload, KEY, signature))
    before = files_in(shop.store)
    for act in (lambda: loaded(shop), shop.build):
        with pytest.raises(IntegrityBroken) as caught:
            act()
        assert caught.value.exit_code == 7
    assert files_in(shop.store) == before


@pytest.mark.parametrize("purpose", ["client.yaml#Form.Code", "spec", "template:client"])
@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "swap", "remove"])
@pytest.mark.parametrize("region", REGIONS)
def test_a_damaged_artifact_in_any_region_is_exit_7(
    shop: Workshop, purpose: str, damage: str, region: str
) -> None:
    manifest = shop.build().manifest
    chosen = next(a for a in manifest.artifacts if a.purpose == purpose)
    other = next(a for a in manifest.artifacts if a.purpose != purpose)
    path = shop.store / region / artifact_key(chosen.digest)
    match damage:
        case "truncate":
            truncate(path)
        case "flip":
            flip(path)
        case "empty":
            empty(path)
        case "swap":
            path.write_bytes((shop.store / region / artifact_key(other.digest)).read_bytes())
        case _:
            path.unlink()
    before = files_in(shop.store)
    with pytest.raises(ArtifactMissing if damage == "remove" else ArtifactDamaged) as caught:
        verify_release(manifest, shop.artifacts, REGIONS)
    assert caught.value.exit_code == 7
    assert files_in(shop.store) == before


def test_a_build_does_not_paint_over_a_damaged_artifact(shop: Workshop) -> None:
    manifest = shop.build().manifest
    flip(shop.store / "us-east-1" / artifact_key(manifest.artifacts[0].digest))
    with pytest.raises(ArtifactDamaged):
        shop.build()


def test_a_release_that_was_never_built_is_not_found(shop: Workshop) -> None:
    with pytest.raises(NotFound, match=r"intake@1.0.0 has not been built") as caught:
        loaded(shop)
    assert caught.value.remedy == "run `release build intake` from a commit tagged intake/1.0.0"


def test_without_a_pinned_key_nothing_is_trusted(shop: Workshop) -> None:
    shop.build()
    with pytest.raises(UsageError, match="no release key is pinned"):
        load_manifest(RELEASE, shop.artifacts, KeyRing(shop.key), "")
    with pytest.raises(UsageError, match="the signing key is not the pinned release key"):
        shop.build(release_key=KEY + "-other")


def test_the_digest_of_a_loaded_manifest_is_of_the_envelope_as_stored(shop: Workshop) -> None:
    result = shop.build()
    _, envelope = load_manifest(RELEASE, shop.artifacts, KeyRing(shop.key), KEY)
    assert envelope == result.envelope_digest == digest(sha256_hex(envelope_path(shop).read_bytes()))


@pytest.mark.parametrize(
    "content", [b"", b"{}", b'{"name": 1}', b'{"name": "intake", "unknown": 1}', b"\xff"]
)
def test_a_stored_spec_that_is_none_of_ours_is_exit_7(content: bytes) -> None:
    with pytest.raises(IntegrityBroken) as caught:
        spec_from_json(content)
    assert caught.value.exit_code == 7


def test_a_spec_comes_back_from_its_json() -> None:
    spec = ServiceSpec(
        name="intake", client_template="client.yaml", build="make", waves=WavePolicy(tolerance=2)
    )
    assert spec_from_json(spec_to_json(spec)) == spec


# --- the commit and the version --------------------------------------------------------------------


def test_a_dirty_tree_is_refused_unless_said_otherwise_and_the_manifest_says_so(shop: Workshop) -> None:
    shop.repository.says(dirty=True)
    with pytest.raises(UsageError, match="changes that are not committed") as caught:
        shop.build()
    assert "--allow-dirty" in caught.value.remedy
    assert not shop.store.exists()
    assert shop.build(allow_dirty=True).manifest.dirty


@pytest.mark.parametrize(
    ("tags", "version", "untagged", "built"),
    [
        (("1.0.0",), "", False, "1.0.0"),
        (("1.0.0",), "1.0.0", False, "1.0.0"),
        (("1.0.0", "1.1.0"), "1.1.0", False, "1.1.0"),
        ((), "2.0.0", True, "2.0.0"),
        (("1.0.0",), "2.0.0-rc.1", True, "2.0.0-rc.1"),
    ],
)
def test_the_version_comes_from_the_tag_or_is_said(
    shop: Workshop, tags: tuple[str, ...], version: str, untagged: bool, built: str
) -> None:
    shop.repository.says(versions=tags)
    manifest = shop.build(version=version, allow_untagged=untagged).manifest
    assert manifest.release == ReleaseName("intake", built)


@pytest.mark.parametrize(
    ("tags", "version", "untagged", "problem", "remedy"),
    [
        (
            (),
            "",
            False,
            "commit cccccccccccc has no version tag",
            "git tag intake/1.0.0, or release build --version 1.0.0 --allow-untagged",
        ),
        (
            (),
            "2.0.0",
            False,
            "commit cccccccccccc has no version tag",
            "git tag intake/2.0.0, or release build --version 2.0.0 --allow-untagged",
        ),
        (
            (),
            "",
            True,
            "commit cccccccccccc has no version tag",
            "git tag intake/1.0.0, or release build --version 1.0.0 --allow-untagged",
        ),
        (
            ("1.0.0", "1.1.0"),
            "",
            False,
            "commit cccccccccccc carries several versions: 1.0.0, 1.1.0",
            "release build --version 1.1.0",
        ),
        (
            ("1.0.0",),
            "2.0.0",
            False,
            "commit cccccccccccc is tagged 1.0.0, not 2.0.0",
            "release build --version 1.0.0, or add --allow-untagged",
        ),
        ((), "two", True, "'two' is not a version: write MAJOR.MINOR.PATCH", "write --version 1.4.0"),
    ],
)
def test_a_doubtful_version_is_refused_with_what_to_type(
    shop: Workshop, tags: tuple[str, ...], version: str, untagged: bool, problem: str, remedy: str
) -> None:
    shop.repository.says(versions=tags)
    with pytest.raises(UsageError) as caught:
        shop.build(version=version, allow_untagged=untagged)
    assert (caught.value.problem, caught.value.remedy) == (problem, remedy)
    assert not shop.store.exists()


def test_sources_outside_git_are_refused_unless_everything_is_said(shop: Workshop) -> None:
    shop.repository.commit_now = None
    with pytest.raises(NotFound, match="is in no git repository"):
        shop.build(version="1.0.0", allow_untagged=True)
    manifest = shop.build(version="1.0.0", allow_untagged=True, allow_dirty=True).manifest
    assert (manifest.commit, manifest.dirty) == ("uncommitted", True)
    assert loaded(shop) == manifest


def test_a_true_repository_is_built_from_its_tag(shop: Workshop) -> None:
    repository = git.Repo.init(shop.folder)
    actor = git.Actor("Ada", "ada@example.com")
    repository.git.add(".")
    repository.index.commit("first", author=actor, committer=actor)
    repository.create_tag("intake/1.0.0")
    result = build(shop.request(), replace(shop.ports, repository=GitRepository()), shop.said.append)
    assert result.manifest.commit == repository.head.commit.hexsha
    assert result.manifest.release == RELEASE


# --- the build command -----------------------------------------------------------------------------


def test_the_build_command_runs_in_the_service_s_folder_and_is_heard(shop: Workshop) -> None:
    shop.spec = replace(shop.spec, build=f"{sys.executable} make.py 'two words'")
    (shop.folder / "make.py").write_text(
        "import os, sys\n"
        "open('client/made.py', 'w').write(os.environ['SOURCE_DATE_EPOCH'])\n"
        "print(sys.argv[1]); print(os.environ['TIDEGATE_RELEASE'], file=sys.stderr)\n"
    )
    manifest = shop.build().manifest
    assert shop.said[0].endswith("make.py 'two words'")
    assert sorted(shop.said[1:]) == ["intake@1.0.0", "two words"]
    assert "client/made.py" in [path for path, _ in manifest.inputs]
    assert (shop.folder / "client" / "made.py").read_text() == "1772582400"


@pytest.mark.parametrize(
    ("command", "kind", "problem"),
    [
        ("false", BuildFailed, "the build command false ended with exit code 1"),
        ("no-such-program-here", BuildFailed, "the build command no-such-program-here cannot be started"),
        ("make && make test", ConfigInvalid, "it runs without a shell; put the steps into a script"),
        ("make 'half", ConfigInvalid, "it cannot be split into words"),
        ("  ", ConfigInvalid, "it is empty"),
    ],
)
def test_a_build_command_that_fails_leaves_nothing_behind(
    shop: Workshop, command: str, kind: type[ReleaseError], problem: str
) -> None:
    shop.spec = replace(shop.spec, build=command)
    with pytest.raises(kind, match=problem):
        shop.build()
    assert not shop.store.exists()


def test_faults_of_both_templates_and_of_every_path_are_told_at_once(shop: Workshop) -> None:
    (shop.folder / "service.yaml").write_text("Resources: {Q: {Type: AWS::SQS::Queue, Properties: {a: yes}}}")
    shutil.rmtree(shop.folder / "client")
    shop.spec = replace(
        shop.spec,
        service_template="service.yaml",
        test=TestPolicy(tests="tests/integration"),
        contract=Contract(events="events/*.json"),
    )
    with pytest.raises(ConfigInvalid, match="4 files have faults") as caught:
        shop.build()
    text = "\n".join(caught.value.details)
    for fault in (
        "client.yaml: Form.Code: 'client/'",
        "service.yaml:1: yes means",
        "'tests/integration'",
        "'events/",
    ):
        assert fault in text
    assert not shop.store.exists()


def test_a_service_without_a_template_cannot_be_built(shop: Workshop) -> None:
    shop.spec = ServiceSpec(name="intake")
    with pytest.raises(ConfigInvalid, match=r"release.toml names no template"):
        shop.build()


class Overtaken(FolderArtifacts):
    """Somebody else builds the same just before this one writes its envelope."""

    def __init__(self, folder: Path, meanwhile: Callable[[], BuildResult]) -> None:
        super().__init__(folder)
        self.meanwhile = meanwhile
        self.theirs: list[BuildResult] = []

    def put_document(self, name: str, content: bytes) -> bool:
        self.theirs.append(self.meanwhile())
        return super().put_document(name, content)


def test_two_builders_at_once_end_with_one_release(shop: Workshop) -> None:
    store = Overtaken(shop.store, shop.build)
    ours = build(shop.request(), replace(shop.ports, artifacts=store), shop.said.append)
    (theirs,) = store.theirs
    assert (ours.manifest, ours.envelope_digest) == (theirs.manifest, theirs.envelope_digest)
    assert len(shop.journal.read(STREAM)) == 1


def test_two_builders_of_different_things_under_one_version_end_with_the_first(shop: Workshop) -> None:
    def meanwhile() -> BuildResult:
        other_code(shop)
        return build(shop.request(), replace(shop.ports, journal=MemoryJournal(SimulatedClock(AT))), print)

    with pytest.raises(VersionTaken):
        build(
            shop.request(), replace(shop.ports, artifacts=Overtaken(shop.store, meanwhile)), shop.said.append
        )
    assert shop.journal.read(STREAM) == ()
