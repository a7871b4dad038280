"""Tools to set pipelines' variables."""

from typing import Annotated, Any

from pydantic import Field

from mage_mcp.client.variables import SecretNames, VariablesChange
from mage_mcp.tools._args import PipelineUuid
from mage_mcp.tools._confirm import Plan
from mage_mcp.tools._deps import Mage
from mage_mcp.tools._lenient import OneAsList
from mage_mcp.tools._toolset import Toolset

tools = Toolset("variables")

SetVars = Annotated[dict[str, Any] | None, Field(description="Names and values, of any JSON type but null.")]
UnsetVars = Annotated[list[str] | None, Field(description="Names to remove."), OneAsList]
DryRun = Annotated[bool, Field(description="Only say what would change.")]


@tools.read("List secrets")
async def list_secrets(mage: Mage) -> SecretNames:
    """List the names of the project's secrets, never values, and how blocks read them."""
    return await mage.variables.secrets()


async def _plan_variables(
    mage: Mage,
    pipeline: PipelineUuid,
    set: SetVars,  # noqa: A002 - the word people use
    unset: UnsetVars,
    dry_run: DryRun,
) -> Plan:
    planned = await mage.variables.plan(pipeline, set_=set or {}, unset=unset or ())
    return Plan(f"Change variables on {mage.label}? The values are lost:", () if dry_run else tuple(planned.would))


@tools.destroy("Update variables", plan=_plan_variables)
async def update_variables(
    mage: Mage,
    pipeline: PipelineUuid,
    set: SetVars = None,  # noqa: A002 - the word people use
    unset: UnsetVars = None,
    dry_run: DryRun = False,
) -> VariablesChange:
    """Set and remove a pipeline's variables. A person is asked where a value is overwritten or removed.

    get_pipeline shows them. For one run alone: trigger_pipeline. No secrets: list_secrets names what blocks can read.
    """
    return await mage.variables.update(pipeline, set_=set or {}, unset=unset or (), dry_run=dry_run)
