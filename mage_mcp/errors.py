"""The errors that leave the Mage client, and nothing else.

MageError                    `str(error)` is one sentence or three: what failed, why, what to do; safe to show
  MageNotConfigured          no URL, or half a configuration
  MageInvalid                refused here, before anything was sent: an id, an enum, a window
  MageUnreachable            no answer: DNS, TLS, connection, a gateway's 502 to 504
    MageTimeout              no answer in time
  MageReplyInvalid           an answer that is no Mage answer: HTML, half a JSON, a redirect, too large
  MageRefused                an answer that says no
    MageAuthRequired         no session, an expired one, a wrong password or API key
    MageForbidden            the role does not allow it
    MageNotFound             the thing does not exist
    MageUnsupported          this edition or version of Mage does not have it
    MageFailed               Mage's own exception (its error 500, told with HTTP 200)
  MageReadOnly               a write in read-only mode; nothing was sent
  MageWriteUncertain         a write whose answer was lost: it may have happened
"""


class MageError(Exception):
    """Any failure in talking to Mage. `next_step` is what the reader can do about it."""

    next_step = ""

    def __init__(self, what: str, *, next_step: str = "") -> None:
        super().__init__(what)
        self.what = what
        if next_step:
            self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.what} {self.next_step}".strip()


class noting:  # noqa: N801 - reads as the statement it is
    """`with noting("Run 12 was started."):` puts that on whatever is raised inside, a crash of ours included."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if error is not None:
            error.add_note(self._text)


class MageNotConfigured(MageError):
    next_step = "Set MAGE_URL (and MAGE_EMAIL with MAGE_PASSWORD, or MAGE_TOKEN) in the MCP client's configuration."


class MageInvalid(MageError):
    pass


class MageUnreachable(MageError):
    next_step = "Check that Mage is running and that MAGE_URL is right, then try again."


class MageTimeout(MageUnreachable):
    next_step = "Mage may be busy; try again in a moment, with a smaller limit if the call has one."


class MageReplyInvalid(MageError):
    next_step = "Check that MAGE_URL points at a Mage server, base path included."


class MageRefused(MageError):
    pass


class MageAuthRequired(MageRefused):
    next_step = "Ask the person to set MAGE_EMAIL and MAGE_PASSWORD, or a fresh MAGE_TOKEN."


class MageForbidden(MageRefused):
    next_step = "Ask a person whose Mage role allows it (Editor or higher for changes)."


class MageNotFound(MageRefused):
    pass


class MageUnsupported(MageRefused):
    next_step = "This edition or version of Mage does not offer it."


class MageFailed(MageRefused):
    """`exception` is Mage's own one-line text, cleaned; never its traceback."""

    def __init__(self, what: str, *, exception: str = "", next_step: str = "") -> None:
        super().__init__(what, next_step=next_step)
        self.exception = exception


class MageReadOnly(MageError):
    next_step = "The server runs in read-only mode; a person can restart it without --read-only."


class MageWriteUncertain(MageError):
    pass
