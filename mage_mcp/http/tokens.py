"""Who is let in: the bearer tokens of a file, read again when it changes."""

import hashlib
import hmac
import logging
import re
from pathlib import Path

from mcp.server.auth.provider import AccessToken

from mage_mcp.errors import MageNotConfigured
from mage_mcp.http.secret_files import lines_of, reason, warn_if_open
from mage_mcp.text import remember_secret

log = logging.getLogger(__name__)

SHORTEST_TOKEN = 32
UNNAMED = "unnamed"
_LINE = re.compile(r"(?:(?P<name>[\w.@+-]{1,64})[ \t]*:[ \t]*)?(?P<token>[A-Za-z0-9._~+/-]+=*)")
"""A token as RFC 6750 has it, so that a colon ends the name before it."""
MAKE_ONE = "Make one with: mage-mcp serve --new-token FILE"


class Tokens:
    """The tokens of a file, one a line, `TOKEN` or `NAME: TOKEN`. Several may bear one name: they are one caller.

    What is wrong with the file at the start raises MageNotConfigured. Later it holds as far as it can be understood,
    and the log says the rest: a token whose line is gone lets nobody in, whatever else went wrong.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._state: tuple[int, ...] = ()
        self._known: list[tuple[bytes, AccessToken]] = []
        wrong = self._read()
        if wrong or not self._known:
            raise MageNotConfigured(
                f"The token file {file} cannot be used: {'; '.join(wrong) or 'it holds no token'}.", next_step=MAKE_ONE
            )
        warn_if_open(file)

    def caller_of(self, token: str) -> AccessToken | None:
        """Whose token this is; None if nobody's. Takes as long for a wrong one as for a right one."""
        self._read_again()
        digest, found = _digest(token), None
        for known, caller in self._known:
            if hmac.compare_digest(known, digest):
                found = caller
        return found

    def _read_again(self) -> None:
        """Where the file changed. A mounted secret is changed by turning a symlink, which shows in its inode."""
        if self._state == self._now():
            return
        if wrong := self._read():
            log.error("Of the token file %s: %s. Its other lines hold.", self._file, "; ".join(wrong))
        else:
            log.warning("The token file was read again: %d tokens.", len(self._known))

    def _now(self) -> tuple[int, ...]:
        try:
            status = self._file.stat()
        except OSError:
            return ()
        return status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size

    def _read(self) -> list[str]:
        """Read it; returns what is wrong with it, told by line numbers."""
        self._state = self._now()
        try:
            lines = lines_of(self._file)
        except (OSError, ValueError) as error:
            self._known = []
            return [f"it cannot be read ({reason(error)})"]
        known: dict[bytes, AccessToken] = {}
        wrong: list[str] = []
        for number, line in lines.items():
            found = _LINE.fullmatch(line)
            if found is None:
                wrong.append(f"line {number} is neither TOKEN nor NAME: TOKEN")
            elif len(found["token"]) < SHORTEST_TOKEN:
                wrong.append(f"the token in line {number} is shorter than {SHORTEST_TOKEN} characters")
            elif _digest(found["token"]) in known:
                wrong.append(f"line {number} repeats a token")
            else:
                remember_secret(found["token"])
                known[_digest(found["token"])] = _caller(found["name"], found["token"])
        self._known = list(known.items())
        return wrong


def _caller(name: str | None, token: str) -> AccessToken:
    """As the SDK has it: what is sealed for one caller is opened by no other. Without the token, which nobody needs."""
    principal = name or f"{UNNAMED} {_digest(token).hex()}"
    return AccessToken(token="", client_id=principal, subject=name or UNNAMED, scopes=[])


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
