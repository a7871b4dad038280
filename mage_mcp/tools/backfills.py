"""Tools to run pipelines for a window of the past."""

from mage_mcp.tools._toolset import Toolset

tools = Toolset("backfills")
