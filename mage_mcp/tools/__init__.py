"""Every toolset the server offers."""

from mage_mcp.tools import authoring, backfills, clusters, files, pipelines, runs, triggers, variables, workspaces
from mage_mcp.tools._toolset import Risk

ALL = {
    module.tools.name: module.tools
    for module in (clusters, pipelines, runs, triggers, backfills, authoring, variables, files, workspaces)
}
RISKS: dict[str, Risk] = {name: risk for toolset in ALL.values() for name, risk in toolset.risks().items()}
"""Of every tool, by name."""
