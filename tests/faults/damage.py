"""Families H and I: the journal, the plan and the artifacts are damaged; nobody goes on as if they were not.

A flipped bit, a missing half, an old copy, somebody else's file. The signature here is a keyed hash in the place of
the KMS key; the manifest, its envelope and everything that reads them are the real ones.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.adapters.simulated.stores import MemoryJournal
from pipeline.decide.provenance import envelope_bytes, signed_digest, statement_bytes
from pipeline.errors import (
    ArtifactDamaged,
    ArtifactMissing,
    IntegrityBroken,
    JournalDamaged,
    NotFound,
    ReleaseError,
)
from pipeline.model import event as e
from pipeline.model.canonical import canonical, sha256_hex
from pipeline.model.codec import sparse_json
from pipeline.model.ids import Digest, digest
from pipeline.model.plan import Plan, plan_digest
from pipeline.model.release import Artifact, Manifest
from stages.manifests import document_name, load_manifest, verify_release
from stages.plan import load_plan
from stages.rollback import RollbackScope
from tests.faults.cases import Case, Family, seeds, set_stage, sharing
from tests.faults.sight import fail
from tests.faults.stage import QUICK, Refused, Stage
from tests.faults.stories import STORIES, Story, first_is_there
from tests.simulation import SERVICE, a_fleet

__all__ = ["ARTIFACTS", "JOURNALS"]

SMALL = Story(name="small", prepare=first_is_there, tell=STORIES[1].tell, fleet=a_fleet(4), policy=QUICK)

# --- H -------------------------------------------------------------------------------------------------------------

STREAMS = ("release", "service target", "first client", "last client")
DAMAGES = ("bit flip", "truncate", "empty", "reorder", "duplicate", "hole", "other release", "other actor")
PHASES = ("before it begins", "in mid-wave", "while it bakes", "on the way back")


def _cases_h(large: bool) -> list[Case]:
    """place: which entry of the stream, counted from its end."""
    places = range(12) if large else (0, 1, 3)
    return [
        Case(seeds("H") + 1000 * stream + 10 * damage + phase, place)
        for stream in range(len(STREAMS))
        for damage in range(len(DAMAGES))
        for phase in range(len(PHASES))
        for place in places
    ]


def _prepare_h(_case: Case, tmp: Path) -> Stage:
    return set_stage(SMALL, tmp, strict=False).plan_ahead("1.1.0")


def _act_h(stage: Stage, case: Case) -> None:
    stream = _stream(stage, STREAMS[case.number // 1000])
    how, phase = DAMAGES[case.number // 10 % 100], PHASES[case.number % 10]
    plan = stage.plan("1.1.0")
    done: list[int] = []

    def strikes(_entry: e.Envelope | None = None) -> None:
        if _damage(stage.journal._journal, stream, how, case.place):  # type: ignore[attr-defined]
            done.append(len(stage.cloud.history))

    stage.typed = lambda command: command()  # type: ignore[method-assign]
    try:
        if phase == "before it begins":
            strikes()
        else:
            kinds: dict[str, type[e.Event]] = {
                "in mid-wave": e.TargetsClaimed,
                "while it bakes": e.WaveBaking,
            }
            if phase in kinds:
                stage.happens_when(kinds[phase], "", strikes)
        _again_and_again(stage, plan, phase, strikes)
    except ReleaseError as refused:
        _is_noticed(refused, how, done)
    else:
        if done and _still_damaged(stage, stream):
            _notices_when_asked(stage, stream)


def _again_and_again(stage: Stage, plan: Plan, phase: str, strikes: Callable[[], None]) -> None:
    """A new process for every bake, so that what was damaged in between is read."""
    for _ in range(12):
        ending = stage.promote(plan, blocked=True)
        if ending.until is None:
            break
        stage.clock.advance(ending.until - stage.clock.now())
    if phase == "on the way back":
        strikes()
        stage.rollback(plan, RollbackScope(all=True))


def _is_noticed(refused: ReleaseError, how: str, done: Sequence[int]) -> None:
    if not done:
        raise refused
    if not isinstance(refused, IntegrityBroken) and refused.exit_code not in (5, 9):
        raise AssertionError(f"{how} was answered with {type(refused).__name__}: {refused}") from refused


def _still_damaged(stage: Stage, stream: str) -> bool:
    kept = stage.journal._journal._entries.get(stream, ())  # type: ignore[attr-defined]
    seen = stage.journal._seen.get(stream, [])  # type: ignore[attr-defined]
    return len(kept) != len(seen) or any(a is not b for a, b in zip(kept, seen, strict=True))


def _notices_when_asked(stage: Stage, stream: str) -> None:
    try:
        stage.journal._journal.read(stream)  # type: ignore[attr-defined]
    except JournalDamaged:
        return
    fail("I14", f"{stream} was damaged and reads as if nothing had been")


def _stream(stage: Stage, which: str) -> str:
    plan = stage.plans[-1]
    if which == "release":
        return e.release_stream(plan.release)
    target = {
        "service target": plan.waves[0].targets[0],
        "first client": plan.waves[1].targets[0],
        "last client": plan.waves[-1].targets[-1],
    }[which]
    return e.target_stream(SERVICE, target)


def _damage(journal: MemoryJournal, stream: str, how: str, place: int) -> bool:
    entries = list(journal._entries.get(stream, ()))
    at = len(entries) - 1 - place
    if at < 0 or (how == "reorder" and at == 0):
        return False
    damaged: dict[str, Callable[[], list[e.Envelope]]] = {
        "bit flip": lambda: [
            *entries[:at],
            replace(entries[at], hash=_flipped(entries[at].hash)),
            *entries[at + 1 :],
        ],
        "truncate": lambda: entries[:at],
        "empty": list,
        "reorder": lambda: [*entries[: at - 1], entries[at], entries[at - 1], *entries[at + 1 :]],
        "duplicate": lambda: [*entries[: at + 1], *entries[at:]],
        "hole": lambda: [*entries[:at], *entries[at + 1 :]] if place else entries[:at],
        "other release": lambda: [replace(x, stream="release/intake@9.9.9") for x in entries],
        "other actor": lambda: [*entries[:at], replace(entries[at], actor="mallory"), *entries[at + 1 :]],
    }
    journal._entries[stream] = tuple(damaged[how]())
    return True


def _flipped(text: str) -> str:
    return ("1" if text[0] == "0" else "0") + text[1:]


_PLAY_H, _BATCH_H = sharing(_prepare_h, _act_h)
JOURNALS = Family(
    letter="H",
    title="a stream of the journal is flipped, cut, emptied, reordered, doubled, holed or swapped, at every phase",
    invariants=("I14",),
    cases=_cases_h,
    play=_PLAY_H,
    batch=_BATCH_H,
    scene=lambda _case: "small",
)

# --- I -------------------------------------------------------------------------------------------------------------

KEY = b"release key"
OTHER_KEY = b"somebody else's key"
KINDS = ("manifest", "client template", "service template", "function", "plan")
HURTS = ("truncated", "flipped", "swapped", "unsigned", "wrong key", "replayed", "missing")
WHENS = ("plan", "first wave", "mid-wave", "rollback")
REGIONS = ("us-east-1", "eu-west-1")


def _cases_i(_large: bool) -> list[Case]:
    return [
        Case(seeds("I") + 100 * kind + 10 * hurt, when)
        for kind in range(len(KINDS))
        for hurt in range(len(HURTS))
        for when in range(len(WHENS))
    ]


class Keyed:
    """ports.Verifier, with a keyed hash in the place of ECDSA."""

    def verify(self, _key: str, sha256: bytes, signature: bytes) -> bool:
        return hmac.compare_digest(signature, _sign(KEY, sha256))


def _sign(key: bytes, sha256: bytes) -> bytes:
    return hmac.new(key, sha256, hashlib.sha256).digest()


class Shelf:
    """ports.Artifacts in memory, with the checks of the one on disk: so that each case damages a copy of its own."""

    def __init__(self) -> None:
        self.files: dict[tuple[str, Digest], bytes] = {}
        self.documents: dict[str, bytes] = {}

    def put(self, content: bytes, regions: Sequence[str]) -> tuple[Digest, int]:
        name = digest(sha256_hex(content))
        self.files.update({(region, name): content for region in regions})
        return name, len(regions)

    def get(self, wanted: Digest, region: str | None = None) -> bytes:
        content = self.files.get((region or REGIONS[0], wanted))
        if content is None:
            raise ArtifactMissing(f"{wanted} is not in {region}")
        if digest(sha256_hex(content)) != wanted:
            raise ArtifactDamaged(f"the artifact {wanted} does not have the digest that names it")
        return content

    def has(self, wanted: Digest, region: str) -> bool:
        return (region, wanted) in self.files

    def put_document(self, name: str, content: bytes) -> bool:
        return self.documents.setdefault(name, content) is content

    def get_document(self, name: str) -> bytes | None:
        return self.documents.get(name)


class Vouched(Stage):
    """A stage whose releases have bytes and signatures, and are verified as the command line verifies them."""

    def __init__(self, tmp: Path) -> None:
        super().__init__(tmp, fleet=a_fleet(4), policy=QUICK)
        self.shelf = Shelf()
        self.artifacts = self.shelf  # type: ignore[assignment]

    def manifest(self, version: str) -> Manifest:
        made = []
        for purpose in KINDS[1:4]:
            content = f"{purpose} of {version}".encode()
            name = digest(sha256_hex(content))
            made.append(Artifact(digest=name, content=name, size=len(content), purpose=purpose))
        return replace(super().manifest(version), artifacts=tuple(sorted(made, key=lambda item: item.digest)))

    def build(self, version: str) -> Manifest:
        built = super().build(version)
        for purpose in KINDS[1:4]:
            self.shelf.put(f"{purpose} of {version}".encode(), REGIONS)
        self.shelf.put_document(document_name(built.release), self.envelope(self.manifest(version)))
        return built

    @staticmethod
    def envelope(manifest: Manifest, key: bytes = KEY) -> bytes:
        payload = statement_bytes(manifest)
        return envelope_bytes(payload, "key", _sign(key, signed_digest(payload)))

    def verifier(self, plan: Plan, actor: str) -> Callable[[], None]:
        seen = super().verifier(plan, actor)

        def verify() -> None:
            manifest, _ = load_manifest(plan.release, self.artifacts, Keyed(), "key")
            if manifest.digest != plan.digest:
                raise IntegrityBroken("the manifest is of another release")
            verify_release(manifest, self.artifacts, REGIONS)
            seen()

        return verify


def _prepare_i(_case: Case, tmp: Path) -> Stage:
    stage = Vouched(tmp)
    first_is_there(stage)
    stage.wire.seen.clear()
    return stage


def _act_i(stage: Stage, case: Case) -> None:
    """Whatever is damaged: the next wave does not begin, and what is said is that integrity is broken."""
    kind, hurt, when = KINDS[case.number // 100], HURTS[case.number // 10 % 10], WHENS[case.place]
    if when == "plan":
        _hurts(stage, kind, hurt, "1.1.0")
        _cannot_begin(stage, kind, hurt)
        return
    plan = load_plan(plan_digest(stage.plan("1.1.0")), stage.artifacts)
    if when == "rollback":
        stage.promote(plan)
        _hurts(stage, kind, hurt, "1.1.0", plan)
        # What goes back needs nothing of the release that it leaves.
        stage.rollback(plan, RollbackScope(all=True))
        assert set(stage.runs().values()) == {"1.0.0"}, stage.runs()
        return
    moment: type[e.Event] = e.PlanFixed if when == "first wave" else e.TargetHealthy
    stage.happens_when(moment, "", lambda _: _hurts(stage, kind, hurt, "1.1.0", plan))
    waves = _waves_begun(stage, plan)
    if kind != "plan" and waves > (0 if when == "first wave" else 1):
        fail("I6", f"{waves} waves of a release whose {kind} was {hurt} began ({when})")


def _waves_begun(stage: Stage, plan: Plan) -> int:
    try:
        stage.promote(plan)
    except (IntegrityBroken, NotFound):
        pass
    else:
        if stage.check.record.runs[str(plan.release)].standing == "SUCCEEDED":
            return len(plan.waves)
    return sum(wave.started for wave in stage.check.record.runs[str(plan.release)].waves)


def _cannot_begin(stage: Stage, kind: str, hurt: str) -> None:
    try:
        plan = load_plan(plan_digest(stage.plan("1.1.0")), stage.artifacts)
        if kind == "plan":
            _hurts(stage, kind, hurt, "1.1.0", plan)
            load_plan(plan_digest(plan), stage.artifacts)
        stage.promote(plan)
    except (IntegrityBroken, NotFound, Refused):
        ran = [h for h in stage.cloud.history if h.after == "intake@1.1.0"]
        assert not ran, f"{ran[0]} with its {kind} {hurt}"
        return
    fail("I6", f"a release whose {kind} was {hurt} was promoted")


def _hurts(stage: Stage, kind: str, hurt: str, version: str, plan: Plan | None = None) -> None:
    if kind == "manifest":
        _hurts_the_manifest(stage, hurt, version)
        return
    if kind == "plan" and plan is None:
        return
    content = f"{kind} of {version}".encode()
    name = plan_digest(plan) if plan is not None and kind == "plan" else digest(sha256_hex(content))
    files = _shelf(stage).files
    found = files.pop((REGIONS[0], name))
    if hurt != "missing":
        files[REGIONS[0], name] = _hurt(found, hurt)


def _hurts_the_manifest(stage: Stage, hurt: str, version: str) -> None:
    manifest = stage.manifest(version)
    name, documents = document_name(manifest.release), _shelf(stage).documents
    found = documents.pop(name)
    payload = statement_bytes(manifest)
    content = {
        "truncated": found[:-20],
        "flipped": found.replace(b"1", b"2", 1),
        "swapped": Vouched.envelope(stage.manifest("1.0.0")),
        "unsigned": canonical({"payload": "", "payloadType": "", "signatures": []}),
        "wrong key": Vouched.envelope(manifest, OTHER_KEY),
        "replayed": envelope_bytes(
            payload, "key", _sign(KEY, signed_digest(statement_bytes(stage.manifest("1.0.0"))))
        ),
        "missing": b"",
    }[hurt]
    if content:
        documents[name] = content


def _shelf(stage: Stage) -> Shelf:
    assert isinstance(stage, Vouched)
    return stage.shelf


def _hurt(content: bytes, hurt: str) -> bytes:
    if hurt == "truncated":
        return content[: len(content) // 2]
    if hurt == "swapped":
        return canonical(sparse_json(QUICK))
    return bytes([content[0] ^ 1]) + content[1:]


_PLAY_I, _BATCH_I = sharing(_prepare_i, _act_i)


ARTIFACTS = Family(
    letter="I",
    title="the manifest, a template, a function or the plan is cut, flipped, swapped, unsigned or gone, at every phase",
    invariants=("I5", "I6"),
    cases=_cases_i,
    play=_PLAY_I,
    batch=_BATCH_I,
    scene=lambda _case: "vouched",
)
