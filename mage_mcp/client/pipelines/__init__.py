"""Pipelines of one Mage cluster: one noun, by what is done with them."""

from mage_mcp.client.pipelines.changing import Clearable, PipelineChanged, PipelineChanger
from mage_mcp.client.pipelines.creating import NewPipelineType, PipelineCreated, PipelineCreator
from mage_mcp.client.pipelines.deleting import PipelineDeleted, PipelineDeleter
from mage_mcp.client.pipelines.detail import (
    BlockRow,
    PipelineDetail,
    downstream_of,
    in_order,
    shown_variables,
)
from mage_mcp.client.pipelines.reading import PipelinePage, PipelineRow, PipelineStatus, PipelineType

__all__ = [
    "BlockRow",
    "Clearable",
    "NewPipelineType",
    "PipelineChanged",
    "PipelineCreated",
    "PipelineDeleted",
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


class Pipelines(PipelineCreator, PipelineChanger, PipelineDeleter):
    """List, look at, create, change and delete pipelines."""
