"""Keyrings for tests: one that works, and such as fail. A subprocess takes one by PYTHON_KEYRING_BACKEND."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keyring
import keyring.core
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, PasswordSetError

ROOT = Path(__file__).parents[1]


class Memory(KeyringBackend):
    """Works, and remembers what it was asked for."""

    priority = 5
    largest = 1_000_000

    def __init__(self) -> None:
        super().__init__()
        self.entries: dict[str, str] = {}
        self.asked: list[str] = []

    @property
    def name(self) -> str:
        return "test"

    def get_password(self, service: str, username: str) -> str | None:
        assert service == "mage-mcp"
        self.asked.append(username)
        return self.entries.get(username)

    def set_password(self, service: str, username: str, password: str) -> None:
        if len(password) > self.largest:
            raise PasswordSetError(f"cannot store {password}")
        self.entries[username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.entries[username]


class Shared(KeyringBackend):
    """Works, and is the same for all processes that have the same TEST_KEYRING."""

    priority = 5
    name = "test"

    @property
    def _path(self) -> Path:
        return Path(os.environ["TEST_KEYRING"])

    def _read(self) -> dict[str, str]:
        return json.loads(self._path.read_text()) if self._path.exists() else {}

    def get_password(self, service: str, username: str) -> str | None:
        return self._read().get(username)

    def set_password(self, service: str, username: str, password: str) -> None:
        self._path.write_text(json.dumps({**self._read(), username: password}))

    def delete_password(self, service: str, username: str) -> None:
        self._path.write_text(json.dumps({key: text for key, text in self._read().items() if key != username}))


class InHome(Shared):
    """The same for all processes of one person, whatever a host leaves of their environment."""

    @property
    def _path(self) -> Path:
        return Path.home() / "keyring.json"


class Broken(KeyringBackend):
    """Fails as libraries do, with what it was to keep in its text."""

    priority = 5
    name = "broken"

    def get_password(self, service: str, username: str) -> str | None:
        raise KeyringLocked("locked, planted-in-an-error")

    def set_password(self, service: str, username: str, password: str) -> None:
        raise RuntimeError(f"no D-Bus for {password}")

    def delete_password(self, service: str, username: str) -> None:
        raise KeyringLocked("locked")


class Hanging(KeyringBackend):
    """Waits for somebody to unlock it."""

    priority = 5
    name = "hanging"
    unlocked = threading.Event()

    def get_password(self, service: str, username: str) -> str | None:
        self.unlocked.wait(60)
        return None

    def set_password(self, service: str, username: str, password: str) -> None:
        self.unlocked.wait(60)

    def delete_password(self, service: str, username: str) -> None:
        self.unlocked.wait(60)


@contextmanager
def using(backend: KeyringBackend) -> Iterator[None]:
    """The keyring of this process, for a while."""
    keyring.set_keyring(backend)
    try:
        yield
    finally:
        keyring.core._keyring_backend = None  # the next one asks the environment again


def environment_with(backend: type[KeyringBackend], folder: Path) -> dict[str, str]:
    """Of a subprocess that is to have this one."""
    return {
        "PYTHON_KEYRING_BACKEND": f"tests.keyrings.{backend.__name__}",
        "PYTHONPATH": str(ROOT),
        "TEST_KEYRING": str(folder / "keyring.json"),
        "MAGE_MCP_STATE_DIR": str(folder / "state"),
        "XDG_CONFIG_HOME": str(folder / "config"),
    }
