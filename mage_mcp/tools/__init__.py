"""Every toolset the server offers."""

from mage_mcp.tools import clusters, pipelines, runs, triggers

ALL = {toolset.name: toolset for toolset in (clusters.tools, pipelines.tools, runs.tools, triggers.tools)}
