"""A configuration file of somebody else's, read and written back so that no failure loses it."""

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_BOM = "\ufeff"


class CannotWrite(Exception):
    """It stays as it was; says why."""


@dataclass(frozen=True)
class Found:
    """A file as it is: `path` is the real one, behind any links. `data` is None where there is none yet."""

    path: Path
    data: bytes | None
    mode: int = 0

    @property
    def text(self) -> str:
        """Without its byte order mark. Raises UnicodeDecodeError."""
        return (self.data or b"").decode("utf-8").removeprefix(_BOM)

    def encoded(self, text: str) -> bytes:
        """The text as the file's bytes, with the byte order mark where it had one."""
        return ((_BOM if (self.data or b"").decode("utf-8").startswith(_BOM) else "") + text).encode("utf-8")


def find(path: Path) -> Found:
    """Raises OSError where there is something that cannot be read."""
    real = Path(os.path.realpath(path))
    try:
        return Found(real, real.read_bytes(), stat.S_IMODE(real.stat().st_mode))
    except FileNotFoundError:
        return Found(real, None)


def write(found: Found, data: bytes, *, now: datetime | None = None) -> Path | None:
    """Put `data` in the file's place, at once; returns where the bytes that were there are kept.

    Links and the file's mode stay. The new bytes are on the disk before they take the file's place. Raises
    CannotWrite, and then the file is as it was: read-only, no room, or changed by another since it was found.
    """
    path = found.path
    if found.data is not None and not found.mode & 0o222:
        raise CannotWrite(f"{path} is read-only.")
    backup: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _beside(path, data, found.mode) as new:
            if find(path).data != found.data:
                raise CannotWrite(f"{path} has been changed by another program this very moment. Try again.")
            backup = _kept(found, now or datetime.now(UTC))
            new.replace(path)
    except OSError as error:
        if backup:
            backup.unlink(missing_ok=True)
        raise CannotWrite(f"{path} cannot be written ({error.strerror or type(error).__name__}).") from None
    return backup


def _kept(found: Found, now: datetime) -> Path | None:
    if found.data is None:
        return None
    stamp = f"{found.path.name}.bak-{now:%Y%m%dT%H%M%SZ}"
    for number in range(100):
        backup = found.path.with_name(stamp + (f"-{number}" if number else ""))
        with contextlib.suppress(FileExistsError):
            _create(backup, found.data, found.mode)
            return backup
    raise FileExistsError(stamp)


@contextlib.contextmanager
def _beside(path: Path, data: bytes, mode: int) -> Iterator[Path]:
    """A new file in the same folder, gone afterwards unless it was moved."""
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    new.unlink(missing_ok=True)
    _create(new, data, mode)
    try:
        yield new
    finally:
        new.unlink(missing_ok=True)


def _create(path: Path, data: bytes, mode: int) -> None:
    """Whole or not at all; never readable by more people than `mode` says, which 0 leaves to the system."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode or 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if mode:
            path.chmod(mode)
    except OSError:
        path.unlink(missing_ok=True)
        raise
