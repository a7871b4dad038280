"""Blocks and pipelines with what the simulated Mage does not have."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mage_mcp.demo.project import Block, Pipeline


@dataclass(frozen=True)
class LabBlock(Block):
    """A block, with further keys of it in the pipeline's file."""

    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LabPipeline(Pipeline):
    """A pipeline with callbacks (`upstream` names the blocks they belong to) and further keys of its file."""

    callbacks: tuple[Block, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def every_block(self) -> tuple[Block, ...]:
        return (*self.blocks, *self.callbacks, *self.conditionals)
