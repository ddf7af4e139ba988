"""Room: adapters. The Reviews port over GitHub's REST API: who approved an environment of the running workflow.

Source: GitHub REST API, "Workflow runs": GET /repos/{owner}/{repo}/actions/runs/{run_id}, its /approvals
(`environments[].name`, `state` approved, rejected or pending, `user.login`, `comment`; no time of the review) and
its /pending_deployments. A token with `actions: read` suffices. It must never follow a redirect, send the token to
another host, or take anything but a complete and well-formed answer for one.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from pipeline.errors import OperationFailed, UsageError
from pipeline.ports import Review, WorkflowRun

__all__ = ["GitHubReviews", "reviews_of_this_run"]

_VERSION = "2022-11-28"
_CONNECT_SECONDS, _READ_SECONDS, _TOTAL_SECONDS = 5.0, 15.0, 30.0
_LIMIT = 1024 * 1024
"""bytes of an answer; a run has a handful of reviews"""
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_STATES = ("approved", "rejected", "pending")


def reviews_of_this_run(environment: Mapping[str, str]) -> GitHubReviews:
    """Of the workflow run that this process is in. UsageError outside of one, or without a token."""
    wanted = ("GITHUB_REPOSITORY", "GITHUB_RUN_ID", "GITHUB_TOKEN")
    missing = [name for name in wanted if not environment.get(name)]
    if missing:
        raise UsageError(
            f"this is no job of a GitHub workflow with a token: {', '.join(missing)} not set",
            state="nothing was approved",
            remedy="in the job, set env GITHUB_TOKEN: ${{ github.token }} and permissions: actions: read; or approve"
            " at a terminal, without --github",
        )
    return GitHubReviews(
        api=environment.get("GITHUB_API_URL") or "https://api.github.com",
        repository=environment["GITHUB_REPOSITORY"],
        run_id=environment["GITHUB_RUN_ID"],
        token=environment["GITHUB_TOKEN"],
    )


class GitHubReviews:
    """ports.Reviews. api: https://api.github.com, or https://HOST/api/v3 of an Enterprise Server."""

    def __init__(self, *, api: str, repository: str, run_id: str, token: str) -> None:
        parts = urlsplit(api)
        secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
        if not secure or not parts.hostname or "@" in parts.netloc or parts.query or parts.fragment:
            raise UsageError(
                "GITHUB_API_URL is not an https address", state="nothing was sent", remedy="unset it"
            )
        if not _REPOSITORY.fullmatch(repository) or ".." in repository.split("/") or not run_id.isdecimal():
            raise UsageError(
                "GITHUB_REPOSITORY and GITHUB_RUN_ID name no workflow run",
                state="nothing was sent",
                remedy="run this in a job of a GitHub workflow",
            )
        self._base = f"{api.rstrip('/')}/repos/{repository}/actions/runs/{run_id}"
        self._name = f"{repository}/actions/runs/{run_id}"
        self._token = token

    def run(self) -> WorkflowRun:
        raw = self._get("")
        try:
            starters = {raw["actor"]["login"], raw["triggering_actor"]["login"]}
            created = datetime.fromisoformat(raw["created_at"])
            if not all(isinstance(login, str) and login for login in starters) or created.tzinfo is None:
                raise ValueError("no login, or a time without its offset")
        except (KeyError, TypeError, ValueError) as fault:
            raise self._failed("its answer does not say who began the run") from fault
        return WorkflowRun(name=self._name, starters=tuple(sorted(starters)), created_at=created)

    def reviews(self) -> tuple[Review, ...]:
        raw = self._get("/approvals")
        try:
            return tuple(_review(entry) for entry in _array(raw))
        except (KeyError, TypeError, ValueError) as fault:
            raise self._failed("its list of reviews has another form than documented") from fault

    def pending(self) -> tuple[str, ...]:
        raw = self._get("/pending_deployments")
        try:
            return tuple(_text(entry["environment"]["name"]) for entry in _array(raw))
        except (KeyError, TypeError, ValueError) as fault:
            raise self._failed("its list of waiting environments has another form than documented") from fault

    def _get(self, path: str) -> Any:
        import requests

        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {self._token}",
            "X-GitHub-Api-Version": _VERSION,
            "User-Agent": "tidegate",
        }
        try:
            with requests.Session() as session:
                # A netrc entry would replace the token; the proxies of the environment are still used.
                proxies = requests.utils.get_environ_proxies(self._base)
                session.trust_env = False
                session.proxies.update(proxies)
                with session.get(
                    self._base + path,
                    headers=headers,
                    timeout=(_CONNECT_SECONDS, _READ_SECONDS),
                    allow_redirects=False,
                    stream=True,
                ) as answer:
                    if answer.status_code != 200:
                        raise self._failed(_meaning(answer.status_code))
                    content = self._content(answer.iter_content(16 * 1024))
        except (requests.RequestException, OSError) as fault:
            # The text of the fault is left out: it may quote the address of a proxy with its password.
            raise self._failed(f"it did not answer ({type(fault).__name__})") from None
        try:
            return json.loads(content)
        except (ValueError, RecursionError) as fault:
            raise self._failed("its answer is not JSON") from fault

    def _content(self, pieces: Iterator[bytes]) -> bytes:
        content, deadline = b"", time.monotonic() + _TOTAL_SECONDS
        for piece in pieces:
            content += piece
            if len(content) > _LIMIT or time.monotonic() > deadline:
                raise self._failed("its answer is larger or slower than any list of reviews")
        return content

    def _failed(self, why: str) -> OperationFailed:
        return OperationFailed(
            f"GitHub could not be asked who approved {self._name}: {why}",
            state="nothing was approved; what cannot be read is no approval",
            remedy="run the same command again; or approve at a terminal, without --github",
        )


def _meaning(status: int) -> str:
    if status in (401, 403):
        return f"it refused the token ({status}); the job needs permissions: actions: read"
    if status == 404:
        return "it knows no such run, or the token may not read it (404)"
    if 300 <= status < 400:
        return f"it sent a redirect ({status}), which is not followed; has the repository moved?"
    return f"it answered {status}"


def _array(raw: Any) -> list[Any]:
    if not isinstance(raw, list):
        raise TypeError("not an array")
    return raw


def _text(raw: Any) -> str:
    if not isinstance(raw, str):
        raise TypeError("not a text")
    return raw


def _review(raw: Any) -> Review:
    state = _text(raw["state"])
    if state not in _STATES:
        raise ValueError("a state that is not documented")
    return Review(
        login=_text(raw["user"]["login"]),
        state=state,
        comment=_text(raw.get("comment") or ""),
        environments=tuple(_text(found["name"]) for found in _array(raw["environments"])),
    )
