"""Tools for the workspaces of Mage Pro, and for deployments."""

from typing import Annotated, Any

from pydantic import Field

from mage_mcp.client.clusters import Planned
from mage_mcp.client.workspaces import Action, Deployment, WorkspaceChange, WorkspacePage
from mage_mcp.client.workspaces.checks import Commit
from mage_mcp.tools._args import Limit, Offset, Search
from mage_mcp.tools._confirm import Plan
from mage_mcp.tools._deps import Mage
from mage_mcp.tools._lenient import spelled
from mage_mcp.tools._secrets import values_from
from mage_mcp.tools._toolset import Toolset

tools = Toolset("workspaces")

Workspace = Annotated[str, Field(description="Name, as list_workspaces gives it.")]
ContainerConfig = Annotated[
    dict[str, Any] | None, Field(description="JSON merge patch without env, as {'image_tag': '0.9.80'}.")
]
SetEnv = Annotated[dict[str, str] | None, Field(description="Variables and values; no secrets.")]
SetEnvFrom = Annotated[
    dict[str, str] | None, Field(description="Variables and the MAGE_MCP_SECRET_* that hold their values.")
]
UnsetEnv = Annotated[list[str] | None, Field(description="Variables to remove.")]
Lifecycle = Annotated[
    dict[str, Any] | None,
    Field(description="JSON merge patch of termination_policy, pre_start_script_path, post_start."),
]
Settings = Annotated[bool, Field(description="Take over the main project's environment variables.")]
DryRun = Annotated[bool, Field(description="Only say what would change.")]
Act = Annotated[
    Action, Field(description="patch takes the arguments below."), spelled(start="resume", pause="stop", update="patch")
]


@tools.read("List workspaces")
async def list_workspaces(mage: Mage, search: Search = "", limit: Limit = 20, offset: Offset = 0) -> WorkspacePage:
    """List the workspaces of a Mage Pro cluster with status, address and names of variables."""
    return await mage.workspaces.list(search=search, limit=limit, offset=offset)


@tools.write("Create a workspace")
async def create_workspace(
    mage: Mage,
    name: Annotated[str, Field(description="Lower-case letters, digits and dashes.")],
    container_config: ContainerConfig = None,
    set_env: SetEnv = None,
    set_env_from: SetEnvFrom = None,
    lifecycle_config: Lifecycle = None,
    namespace: Annotated[str, Field(description="Kubernetes namespace.")] = "",
    storage_request_size: Annotated[str, Field(description="As 10Gi.")] = "",
) -> WorkspaceChange:
    """Create a workspace; it is up after minutes."""
    return await mage.workspaces.create(
        name,
        container_config=container_config,
        env=await values_from(set_env, set_env_from),
        lifecycle_config=lifecycle_config,
        namespace=namespace,
        storage_request_size=storage_request_size,
    )


async def _plan_update(
    mage: Mage,
    workspace: Workspace,
    action: Act,
    container_config: ContainerConfig,
    set_env: SetEnv,
    set_env_from: SetEnvFrom,
    unset_env: UnsetEnv,
    lifecycle_config: Lifecycle,
    update_workspace_settings: Settings,
    dry_run: DryRun,
) -> Plan:
    planned = await mage.workspaces.plan_update(
        workspace,
        action,
        container_config=container_config,
        env=await values_from(set_env, set_env_from),
        unset_env=unset_env or (),
        lifecycle_config=lifecycle_config,
        update_workspace_settings=update_workspace_settings,
    )
    return Plan() if dry_run else _plan(planned)


@tools.destroy("Update a workspace", plan=_plan_update)
async def update_workspace(
    mage: Mage,
    workspace: Workspace,
    action: Act,
    container_config: ContainerConfig = None,
    set_env: SetEnv = None,
    set_env_from: SetEnvFrom = None,
    unset_env: UnsetEnv = None,
    lifecycle_config: Lifecycle = None,
    update_workspace_settings: Settings = False,
    dry_run: DryRun = False,
) -> WorkspaceChange:
    """Stop, resume (start) or patch a workspace, or add it to the ingress. A patch restarts it."""
    return await mage.workspaces.update(
        workspace,
        action,
        dry_run=dry_run,
        container_config=container_config,
        env=await values_from(set_env, set_env_from),
        unset_env=unset_env or (),
        lifecycle_config=lifecycle_config,
        update_workspace_settings=update_workspace_settings,
    )


async def _plan_delete(mage: Mage, workspace: Workspace) -> Plan:
    return _plan(await mage.workspaces.plan_delete(workspace))


@tools.destroy("Delete a workspace", plan=_plan_delete)
async def delete_workspace(mage: Mage, workspace: Workspace) -> WorkspaceChange:
    """Delete a workspace with its configuration, after a person agreed."""
    return await mage.workspaces.delete(workspace)


Setting = Annotated[str, Field(description="Deployment setting, as on Mage's page /apps/deploy.")]
Sha = Annotated[str, Field(description="Whole commit SHA.")]
Branch = Annotated[str, Field(description="Branch of the commit.")]
MessageArg = Annotated[str, Field(description="Commit message.")]
Environment = Annotated[str, Field(description="As staging, production.")]
TargetBranch = Annotated[str, Field(description="Branch in the environment.")]
TargetDirectory = Annotated[str, Field(description="Folder in the environment.")]


async def _plan_deploy(
    mage: Mage,
    setting: Setting,
    commit: Sha,
    branch: Branch,
    message: MessageArg,
    environment: Environment,
    target_branch: TargetBranch,
    target_directory: TargetDirectory,
) -> Plan:
    return _plan(
        await mage.workspaces.plan_deploy(
            setting, Commit(commit, branch, message, environment, target_branch, target_directory)
        )
    )


@tools.destroy("Deploy a commit", plan=_plan_deploy)
async def deploy_commit(
    mage: Mage,
    setting: Setting,
    commit: Sha,
    branch: Branch,
    message: MessageArg,
    environment: Environment,
    target_branch: TargetBranch,
    target_directory: TargetDirectory = "",
) -> Deployment:
    """Deploy a git commit to an environment (Mage Pro), after a person agreed."""
    return await mage.workspaces.deploy(
        setting, Commit(commit, branch, message, environment, target_branch, target_directory)
    )


def _plan(planned: Planned) -> Plan:
    return Plan(planned.question, planned.acts)
