"""Tools to read and write the project's files."""

from mage_mcp.tools._toolset import Toolset

tools = Toolset("files")
