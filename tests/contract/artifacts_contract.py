"""What every artifact store must do. A subclass gives `store` and ways to look behind it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.errors import ArtifactDamaged, ArtifactMissing, RequestRefused, VersionTaken
from pipeline.model.canonical import sha256_hex
from pipeline.model.ids import Digest, digest
from pipeline.ports import Artifacts

REGIONS = ("eu-west-1", "us-east-1")
CONTENT = b"the code of a function"
NAME = digest(sha256_hex(CONTENT))
DOCUMENT = "releases/intake/1.4.0.json"

Overwrite = Callable[[str, Digest, bytes], None]
"""Puts other bytes in an artifact's place, as only an intruder could."""


class ArtifactsContract:
    @pytest.fixture
    def store(self) -> Artifacts:
        raise NotImplementedError

    @pytest.fixture
    def overwrite(self) -> Overwrite:
        raise NotImplementedError

    def test_an_artifact_is_named_by_its_sha256_and_uploaded_once_per_region(self, store: Artifacts) -> None:
        assert store.put(CONTENT, REGIONS) == (NAME, 2)
        assert [store.get(NAME, region) for region in (*REGIONS, None)] == [CONTENT] * 3

    def test_a_second_put_uploads_nothing(self, store: Artifacts) -> None:
        store.put(CONTENT, REGIONS)
        assert store.put(CONTENT, REGIONS) == (NAME, 0)

    def test_a_region_that_joins_later_gets_only_its_own_copy(self, store: Artifacts) -> None:
        store.put(CONTENT, ("us-east-1",))
        assert not store.has(NAME, "eu-west-1")
        assert store.put(CONTENT, REGIONS) == (NAME, 1)
        assert store.has(NAME, "eu-west-1")

    def test_an_artifact_that_is_not_there_is_missing(self, store: Artifacts) -> None:
        assert not store.has(NAME, "us-east-1")
        with pytest.raises(ArtifactMissing):
            store.get(NAME)

    @pytest.mark.parametrize(
        "bytes_now", [CONTENT[:-1], b"X" + CONTENT[1:], b"", b"another artifact"], ids=str
    )
    def test_an_artifact_whose_bytes_have_changed_is_never_given_out(
        self, store: Artifacts, overwrite: Overwrite, bytes_now: bytes
    ) -> None:
        store.put(CONTENT, REGIONS)
        overwrite("eu-west-1", NAME, bytes_now)
        with pytest.raises(ArtifactDamaged):
            store.get(NAME, "eu-west-1")
        assert store.get(NAME, "us-east-1") == CONTENT

    def test_a_document_is_written_once(self, store: Artifacts) -> None:
        assert store.get_document(DOCUMENT) is None
        assert store.put_document(DOCUMENT, b"first") is True
        assert store.put_document(DOCUMENT, b"first") is False
        with pytest.raises(VersionTaken):
            store.put_document(DOCUMENT, b"second")
        assert store.get_document(DOCUMENT) == b"first"

    def test_of_many_writers_of_one_document_one_wins(self, store: Artifacts) -> None:
        def write(number: int) -> bool:
            try:
                return store.put_document(DOCUMENT, b"writer %d" % number)
            except VersionTaken:
                return False

        with ThreadPoolExecutor(max_workers=4) as pool:
            written = list(pool.map(write, range(8)))
        assert sum(written) == 1
        assert store.get_document(DOCUMENT) == b"writer %d" % written.index(True)

    @pytest.mark.parametrize("name", ["../up", "/etc/passwd", "a//b", "", "a/../b", "a/.hidden", "a b"])
    def test_a_document_has_a_plain_name(self, store: Artifacts, name: str) -> None:
        with pytest.raises(RequestRefused):
            store.put_document(name, b"x")
