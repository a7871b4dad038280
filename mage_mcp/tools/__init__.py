"""Every toolset there is, each imported when it is asked for: what is off costs nothing."""

import importlib
from collections.abc import Iterator, Mapping

from mage_mcp.settings import TOOLSETS
from mage_mcp.tools._toolset import RISKS, Toolset

__all__ = ["ALL", "RISKS"]


class _Toolsets(Mapping[str, Toolset]):
    """By name: `mage_mcp.tools.NAME` has it as `tools`."""

    def __getitem__(self, name: str) -> Toolset:
        if name not in TOOLSETS:
            raise KeyError(name)
        toolset: Toolset = importlib.import_module(f"mage_mcp.tools.{name}").tools
        return toolset

    def __iter__(self) -> Iterator[str]:
        return iter(TOOLSETS)

    def __len__(self) -> int:
        return len(TOOLSETS)


ALL = _Toolsets()
