"""Fixtures of the tests of the local AWS front."""

from __future__ import annotations

from tests.local_aws import admin_session, front

__all__ = ["admin_session", "front"]
