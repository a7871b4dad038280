"""The store: the keyring where one works, else the file. Both are read, for what is kept may be older than the keyring.

Its methods block, up to some seconds: call them off the event loop.
"""

import json
import time
from pathlib import Path
from typing import Any

from mage_mcp.credentials.entries import KeptLogin, is_time, login_from, secret_key, secret_of
from mage_mcp.credentials.keyrings import Keyring
from mage_mcp.credentials.places import Kind, NoKeyringError, Place, StoreUnusable, file_title
from mage_mcp.credentials.private_file import PrivateFile
from mage_mcp.settings import state_folder
from mage_mcp.text import remember_secret

SERVING_LIMIT_S = 3.0
"""For the keyring's answer while a model waits."""
PERSON_LIMIT_S = 60.0
"""The same while the person sits there, who may have to unlock it."""

_KEPT_AT = "kept_at"


class Store:
    """Logins by the keys of `entries.py`, secrets by their names. Opens nothing before it is asked.

    Whatever it reads is masked from then on wherever it turns up.
    """

    def __init__(self, *, limit_s: float = SERVING_LIMIT_S, file: Path | None = None) -> None:
        self._keyring = Keyring(limit_s)
        self._file = PrivateFile(file or state_folder() / "credentials.json")

    def login(self, key: str) -> KeptLogin | None:
        """The login that was kept last under this key.

        Raises StoreUnusable where a place that may hold it cannot be read, and no other one does.
        """
        found = self._read(key)
        return login_from(found[0]) if found else None

    def place_of(self, key: str) -> Place | None:
        """Where the login lies that `login` answers. Raises StoreUnusable, as that does."""
        found = self._read(key)
        if found is None:
            return None
        return (
            Place("keyring", self._keyring.title())
            if found[1] == "keyring"
            else Place("file", file_title(self._file.path))
        )

    def keep_login(self, key: str, login: KeptLogin) -> Place:
        """Keep it, instead of what was kept under this key.

        Raises StoreUnusable.
        """
        return self._write(key, login.told())

    def renew_login(self, key: str, old: KeptLogin, new: KeptLogin) -> None:
        """Put it where the old one lies, and nowhere else: a password in a keyring never moves into a file by itself.

        Does nothing where another process has replaced the old one. Raises StoreUnusable.
        """
        found = self._read(key)
        if found is None or login_from(found[0]) != old:
            return
        self._write_to(found[1], key, _text(new.told()))

    def forget_login(self, key: str) -> list[Kind]:
        """Remove it; returns from where. Raises StoreUnusable."""
        return self._drop(key)

    def secret(self, name: str) -> str | None:
        """Raises StoreUnusable, as `login` does."""
        found = self._read(secret_key(name))
        value = found[0].get("value") if found else None
        return value if isinstance(value, str) else None

    def keep_secret(self, name: str, value: str) -> Place:
        """Raises StoreUnusable."""
        return self._write(secret_key(name), {"value": value})

    def forget_secret(self, name: str) -> list[Kind]:
        """Remove it; returns from where. Raises StoreUnusable."""
        return self._drop(secret_key(name))

    def secrets(self) -> tuple[dict[str, Kind], str]:
        """The names of all secrets with where each lies, and why a place could not be looked into, if one could not."""
        named: dict[str, Kind] = {}
        problems = []
        try:
            named |= dict.fromkeys(filter(None, map(secret_of, self._file.read())), "file")
        except StoreUnusable as error:
            problems.append(str(error))
        try:
            named |= dict.fromkeys(filter(None, map(secret_of, self._keyring.keys())), "keyring")
        except NoKeyringError:
            pass
        except StoreUnusable as error:
            problems.append(str(error))
        return dict(sorted(named.items())), " ".join(problems)

    def _read(self, key: str) -> tuple[dict[str, Any], Kind] | None:
        """What was kept last, and where."""
        found: list[tuple[dict[str, Any], Kind]] = []
        problems = []
        for kind in ("keyring", "file"):
            try:
                text = self._read_from(kind, key)
            except NoKeyringError:
                continue
            except StoreUnusable as error:
                problems.append(str(error))
            else:
                if text is not None:
                    found.append((_parsed(text), kind))
        if not found and problems:
            raise StoreUnusable(" ".join(problems))
        return max(found, key=lambda one: _kept_at(one[0]), default=None)

    def _read_from(self, kind: Kind, key: str) -> str | None:
        return self._keyring.get(key) if kind == "keyring" else self._file.read().get(key)

    def _write(self, key: str, told: dict[str, Any]) -> Place:
        """Into the keyring, else into the file; what the other place still holds is older, and goes if it can."""
        text, problem = _text(told), ""
        try:
            self._keyring.set(key, text)
        except NoKeyringError:
            pass
        except StoreUnusable as error:
            problem = str(error)
        else:
            self._drop_from_file(key)
            return Place("keyring", self._keyring.title())
        self._write_to("file", key, text)
        return Place("file", file_title(self._file.path), problem)

    def _write_to(self, kind: Kind, key: str, text: str) -> None:
        if kind == "keyring":
            self._keyring.set(key, text)
        else:
            self._file.change(lambda entries: entries.update({key: text}))

    def _drop(self, key: str) -> list[Kind]:
        dropped: list[Kind] = ["file"] if self._drop_from_file(key) else []
        try:
            if self._keyring.delete(key):
                dropped.append("keyring")
        except NoKeyringError:
            pass
        return dropped

    def _drop_from_file(self, key: str) -> bool:
        if key not in self._file.read():
            return False

        def drop(entries: dict[str, str]) -> None:
            entries.pop(key, None)

        self._file.change(drop)
        return True


def _text(told: dict[str, Any]) -> str:
    return json.dumps({**told, _KEPT_AT: time.time()})


def _parsed(text: str) -> dict[str, Any]:
    """Somebody else may have written there: what is no entry of ours counts as an empty one."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(told, dict):
        return {}
    for key in ("token", "password", "value"):
        if isinstance(told.get(key), str):
            remember_secret(told[key])
    return told


def _kept_at(told: dict[str, Any]) -> float:
    kept_at = told.get(_KEPT_AT)
    return float(kept_at) if kept_at is not None and is_time(kept_at) else 0.0
