"""The last look at what leaves: a lone surrogate in any string would end the SDK's stdio server."""

from typing import Any, NoReturn

from mcp import MCPError

from mage_mcp.text import mend_surrogates, show
from mage_mcp.tools._answer import shown


async def mend_answers(ctx: Any, call_next: Any) -> Any:
    """A lone surrogate in any outgoing string ends the SDK's stdio server; one cut emoji in a log is enough."""
    try:
        return _mended(await call_next(ctx))
    except MCPError as error:
        _raise_mended(error)


def _raise_mended(error: MCPError) -> NoReturn:
    raise MCPError(error.error.code, show(error.error.message), _mended(shown(error.error.data))) from error


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return mend_surrogates(value)
    if isinstance(value, dict):
        return {_mended(key): _mended(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_mended(item) for item in value]
    return value
