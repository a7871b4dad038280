"""Where entries lie, in words, and the one error of all such places."""

import os
from dataclasses import dataclass
from typing import Literal

Kind = Literal["keyring", "file"]


class StoreUnusable(Exception):
    """The keyring or the file cannot be used. Its text is a sentence, and never a value."""


class NoKeyringError(StoreUnusable):
    """There is none on this system: no failure, the file is used."""


@dataclass(frozen=True)
class Place:
    """`title` names it within a sentence. `problem` says why it is not the keyring, where one was there and failed."""

    kind: Kind
    title: str
    problem: str = ""


def file_title(path: object) -> str:
    """The file in a sentence, with who can read it."""
    guard = "which your Windows profile's permissions protect" if os.name == "nt" else "which only you can read"
    return f"the file {path} ({guard}; not encrypted)"
