"""Floor 2, ports: who reviewed a workflow's environment, as its host tells. No code here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

__all__ = ["Review", "Reviews", "WorkflowRun"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """One person's answer to the environments of a workflow run that wait for one.

    state: `approved`, `rejected` or `pending` (a mere comment). login: of the reviewer. The host does not say when.
    """

    login: str
    state: str
    comment: str
    environments: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowRun:
    """starters: logins of whoever began the run, and of whoever began this attempt of it. created_at: of its first
    attempt, so that every review of it is younger."""

    name: str
    starters: tuple[str, ...]
    created_at: datetime


class Reviews(Protocol):
    """Each method raises OperationFailed for anything but a complete answer: no error passes as an approval."""

    def run(self) -> WorkflowRun: ...

    def reviews(self) -> tuple[Review, ...]: ...

    def pending(self) -> tuple[str, ...]:
        """Names of the environments that still wait for a review."""
        ...
