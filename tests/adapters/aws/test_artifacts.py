"""What S3 is told with each call, and what becomes of its conditional answers."""

from __future__ import annotations

import io
from typing import Any

import pytest

from pipeline.adapters.aws.artifacts import ATTEMPTS, S3Artifacts
from pipeline.adapters.aws.faults import AwsRefused
from pipeline.adapters.aws.session import AMBIENT, Aws, Identity
from pipeline.errors import AnswerLost, ArtifactDamaged, NotFound, ReleaseError, Throttled
from pipeline.model.canonical import sha256_hex
from pipeline.model.fleet import Tools
from pipeline.model.ids import account_id, digest

TOOLS = Tools(account=account_id("210987654321"), region="us-east-1")
CONTENT = b"bytes"
NAME = digest(sha256_hex(CONTENT))
CHECKSUM = "J3CJ2RwL308uaGK6fkoHYFEZQx9dE/cm3TUrBvGyBqk="


class ScriptedAws(Aws):
    """Answers from a script, by operation; an error in it is raised. What is asked is kept."""

    def __init__(self, **answers: list[Any]) -> None:
        super().__init__()
        self.answers = answers
        self.asked: list[tuple[str, str, dict[str, Any]]] = []

    def call(
        self, identity: Identity, service: str, region: str, operation: str, **params: Any
    ) -> dict[str, Any]:
        self.asked.append((region, operation, params))
        answer = self.answers[operation].pop(0)
        if isinstance(answer, ReleaseError):
            raise answer
        return dict(answer)


def refused(code: str) -> AwsRefused:
    return AwsRefused.of(f"s3 put object: {code}", code, "", ())


def absent() -> NotFound:
    return NotFound("s3 head object: 404")


def test_an_upload_carries_its_condition_its_checksum_and_the_bucket_s_owner() -> None:
    aws = ScriptedAws(head_object=[absent()], put_object=[{}])
    assert S3Artifacts(aws, AMBIENT, TOOLS).put(CONTENT, ["eu-west-1"]) == (NAME, 1)
    where = {"Bucket": "tidegate-artifacts-210987654321-eu-west-1", "ExpectedBucketOwner": "210987654321"}
    key = {"Key": f"sha256/{sha256_hex(CONTENT)}"}
    assert aws.asked == [
        ("eu-west-1", "head_object", {**where, **key, "ChecksumMode": "ENABLED"}),
        (
            "eu-west-1",
            "put_object",
            {
                **where,
                **key,
                "Body": CONTENT,
                "ContentType": "application/octet-stream",
                "IfNoneMatch": "*",
                "ChecksumSHA256": CHECKSUM,
            },
        ),
    ]


@pytest.mark.parametrize(
    "answer",
    [refused("PreconditionFailed"), refused("ConditionalRequestConflict"), AnswerLost("no answer")],
    ids=["412", "409", "answer lost"],
)
def test_after_a_doubtful_answer_it_looks_before_it_writes_again(answer: ReleaseError) -> None:
    aws = ScriptedAws(head_object=[absent(), {"ChecksumSHA256": CHECKSUM}], put_object=[answer])
    assert S3Artifacts(aws, AMBIENT, TOOLS).put(CONTENT, ["us-east-1"]) == (NAME, 0)


def test_a_writer_that_never_gets_its_turn_says_so() -> None:
    aws = ScriptedAws(
        head_object=[absent() for _ in range(ATTEMPTS)],
        put_object=[refused("ConditionalRequestConflict") for _ in range(ATTEMPTS)],
    )
    with pytest.raises(Throttled, match="another writer was busy"):
        S3Artifacts(aws, AMBIENT, TOOLS).put(CONTENT, ["us-east-1"])


def test_any_other_refusal_is_passed_on() -> None:
    aws = ScriptedAws(head_object=[absent()], put_object=[refused("InvalidBucketState")])
    with pytest.raises(AwsRefused, match="InvalidBucketState"):
        S3Artifacts(aws, AMBIENT, TOOLS).put(CONTENT, ["us-east-1"])


def test_a_file_that_stands_there_with_another_checksum_is_damage_not_presence() -> None:
    aws = ScriptedAws(head_object=[{"ChecksumSHA256": "AAAA"}])
    with pytest.raises(ArtifactDamaged):
        S3Artifacts(aws, AMBIENT, TOOLS).put(CONTENT, ["us-east-1"])


def test_a_bucket_that_is_missing_is_not_taken_for_a_release_that_is_missing() -> None:
    aws = ScriptedAws(get_object=[absent()], head_bucket=[NotFound("s3 head bucket: 404")])
    with pytest.raises(NotFound, match="head bucket"):
        S3Artifacts(aws, AMBIENT, TOOLS).get_document("releases/intake/1.0.0.json")


def test_a_connection_that_breaks_while_reading_is_no_damage() -> None:
    from botocore.exceptions import ReadTimeoutError

    class Broken(io.BytesIO):
        def read(self, *_: Any) -> bytes:
            raise ReadTimeoutError(endpoint_url="https://s3")

    aws = ScriptedAws(get_object=[{"Body": Broken(), "ContentLength": 5}])
    with pytest.raises(Throttled):
        S3Artifacts(aws, AMBIENT, TOOLS).get(NAME)
