"""Values that never pass through a model: taken by name from the server's own environment, or from what a person left
in the keyring.
"""

import os
import re
from collections.abc import Mapping, Sequence

import anyio

from mage_mcp.credentials import SECRET_PREFIX as PREFIX
from mage_mcp.credentials import StoreUnusable
from mage_mcp.errors import MageInvalid
from mage_mcp.text import one_line, remember_secret
from mage_mcp.tools._deps import current_app

__all__ = ["PREFIX", "is_known", "remember_environment", "values_from"]

_PLACEHOLDER = re.compile(r"<[^<>]*>|\$\{[^{}]*\}|\*{3,}")
_MOST_TOLD = 10


def remember_environment() -> None:
    """Whoever puts a value under such a name calls it a secret; a block may print it before any call uses it."""
    for name, value in os.environ.items():
        if name.startswith(PREFIX):
            remember_secret(value)


async def values_from(given: Mapping[str, str] | None, by_name: Mapping[str, str] | None) -> dict[str, str]:
    """The values given, and those that the named variables of this process hold, or the kept secrets of that name.

    Raises MageInvalid for a name without the prefix (whatever else is in the environment is nobody's business), one
    that is not set, and a variable that is given both ways.
    """
    values = dict(given or {})
    for name, text in values.items():
        if text.startswith(PREFIX) or _PLACEHOLDER.fullmatch(text):
            raise MageInvalid(
                f"The value given for {one_line(name, 60)} in set is a stand-in, not a value; nothing was written.",
                next_step=f"A secret goes by set_from: {{{one_line(name, 60)!r}: '{PREFIX}…'}}. {await _known()}",
            )
    for name, source in (by_name or {}).items():
        if not source.startswith(PREFIX):
            raise MageInvalid(
                f"{one_line(source, 60)!r} is no variable that set_from may read; nothing was written.",
                next_step=await _known(),
            )
        value = os.environ.get(source) or await _kept(source)
        if not value:
            shown = one_line(source, 60)
            raise MageInvalid(
                f"{shown} is neither set in the server's environment nor kept; nothing was written.",
                next_step=f"Ask the person to run `mage-mcp secret set {shown}` in a terminal. {await _known()}",
            )
        if name in values:
            raise MageInvalid(
                f"{one_line(name, 60)} is in set and in set_from; nothing was written.", next_step="Give it once."
            )
        remember_secret(value)
        values[name] = value
    return values


async def is_known(source: str) -> bool:
    """Whether set_from would find it."""
    try:
        return bool(os.environ.get(source) or await _kept(source))
    except MageInvalid:
        return False


async def _kept(source: str) -> str | None:
    """A kept secret. Raises MageInvalid where it cannot be looked for."""
    app = current_app()
    if app is None or app.store is None:
        return None
    try:
        return await anyio.to_thread.run_sync(app.store.secret, source)
    except StoreUnusable as error:
        raise MageInvalid(
            f"{one_line(source, 60)} is not set in the server's environment, and what is kept cannot be read. {error} "
            "Nothing was written.",
            next_step="Ask the person to unlock the keyring, then call again.",
        ) from None


async def _known() -> str:
    """The names that there are, never a value."""
    names = sorted(name for name, value in os.environ.items() if name.startswith(PREFIX) and value)
    app = current_app()
    kept, problem = await anyio.to_thread.run_sync(app.store.secrets) if app and app.store else ({}, "")
    places = (("Set in the server's environment", names), ("Kept", [name for name in kept if name not in names]))
    told = [f"{place}: {_list(there)}." for place, there in places if there]
    return " ".join([*(told or [f"None is set or kept yet; names begin with {PREFIX}."]), problem]).strip()


def _list(names: Sequence[str]) -> str:
    return ", ".join(one_line(name, 60) for name in names[:_MOST_TOLD])
