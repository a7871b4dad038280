"""Functions made at run time, so that the SDK sees them as if they had been written by hand."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from mcp.types import CallToolResult
from pydantic import Field

from mage_mcp.client.models import Answer
from mage_mcp.tools._deps import ClusterArg

CONFIRM, CLUSTER = "confirm", "cluster"
"""Arguments that every tool gets where they mean something; what clients see of them, the server decides."""
ConfirmCode = Annotated[str, Field(description="Code from this call's preview, if one was given.")]


def dressed(
    call: Callable[..., Awaitable[CallToolResult]],
    fn: Callable[..., Awaitable[Answer]],
    hints: dict[str, Any],
    *,
    extra: dict[str, Any] | None = None,
) -> Callable[..., Awaitable[CallToolResult]]:
    """Give `call` name, docstring and arguments of `fn`, the `extra` ones, and `cluster` where it needs a client."""
    call.__name__, call.__qualname__, call.__doc__ = fn.__name__, fn.__qualname__, fn.__doc__
    defaults = {name: p.default for name, p in inspect.signature(fn).parameters.items()} | {CONFIRM: "", CLUSTER: ""}
    cluster = {CLUSTER: ClusterArg} if "mage" in hints else {}
    annotations = {**cluster, **hints, **(extra or {}), "return": CallToolResult}
    sign(call, annotations, defaults)
    return call


def sign(fn: Callable[..., Any], annotations: dict[str, Any], defaults: dict[str, Any] | None = None) -> None:
    """Make both views that the SDK takes of a function, its signature and its annotations, say the same."""
    parameters = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=annotation,
            default=(defaults or {}).get(name, inspect.Parameter.empty),
        )
        for name, annotation in annotations.items()
        if name != "return"
    ]
    fn.__signature__ = inspect.Signature(parameters, return_annotation=annotations["return"])  # type: ignore[attr-defined]
    fn.__annotations__ = annotations
