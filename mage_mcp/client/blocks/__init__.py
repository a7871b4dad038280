"""Blocks of a pipeline: their code, their place in the graph, and changing both."""

from mage_mcp.client.blocks.deleting import BlockDeleter
from mage_mcp.client.blocks.models import BlockChange, BlockDetail, BlockSource, BlockType, Language, TemplatePage

__all__ = ["BlockChange", "BlockDetail", "BlockSource", "BlockType", "Blocks", "Language", "TemplatePage"]


class Blocks(BlockDeleter):
    """Look at blocks, make, change and delete them."""
