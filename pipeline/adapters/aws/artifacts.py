"""Floor 3, adapters: immutable files in S3, one bucket per Region, and documents that are written once.

Every object is created with If-None-Match, so that nothing is ever overwritten, and every read is compared with
the digest that names it. ExpectedBucketOwner stands in every call: bucket names are global, and a bucket of that
name in another account must not be used. It must never delete.

Source: S3 User Guide, "Prevent object overwrites with conditional writes" (412 PreconditionFailed where the key
exists, 409 ConditionalRequestConflict where another write is under way: look again).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pipeline.adapters.aws.faults import AwsRefused, CallSite, translated
from pipeline.adapters.aws.session import Aws, Identity
from pipeline.errors import (
    AnswerLost,
    ArtifactDamaged,
    ArtifactMissing,
    NotFound,
    RequestRefused,
    Throttled,
    VersionTaken,
)
from pipeline.model.canonical import sha256_hex
from pipeline.model.fleet import Tools
from pipeline.model.ids import Digest, digest
from pipeline.model.release import artifact_key

__all__ = ["S3Artifacts"]

ATTEMPTS = 5
PARALLEL = 8
MAX_ARTIFACT_BYTES = 512 * 1024 * 1024
_DOCUMENT = re.compile(r"[a-z0-9][A-Za-z0-9@._-]*(/[A-Za-z0-9][A-Za-z0-9@._-]*)*")


class S3Artifacts:
    """The port `Artifacts`. Documents stand in the home Region's bucket."""

    def __init__(self, aws: Aws, identity: Identity, tools: Tools) -> None:
        self._aws = aws
        self._identity = identity
        self._tools = tools

    def put(self, content: bytes, regions: Sequence[str]) -> tuple[Digest, int]:
        """Regions side by side; each is looked at first, so that a rerun sends nothing."""
        name = digest(sha256_hex(content))
        wanted = tuple(dict.fromkeys(regions))
        with ThreadPoolExecutor(max_workers=max(1, min(PARALLEL, len(wanted)))) as pool:
            uploads = tuple(pool.map(lambda region: self._put_in(region, name, content), wanted))
        return name, sum(uploads)

    def get(self, wanted: Digest, region: str | None = None) -> bytes:
        place = region or self._tools.region
        try:
            content = self._read(place, artifact_key(wanted))
        except NotFound:
            raise ArtifactMissing(
                f"{wanted} is not in the artifact bucket of {place}",
                state="nothing was touched",
                remedy="run release build again on the same commit: it uploads what is missing",
            ) from None
        if digest(sha256_hex(content)) != wanted:
            raise _damaged(wanted, place)
        return content

    def has(self, wanted: Digest, region: str) -> bool:
        """True where it is there and S3's own checksum, if it knows one, is the digest. ArtifactDamaged else."""
        try:
            answer = self._call(region, "head_object", Key=artifact_key(wanted), ChecksumMode="ENABLED")
        except NotFound:
            return False
        known = answer.get("ChecksumSHA256")
        if known is not None and known != _checksum(wanted):
            raise _damaged(wanted, region)
        return True

    def put_document(self, name: str, content: bytes) -> bool:
        home = self._tools.region
        key = _document(name)
        for _ in range(ATTEMPTS):
            standing = self.get_document(name)
            if standing is not None:
                return _same(name, standing, content)
            if self._create(home, key, content, "application/json"):
                return True
        raise _contended(name, home)

    def get_document(self, name: str) -> bytes | None:
        try:
            return self._read(self._tools.region, _document(name))
        except NotFound:
            # 404 is also what a missing bucket says; head_bucket tells the two apart.
            self._call(self._tools.region, "head_bucket")
            return None

    # --- one object ----------------------------------------------------------------------------

    def _put_in(self, region: str, name: Digest, content: bytes) -> int:
        for _ in range(ATTEMPTS):
            if self.has(name, region):
                return 0
            if self._create(region, artifact_key(name), content, "application/octet-stream"):
                return 1
        raise _contended(name, region)

    def _create(self, region: str, key: str, content: bytes, kind: str) -> bool:
        """False where somebody else was first, is about to be, or the answer was lost: look again."""
        try:
            self._call(
                region,
                "put_object",
                Key=key,
                Body=content,
                ContentType=kind,
                IfNoneMatch="*",
                ChecksumSHA256=_checksum(digest(sha256_hex(content))),
            )
        except AwsRefused as refusal:
            if refusal.aws_code in ("PreconditionFailed", "ConditionalRequestConflict"):
                return False
            raise
        except AnswerLost:
            return False
        return True

    def _read(self, region: str, key: str) -> bytes:
        from botocore.exceptions import BotoCoreError, FlexibleChecksumError

        answer = self._call(region, "get_object", Key=key, ChecksumMode="ENABLED")
        if int(answer.get("ContentLength", 0)) > MAX_ARTIFACT_BYTES:
            raise ArtifactDamaged(
                f"{key} in {region} is larger than any artifact", state="nothing was touched"
            )
        body = answer["Body"]
        try:
            return bytes(body.read())
        except FlexibleChecksumError:
            raise ArtifactDamaged(
                f"the bytes of {key} in {region} do not have the checksum that S3 keeps of them",
                state="nothing was touched",
            ) from None
        except BotoCoreError as fault:
            site = CallSite(service="s3", operation="get_object", region=region)
            raise translated(fault, site, uncertain=False) from None
        finally:
            body.close()

    def _call(self, region: str, operation: str, **params: Any) -> dict[str, Any]:
        return self._aws.call(
            self._identity,
            "s3",
            region,
            operation,
            Bucket=f"{self._tools.bucket_prefix}-{region}",
            ExpectedBucketOwner=str(self._tools.account),
            **params,
        )


def _checksum(name: Digest) -> str:
    return base64.b64encode(bytes.fromhex(name.removeprefix("sha256:"))).decode("ascii")


def _document(name: str) -> str:
    if not _DOCUMENT.fullmatch(name):
        raise RequestRefused(f"{name!r} is no name of a document", state="nothing was written")
    return name


def _same(name: str, standing: bytes, content: bytes) -> bool:
    if standing == content:
        return False
    raise VersionTaken(f"{name} exists already, with other content", state="nothing was written")


def _damaged(name: Digest, region: str) -> ArtifactDamaged:
    return ArtifactDamaged(
        f"the artifact {name} in {region} does not have the digest that names it",
        state="nothing was touched",
        remedy="find out who changed it (S3 access log, object versions); do not deploy this release",
    )


def _contended(name: str, region: str) -> Throttled:
    return Throttled(
        f"{name} could not be written in {region}: another writer was busy with it {ATTEMPTS} times",
        state="nothing is half written; objects are created whole or not at all",
        remedy="run the same command again",
    )
