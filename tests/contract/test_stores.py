"""The contract suites of the stores, against SQLite and against memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.adapters.local.clock import SystemClock
from pipeline.adapters.local.store import open_store
from pipeline.adapters.simulated.stores import MemoryJournal, MemoryLatch, MemoryLeases, MemoryRegistry
from pipeline.ports import Clock
from tests.contract.journal_contract import JournalContract, MakeJournal
from tests.contract.latch_contract import LatchContract, MakeLatch
from tests.contract.leases_contract import LeasesContract, MakeLeases
from tests.contract.registry_contract import MakeRegistry, RegistryContract


class TestSqliteJournal(JournalContract):
    @pytest.fixture
    def make(self, tmp_path: Path) -> MakeJournal:
        return lambda clock: open_store(tmp_path / "state.db", clock).journal


class TestSqliteLeases(LeasesContract):
    @pytest.fixture
    def make(self, tmp_path: Path) -> MakeLeases:
        return lambda clock: open_store(tmp_path / "state.db", clock).leases


class TestSqliteLatch(LatchContract):
    @pytest.fixture
    def make(self, tmp_path: Path) -> MakeLatch:
        return lambda clock: open_store(tmp_path / "state.db", clock).latch


class TestSqliteRegistry(RegistryContract):
    @pytest.fixture
    def make(self, tmp_path: Path) -> MakeRegistry:
        return lambda: open_store(tmp_path / "state.db", SystemClock()).registry


class TestMemoryJournal(JournalContract):
    @pytest.fixture
    def make(self) -> MakeJournal:
        opened: list[MemoryJournal] = []

        def make(clock: Clock) -> MemoryJournal:
            if not opened:
                opened.append(MemoryJournal(clock))
            return opened[0]

        return make


class TestMemoryLeases(LeasesContract):
    @pytest.fixture
    def make(self) -> MakeLeases:
        opened: list[MemoryLeases] = []

        def make(clock: Clock) -> MemoryLeases:
            if not opened:
                opened.append(MemoryLeases(clock))
            return opened[0]

        return make


class TestMemoryLatch(LatchContract):
    @pytest.fixture
    def make(self) -> MakeLatch:
        opened: list[MemoryLatch] = []

        def make(clock: Clock) -> MemoryLatch:
            if not opened:
                opened.append(MemoryLatch(clock))
            return opened[0]

        return make


class TestMemoryRegistry(RegistryContract):
    @pytest.fixture
    def make(self) -> MakeRegistry:
        registry = MemoryRegistry()
        return lambda: registry
