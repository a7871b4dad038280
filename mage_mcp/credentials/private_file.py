"""One JSON file that only its owner can read, for systems without a keyring."""

import json
import logging
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mage_mcp.credentials.places import StoreUnusable

log = logging.getLogger(__name__)

_LARGEST = 4 * 1024 * 1024
_LOCK_WITHIN_S, _LOCK_FORGOTTEN_S = 3.0, 10.0

Entries = dict[str, str]


class PrivateFile:
    """Entries by name, each a text. On Windows its mode means nothing: the folder of the person's profile guards it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Entries:
        """All entries; none where there is no file. One that others could read is closed to them, and that is logged.

        Raises StoreUnusable.
        """
        try:
            with self.path.open("rb") as file:
                self._close_to_others(file.fileno())
                content = file.read(_LARGEST)
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            raise self._unusable("read", error) from None
        try:
            told = json.loads(content)
        except (ValueError, RecursionError):
            told = None
        if not isinstance(told, dict) or not all(isinstance(text, str) for text in told.values()):
            raise StoreUnusable(f"The file {self.path} is damaged: remove it and log in again.")
        return told

    def change(self, edit: Callable[[Entries], None]) -> None:
        """Read, edit and replace it, whole or not at all, while no other process does.

        Raises StoreUnusable.
        """
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._locked():
                entries = self.read()
                edit(entries)
                self._replace(entries)
        except OSError as error:
            raise self._unusable("written", error) from None

    def _close_to_others(self, handle: int) -> None:
        if os.name == "nt":
            return
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            raise StoreUnusable(f"{self.path} is no file of yours, and was not read.")
        if status.st_mode & 0o077:
            os.fchmod(handle, 0o600)
            log.warning("%s could be read by others. It no longer can: log out and in again.", self.path)

    def _replace(self, entries: Entries) -> None:
        import tempfile  # imports a lot, for a file that is written once in a while

        handle, temporary = tempfile.mkstemp(dir=self.path.parent, prefix=f"{self.path.stem}.", suffix=".tmp")  # 0600
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(entries, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(self.path)
        except OSError:
            with suppress(OSError):
                Path(temporary).unlink()
            raise

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """A file that only one can create. One that a process left when it was killed is taken over."""
        lock = self.path.with_suffix(".lock")
        give_up = time.monotonic() + _LOCK_WITHIN_S
        while True:
            try:
                os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
                break
            except FileExistsError:
                with suppress(FileNotFoundError):
                    if time.time() - lock.stat().st_mtime > _LOCK_FORGOTTEN_S:
                        lock.unlink(missing_ok=True)
                if time.monotonic() > give_up:
                    raise StoreUnusable(f"Another process holds {lock}; try again.") from None
                time.sleep(0.02)
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)

    def _unusable(self, what: str, error: OSError) -> StoreUnusable:
        return StoreUnusable(f"The file {self.path} cannot be {what} ({type(error).__name__}).")
