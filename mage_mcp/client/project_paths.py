"""Paths of files within a Mage project: checked before anything is sent, and which of them hold secrets."""

import re
from unicodedata import normalize

from mage_mcp.errors import MageInvalid
from mage_mcp.text import clean, one_line

_LONGEST = 1_000
_LONGEST_PART = 255
# Mage decodes a path twice, so a percent sign would spell any other character; a backslash is a slash elsewhere.
_PART = re.compile(r"[^/\\%\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_SECRET_PART = re.compile(
    r".*io_config.*\.ya?ml.*|\.env.*|.*\.env(?:\..*)?|profiles\.ya?ml|\.preferences\.yaml|\.?secrets?(?:\.(?:json|ya?ml|toml|ini|cfg|conf|properties|txt))?"
    r"|\.ssh.*|\.git|\.git-credentials|\.netrc|_netrc|\.pgpass|pgpass\.conf|\.my\.cnf|\.npmrc|\.pypirc|\.htpasswd"
    r"|\.aws|\.boto|\.s3cfg|\.kube|kubeconfig.*|\.docker|\.databrickscfg|\.snowflake|\.snowsql"
    r"|.*\.(?:pem|key|p8|p12|pfx|jks|keystore|ppk|kdbx|gpg|tfvars|tfstate)|id_(?:rsa|dsa|ecdsa|ed25519).*"
    r"|.*(?:credentials?|service[-_]?account|keyfile|client[-_]?secrets?).*\.(?:json|ya?ml|ini|toml)"
    r"|(?:.*[-_.])?keys?\.json|credentials?"
)
_BACKUP = re.compile(r"(?:\.(?:bak|backup|old|orig|save|sav|swp|tmp|\d+)|~|,v)+$")
_SHORT_NAME = re.compile(r"[^.]{1,6}~\d(?:\.[^.]{0,3})?")
"""What Windows calls a file with a longer name besides: `io_con~1.yam` may be any."""


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
    """Whether a file's name, or that of a folder above it, says so; `.file_versions/io_config.yaml/1` counts.

    Names that some file system takes for the same count as the same: in other case, with characters that nobody sees,
    with a dot, space or `:stream` behind (Windows). So do a copy's, `server.pem.bak`.
    """
    return any(map(_tells_of_secrets, path.split("/")))


def _tells_of_secrets(part: str) -> bool:
    plain = normalize("NFKC", clean(part)).casefold().partition(":")[0].rstrip(" .")
    return any(
        pattern.fullmatch(name) for name in (plain, _BACKUP.sub("", plain)) for pattern in (_SECRET_PART, _SHORT_NAME)
    )


def _is_part(part: str) -> bool:
    return (
        len(part) <= _LONGEST_PART
        and _PART.fullmatch(part) is not None
        and part == part.strip()
        and part not in {".", ".."}
    )
