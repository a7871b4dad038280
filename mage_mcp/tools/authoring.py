"""Tools to write pipelines and blocks."""

from mage_mcp.tools._toolset import Toolset

tools = Toolset("authoring")
