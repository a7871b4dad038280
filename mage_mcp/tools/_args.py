"""Arguments that several tools share."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field


def _as_text(value: Any) -> Any:
    """Models send a run id now as a number, now as a text."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


IdAsText = BeforeValidator(_as_text)

PipelineUuid = Annotated[str, Field(description="Pipeline uuid.", min_length=1)]
InPipeline = Annotated[str, Field(description="Only this pipeline.")]
RunRef = Annotated[str, IdAsText, Field(description="Run id, or a link to it from Mage's UI.", min_length=1)]
TriggerRef = Annotated[str, IdAsText, Field(description="Only this trigger: id or name.")]
Search = Annotated[str, Field(description="Part of the name.")]
Limit = Annotated[int, Field(description="Most items.", ge=1, le=100)]
Offset = Annotated[int, Field(description="Items to skip.", ge=0)]
WaitS = Annotated[float, Field(description="Seconds to wait for the end.", ge=0, le=45)]
