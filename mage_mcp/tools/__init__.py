"""Every toolset the server offers."""

from mage_mcp.tools import pipelines, runs, triggers

ALL = {toolset.name: toolset for toolset in (pipelines.tools, runs.tools, triggers.tools)}
