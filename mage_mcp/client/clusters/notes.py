"""What must outlive this process about a cluster that it stops: one small file each, in the user's state folder."""

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mage_mcp.settings import state_folder

__all__ = ["Notes", "NotesFile", "state_folder"]


@dataclass(frozen=True)
class Notes:
    """`replicas` it had before it was stopped; `restart_began` (ISO time) while a restart owes it its start."""

    replicas: int | None = None
    restart_began: str = ""
    unreadable: bool = False


class NotesFile:
    """The notes on one cluster in the Cloud: of which Cloud, team and id it is, is in its name, hashed."""

    def __init__(self, place: tuple[str, str, str]) -> None:
        self._place = place

    def read(self) -> Notes:
        """What was noted; nothing where there is no file. A file that cannot be read counts as none, and says so."""
        try:
            told = json.loads(self.path().read_text(encoding="utf-8"))
        except FileNotFoundError:
            return Notes()
        except (OSError, ValueError, RecursionError):
            return Notes(unreadable=True)
        if not isinstance(told, dict) or told.get("place") != list(self._place):
            return Notes(unreadable=True)
        replicas, began = told.get("replicas"), told.get("restart_began", "")
        if not _is_count(replicas) or not isinstance(began, str):
            return Notes(unreadable=True)
        return Notes(replicas=replicas, restart_began=began[:40])

    def write(self, notes: Notes) -> None:
        """Replace the file, whole or not at all, readable by its owner only.

        Raises OSError.
        """
        import tempfile  # imports a lot, for a file that is written once in a while

        path = self.path()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        text = json.dumps({"place": self._place, "replicas": notes.replicas, "restart_began": notes.restart_began})
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f"{path.stem}.", suffix=".tmp")  # mode 0600
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except OSError:
            with suppress(OSError):
                Path(temporary).unlink()
            raise

    def restore(self, notes: Notes) -> None:
        """What stood there before, after a write that turned out to be needless."""
        if notes.replicas is None and not notes.restart_began:
            self.forget()
            return
        with suppress(OSError):
            self.write(notes)

    def forget(self) -> None:
        """Remove the file. One that stays does no harm: it is compared with what the Cloud says."""
        with suppress(OSError):
            self.path().unlink()

    def path(self) -> Path:
        digest = hashlib.sha256("\n".join(self._place).encode()).hexdigest()[:32]
        return state_folder() / f"cluster-{digest}.json"


def _is_count(value: Any) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1000)
