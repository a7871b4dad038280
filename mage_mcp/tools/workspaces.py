"""Tools for the workspaces of Mage Pro, and for deployments."""

from mage_mcp.tools._toolset import Toolset

tools = Toolset("workspaces")
