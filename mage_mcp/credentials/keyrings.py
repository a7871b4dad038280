"""The system's keyring, which may be missing, locked, broken, or wait for a person: each question to it has an end."""

import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from mage_mcp.credentials.places import NoKeyringError, StoreUnusable
from mage_mcp.text import one_line

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

SERVICE = "mage-mcp"
_INDEX = "index"
"""The entry with the names of all others: keyrings cannot list."""

_BUS = "DBUS_SESSION_BUS_ADDRESS"

T = TypeVar("T")


class Keyring:
    """Entries by name, each a text. Every method raises NoKeyringError where there is none, else StoreUnusable.

    Each question is asked in a thread, one at a time. One that gets no answer within `limit_s` is left behind: a system
    may just be asking the person to unlock it, and the next question after that gets its answer. Until then others
    fail at once.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._turn = threading.Lock()
        self._hangs = False

    def title(self) -> str:
        """What it is, in a sentence."""
        return self._ask(lambda backend: f"the system's keyring ({one_line(str(backend.name), 60)})")

    def get(self, key: str) -> str | None:
        return self._ask(lambda backend: backend.get_password(SERVICE, key))

    def set(self, key: str, text: str) -> None:
        """Keep it, with its name in the index. Two processes that do this at once may lose a name, but no entry."""

        def act(backend: "KeyringBackend") -> None:
            backend.set_password(SERVICE, key, text)
            if key not in (known := _index(backend)):
                backend.set_password(SERVICE, _INDEX, json.dumps(sorted([*known, key])))

        self._ask(act)

    def delete(self, key: str) -> bool:
        """Whether it was there."""

        def act(backend: "KeyringBackend") -> bool:
            there = backend.get_password(SERVICE, key) is not None
            if there:
                backend.delete_password(SERVICE, key)
            if key in (known := _index(backend)):
                backend.set_password(SERVICE, _INDEX, json.dumps([name for name in known if name != key]))
            return there

        return self._ask(act)

    def keys(self) -> list[str]:
        return self._ask(_index)

    def _ask(self, act: "Callable[[KeyringBackend], T]") -> T:
        if not self._turn.acquire(timeout=0 if self._hangs else self._limit_s):
            raise self._silent()
        question = _Question(act, self._turn)
        threading.Thread(target=question.run, name="keyring", daemon=True).start()  # must not hold up the process's end
        self._hangs = not question.answered.wait(self._limit_s)
        if self._hangs:
            raise self._silent()
        if isinstance(question.error, StoreUnusable):
            raise question.error
        if question.error is not None:  # whose text may hold what was to be kept
            raise StoreUnusable(f"The system's keyring failed ({type(question.error).__name__}).") from None
        return question.answer

    def _silent(self) -> StoreUnusable:
        return StoreUnusable(
            f"The system's keyring did not answer within {self._limit_s:g} s; it may be locked and wait to be unlocked."
        )


class _Question(Generic[T]):
    """One question, in its thread. As a context manager it keeps whatever a backend raises.

    The libraries below (D-Bus, Windows, macOS, what else a person has configured) raise what they like: this is the
    seam to them.
    """

    answer: T

    def __init__(self, act: "Callable[[KeyringBackend], T]", turn: threading.Lock) -> None:
        self._act = act
        self._turn = turn
        self.error: BaseException | None = None
        self.answered = threading.Event()

    def run(self) -> None:
        try:
            with self:
                self.answer = self._act(_backend())
        finally:
            self._turn.release()
            self.answered.set()

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self.error = error
        return True


def _backend() -> "KeyringBackend":
    _find_session_bus()
    import keyring  # looks through all installed packages for backends, and may start D-Bus

    backend = keyring.get_keyring()
    # 0 is the one that fails always, below are those that keep nothing.
    if backend.priority <= 0:
        raise NoKeyringError("There is no keyring on this system.")
    return backend


def _find_session_bus() -> None:
    """Many hosts start a server without the address of the session's bus, by which Linux's keyring is reached.

    Source: systemd's pam_systemd, `$XDG_RUNTIME_DIR/bus`.
    """
    if sys.platform != "linux" or _BUS in os.environ:
        return
    bus = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}") / "bus"
    if bus.is_socket():
        os.environ[_BUS] = f"unix:path={bus}"


def _index(backend: "KeyringBackend") -> list[str]:
    """The names; those that are lost in an index which cannot be read are only not listed."""
    try:
        names: Any = json.loads(backend.get_password(SERVICE, _INDEX) or "[]")
    except ValueError:
        return []
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
