"""What the process remembers of secrets and names: each test that plants some has registers of its own."""

import pytest

from mage_mcp import text
from mage_mcp.client import secrets


def empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is remembered from before, and nothing from now on is kept."""
    monkeypatch.setattr(text, "_known", set())
    monkeypatch.setattr(text, "_known_pattern", None)
    monkeypatch.setattr(text, "_tokens", {})
    monkeypatch.setattr(text, "_names", {})
    monkeypatch.setattr(secrets, "_variables", set())
