"""Tools to set pipelines' variables."""

from mage_mcp.tools._toolset import Toolset

tools = Toolset("variables")
