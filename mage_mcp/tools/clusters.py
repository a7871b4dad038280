"""Tools to look at clusters, start and stop them, and change their configuration in Mage Cloud."""

from typing import Annotated, Any

from pydantic import Field

from mage_mcp.client import clusters
from mage_mcp.client.clusters import ClusterDetail, ClusterPage, ConfigChange, EnvVarsChange, Planned, PowerChange
from mage_mcp.tools._args import WaitS
from mage_mcp.tools._confirm import Plan
from mage_mcp.tools._deps import Mage, Mages, Progress
from mage_mcp.tools._secrets import values_from
from mage_mcp.tools._toolset import Toolset

tools = Toolset("clusters")

Replicas = Annotated[int | None, Field(description="As before the stop if not given.", ge=1, le=100)]
SetVars = Annotated[dict[str, str] | None, Field(description="Names and values; no secrets, see set_from.")]
SetFrom = Annotated[
    dict[str, str] | None,
    Field(
        description="Names and the MAGE_MCP_SECRET_* (variables of the server, or kept secrets) that hold their values."
    ),
]
UnsetVars = Annotated[list[str] | None, Field(description="Names to remove.")]
ReplaceReferences = Annotated[bool, Field(description="Also replace references to secrets by plain values.")]
DryRun = Annotated[bool, Field(description="Only say what would change.")]
Patch = Annotated[dict[str, Any], Field(description="JSON merge patch; null removes a key.")]


@tools.read("List clusters")
async def list_clusters(mages: Mages) -> ClusterPage:
    """List the configured clusters: whether each is up, its status in Mage Cloud, its marks."""
    return await clusters.list_clusters(mage.clusters for mage in mages)


@tools.read("Get a cluster")
async def get_cluster(mage: Mage) -> ClusterDetail:
    """Say whether a cluster is up: status, replicas, version, scheduler, runs, names of its variables."""
    return await mage.clusters.get()


async def _plan_start(mage: Mage, replicas: Replicas) -> Plan:
    return _plan(await mage.clusters.plan_start(replicas))


@tools.write("Start a cluster", plan=_plan_start)
async def start_cluster(mage: Mage, progress: Progress, replicas: Replicas = None, wait_s: WaitS = 0) -> PowerChange:
    """Start a cluster, and finish a restart left half done.

    It takes minutes: get_cluster shows when it is up. A person is asked only if runs under way would be interrupted.
    """
    return await mage.clusters.start(replicas=replicas, wait_s=wait_s, progress=progress)


async def _plan_stop(mage: Mage) -> Plan:
    return _plan(await mage.clusters.plan_stop())


@tools.destroy("Stop a cluster", plan=_plan_stop)
async def stop_cluster(mage: Mage, progress: Progress, wait_s: WaitS = 0) -> PowerChange:
    """Stop a cluster, after a person agreed to what that interrupts."""
    return await mage.clusters.stop(wait_s=wait_s, progress=progress)


async def _plan_restart(mage: Mage) -> Plan:
    return _plan(await mage.clusters.plan_restart())


@tools.destroy("Restart a cluster", plan=_plan_restart)
async def restart_cluster(mage: Mage, progress: Progress, wait_s: WaitS = 0) -> PowerChange:
    """Stop a cluster and start it again, after a person agreed. Goes on by itself once it has begun."""
    return await mage.clusters.restart(wait_s=wait_s, progress=progress)


async def _plan_env_vars(
    mage: Mage,
    set: SetVars,  # noqa: A002 - the word people use
    set_from: SetFrom,
    unset: UnsetVars,
    replace_references: ReplaceReferences,
    dry_run: DryRun,
) -> Plan:
    return _plan(
        await mage.clusters.plan_update_env_vars(
            set_=await values_from(set, set_from),
            unset=unset or (),
            replace_references=replace_references,
            dry_run=dry_run,
        )
    )


@tools.destroy("Update environment variables", plan=_plan_env_vars)
async def update_cluster_env_vars(
    mage: Mage,
    progress: Progress,
    set: SetVars = None,  # noqa: A002 - the word people use
    set_from: SetFrom = None,
    unset: UnsetVars = None,
    replace_references: ReplaceReferences = False,
    dry_run: DryRun = False,
    wait_s: WaitS = 0,
) -> EnvVarsChange:
    """Set or remove a cluster's environment variables, after a person agreed; never shows values.

    Saving restarts the cluster. Secrets go by set_from, so that they pass through no conversation.
    """
    return await mage.clusters.update_env_vars(
        set_=await values_from(set, set_from),
        unset=unset or (),
        replace_references=replace_references,
        dry_run=dry_run,
        wait_s=wait_s,
        progress=progress,
    )


async def _plan_config(mage: Mage, patch: Patch, dry_run: DryRun) -> Plan:
    return _plan(await mage.clusters.plan_update_config(patch, dry_run=dry_run))


@tools.destroy("Update a cluster's config", plan=_plan_config)
async def update_cluster_config(
    mage: Mage, progress: Progress, patch: Patch, dry_run: DryRun = False, wait_s: WaitS = 0
) -> ConfigChange:
    """Change the rest of a cluster's Cloud config, after a person agreed; secrets in the diff are masked.

    Not for environment variables, status and replicas, which have tools of their own.
    """
    return await mage.clusters.update_config(patch, dry_run=dry_run, wait_s=wait_s, progress=progress)


def _plan(planned: Planned) -> Plan:
    return Plan(planned.question, planned.acts)
