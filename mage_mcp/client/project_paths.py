"""Paths of files within a Mage project: checked before anything is sent, and which of them hold secrets."""

import re

from mage_mcp.errors import MageInvalid
from mage_mcp.text import one_line

_LONGEST = 1_000
_LONGEST_PART = 255
# Mage decodes a path twice, so a percent sign would spell any other character; a backslash is a slash elsewhere.
_PART = re.compile(r"[^/\\%\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_SECRET_PART = re.compile(
    r"io_config.*\.ya?ml.*|\.env.*|.*\.env|profiles\.ya?ml|\.preferences\.yaml|\.?secrets|\.ssh.*|\.git|\.git-credentials"
    r"|\.netrc|\.pgpass|\.npmrc|\.pypirc|\.htpasswd|\.aws|\.kube|\.docker|.*\.(?:pem|key|p12|pfx|jks|keystore|ppk|kdbx)"
    r"|id_(?:rsa|dsa|ecdsa|ed25519).*|.*(?:credentials?|service[-_]?account).*\.(?:json|ya?ml|ini|toml)|credentials?"
)


def project_path(text: str, *, what: str = "file") -> str:
    """A path within the project, `transformers/add_tax.py`, as given by the caller; a folder's may end with a slash.

    Raises MageInvalid for what is absolute, leads out of the project, or is not written as Mage itself writes it;
    nothing was sent.
    """
    path = text.removesuffix("/") if what == "folder" else text
    parts = path.split("/")
    if len(path) > _LONGEST or not all(_is_part(part) for part in parts):
        raise MageInvalid(
            f"{one_line(text, 80)!r} cannot be the path of a {what} of the project; nothing was sent.",
            next_step="A path is relative to the project, like 'transformers/add_tax.py', without '..' and '%'.",
        )
    return path


def readable_path(text: str, *, what: str = "file") -> str:
    """The same, and no file of secrets.

    Raises MageInvalid for `io_config.yaml`, `.env`, `.ssh_tunnel/`, keys, and for Mage's own copies of them.
    """
    path = project_path(text, what=what)
    if holds_secrets(path):
        raise MageInvalid(
            f"{one_line(text, 80)!r} may hold secrets, so it is neither read nor written here; nothing was sent.",
            next_step="A person can open it in Mage's own editor.",
        )
    return path


def holds_secrets(path: str) -> bool:
    """Whether a file's name, or that of a folder above it, says so; `.file_versions/io_config.yaml/1` counts."""
    return any(_SECRET_PART.fullmatch(part.casefold().rstrip(" .")) for part in path.split("/"))


def _is_part(part: str) -> bool:
    return (
        len(part) <= _LONGEST_PART
        and _PART.fullmatch(part) is not None
        and part == part.strip()
        and part not in {".", ".."}
    )
