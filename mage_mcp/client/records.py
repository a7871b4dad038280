"""What Mage stores, as it answers: lenient, so that several Mage versions fit.

Unknown fields are ignored, missing and null ones take a default, times become aware UTC datetimes whatever of
Mage's five forms they come in. Only the client reads these; what leaves it are the lean models of `client/models.py`.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from mage_mcp.client.secrets import remember_variables
from mage_mcp.errors import MageReplyInvalid
from mage_mcp.text import remember_name, remember_token

RUN_STATUSES = ("initial", "running", "completed", "failed", "cancelled")
BLOCK_RUN_STATUSES = (
    "initial",
    "queued",
    "running",
    "completed",
    "failed",
    "cancelled",
    "upstream_failed",
    "condition_failed",
)
UNFINISHED = ("initial", "running")
"""Run statuses that may still change by themselves."""


def parse_time(value: Any) -> datetime | None:
    """Read any of Mage's time forms; Mage means UTC where it gives no zone.

    Forms seen on 0.9.80: `2026-11-24 02:16:13.666856`, the same without fraction, with `T`, with `+00:00`, and epoch
    seconds as a float. None for anything else: a run without a readable time is still a run.
    """
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        if not isinstance(moment, datetime):
            return None
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError, OSError):  # each for another kind of number or date out of range
        return None


_TOKENS = ("token", "pipeline_schedule_token")
_VARIABLES = ("variables", "event_variables")

Time = Annotated[datetime | None, BeforeValidator(parse_time)]


class Record(BaseModel):
    """A row of Mage's. A null where a default exists counts as missing."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    names: ClassVar[tuple[str, ...]] = ()
    """Its fields that hold a name for the next call."""

    @classmethod
    def model_validate(cls, obj: Any, **kwargs: Any) -> Self:
        """The row as a record.

        Raises MageReplyInvalid where it is none: no id, or another type than a known field has.
        """
        try:
            return super().model_validate(obj, **kwargs)
        except ValidationError as error:
            where = ".".join(str(part) for part in error.errors(include_input=False)[0]["loc"]) or "the whole row"
            name = cls.__name__.removesuffix("Record").lower()
            raise MageReplyInvalid(
                f"Mage's answer holds a {name} that cannot be read ({where}).",
                next_step="This version of Mage may not be supported (0.9.80 is).",
            ) from None

    @model_validator(mode="before")
    @classmethod
    def _null_is_missing(cls, data: Any) -> Any:
        """And what is a secret in it, or must not be taken for one, is remembered."""
        if not isinstance(data, dict):
            return data
        for key in cls.names:
            if isinstance(name := data.get(key), str):
                remember_name(name)
        for key in _TOKENS:
            if isinstance(token := data.get(key), str):
                remember_token(token)
        for key in _VARIABLES:
            remember_variables(data.get(key))
        return {k: v for k, v in data.items() if v is not None}


class BlockRecord(Record):
    """A block as a pipeline defines it."""

    names = ("uuid",)

    uuid: str
    name: str = ""
    type: str = ""
    language: str = ""
    upstream_blocks: list[str] = []
    downstream_blocks: list[str] = []
    configuration: dict[str, Any] = {}
    timeout: Any = None
    replicated_block: str = ""
    content: str | None = None


class TriggerRecord(Record):
    """A pipeline schedule. Its token is only read to be masked."""

    names = ("pipeline_uuid",)

    id: int
    name: str = ""
    pipeline_uuid: str = ""
    schedule_type: str = ""
    schedule_interval: str = ""
    status: str = ""
    description: str = ""
    start_time: Time = None
    last_enabled_at: Time = None
    next_pipeline_run_date: Time = None
    last_pipeline_run_status: str = ""
    pipeline_runs_count: int | None = None
    pipeline_in_progress_runs_count: int | None = None
    tags: list[str] = []
    variables: dict[str, Any] = {}
    settings: dict[str, Any] = {}


class PipelineRecord(Record):
    """A pipeline. `variables` and block contents only in its detail; `schedules` only when asked for."""

    names = ("uuid",)
    uuid: str
    name: str = ""
    type: str = ""
    description: str = ""
    tags: list[str] = []
    blocks: list[BlockRecord] = []
    callbacks: list[BlockRecord] = []
    conditionals: list[BlockRecord] = []
    variables: dict[str, Any] = {}
    schedules: list[TriggerRecord] = []
    settings: dict[str, Any] = {}
    concurrency_config: dict[str, Any] = {}
    retry_config: dict[str, Any] = {}
    executor_type: str = ""
    cache_block_output_in_memory: bool = False
    run_pipeline_in_one_process: bool = False
    created_at: Time = None
    updated_at: Time = None


class RunError(Record):
    """`metrics.error` of a block run: `error` is str(exception), `message` the whole traceback."""

    error: str = ""
    message: str = ""


class RunMetrics(Record):
    error: RunError | None = None

    @model_validator(mode="before")
    @classmethod
    def _error_is_an_object(cls, data: Any) -> Any:
        if isinstance(data, dict) and not isinstance(data.get("error"), dict):
            return {}
        return data


class BlockRunRecord(Record):
    """One block within one run. Its uuid may hold `/` (nested) and `:` (dynamic child)."""

    names = ("block_uuid",)
    id: int
    block_uuid: str
    status: str = ""
    started_at: Time = None
    completed_at: Time = None
    updated_at: Time = None
    metrics: RunMetrics = RunMetrics()


class RunRecord(Record):
    """A pipeline run. The trigger's name and type come only in lists."""

    names = ("pipeline_uuid",)
    id: int
    pipeline_uuid: str = ""
    status: str = ""
    pipeline_schedule_id: int | None = None
    pipeline_schedule_name: str = ""
    pipeline_schedule_type: str = ""
    execution_date: Time = None
    created_at: Time = None
    started_at: Time = None
    completed_at: Time = None
    updated_at: Time = None
    variables: dict[str, Any] = {}
    event_variables: dict[str, Any] = {}
    block_runs: list[BlockRunRecord] = Field(default=[])
    backfill_id: int | None = None
    repo_path: str = ""
