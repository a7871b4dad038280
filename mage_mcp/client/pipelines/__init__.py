"""Pipelines of one Mage cluster: one noun, by what is done with them."""

from mage_mcp.client.pipelines.reading import (
    BlockRow,
    PipelineDetail,
    PipelinePage,
    PipelineReader,
    PipelineRow,
    PipelineStatus,
    PipelineType,
    downstream_of,
    in_order,
    shown_variables,
)

__all__ = [
    "BlockRow",
    "PipelineDetail",
    "PipelinePage",
    "PipelineRow",
    "PipelineStatus",
    "PipelineType",
    "Pipelines",
    "downstream_of",
    "in_order",
    "shown_variables",
]


class Pipelines(PipelineReader):
    """List and look at pipelines."""
