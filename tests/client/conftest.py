"""A simulated Cloud for the tests of `mage.clusters`."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from mage_mcp.demo.cloud import CloudWorld
from mage_mcp.demo.times import Clock


@pytest.fixture
def state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's notes on restarts are."""
    folder = tmp_path / "state"
    monkeypatch.setenv("MAGE_MCP_STATE_DIR", str(folder))
    return folder


@pytest.fixture
def cloud(state_folder: Path) -> CloudWorld:
    return CloudWorld(Clock(datetime(2026, 11, 24, 12, tzinfo=UTC)))
