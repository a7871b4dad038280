"""Arguments that several tools share."""

from typing import Annotated

from pydantic import Field

from mage_mcp.tools._lenient import AsList, IdAsText, at_most, spelled

PipelineUuid = Annotated[str, Field(description="Pipeline uuid.", min_length=1)]
InPipeline = Annotated[str, Field(description="Only this pipeline.")]
RunRef = Annotated[str, IdAsText, Field(description="Run id, or a link to it from Mage's UI.", min_length=1)]
RunRefs = Annotated[
    list[Annotated[str, IdAsText]], Field(description="Run ids, or links.", min_length=1, max_length=20), AsList
]
RunWords = spelled(
    any=None,
    all=None,
    success="completed",
    successful="completed",
    succeeded="completed",
    complete="completed",
    error="failed",
    errored="failed",
    failure="failed",
    fail="failed",
    canceled="cancelled",
    in_progress="running",
    pending="initial",
    queued="initial",
    waiting="initial",
    hanging="stuck",
    hung="stuck",
)
"""What a run's statuses are called elsewhere."""
TriggerRef = Annotated[str, IdAsText, Field(description="Only this trigger: id or name.")]
Search = Annotated[str, Field(description="Part of the name.")]
Limit = Annotated[int, Field(description="Most items.", ge=1, le=100), at_most(100)]
Offset = Annotated[int, Field(description="Items to skip.", ge=0)]
WaitS = Annotated[float, Field(description="Seconds to wait for the end.", ge=0, le=45), at_most(45)]
