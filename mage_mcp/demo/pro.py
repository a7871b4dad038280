"""What only Mage Pro has: workspaces under a main project, and deployments of commits.

From Mage's public pages and from its open source's WorkspaceResource, which Pro extends; not measured on a real one.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mage_mcp.demo.planted import PLANTED
from mage_mcp.demo.times import after
from mage_mcp.demo.wire import ApiError, Body, Call, Crash, answers
from mage_mcp.demo.world import PROJECT_UUID, hex_id

ONLY_THERE = frozenset({"deployment_settings", "deployments"})
"""Resources that the open source does not even know by name."""
STARTS_WITHIN_S = 90.0
_STOPS_WITHIN_S = 2.0


@dataclass
class Workspace:
    """One workspace. Its pod follows what was asked of it after a while."""

    name: str
    container_config: str | None = None
    lifecycle_config: dict[str, Any] | None = None
    namespace: str = "mage"
    running: bool = True
    changes_at: datetime | None = None
    """Until then the pod is on its way."""
    ingress: bool = True
    more: dict[str, Any] = field(default_factory=dict)

    def status(self, now: datetime) -> str:
        on_its_way = self.changes_at is not None and now < self.changes_at
        if self.running:
            return "PENDING" if on_its_way else "RUNNING"
        return "RUNNING" if on_its_way else "STOPPED"


class Pro:
    """The part of the world that a standalone project does not have."""

    def __init__(self) -> None:
        password = PLANTED["workspace variable DB_PASSWORD"]
        shared = f"env:\n- name: ENV\n  value: dev\n- name: DB_PASSWORD\n  value: {password}\nimage_tag: 0.9.80\n"
        policy = {"termination_policy": {"enable_auto_termination": True, "max_idle_seconds": 3600}}
        first = Workspace("analytics", container_config=shared, lifecycle_config=policy)
        second = Workspace("sandbox", running=False)
        self.workspaces = {each.name: each for each in (first, second)}
        self.deployments: list[Body] = []
        self.settings = {"production", "staging"}


def _pro(call: Call) -> Pro:
    if call.world.pro is None:
        raise Crash("No module named 'kubernetes'", "ModuleNotFoundError")
    return call.world.pro


def _shown(call: Call, workspace: Workspace) -> Body:
    host = f"https://mage.example.com/{workspace.name}" if workspace.ingress else None
    instance = {"name": workspace.name, "status": workspace.status(call.world.now), "type": "NodePort"}
    return {
        "access": None,
        "cluster_type": "k8s",
        "container_config": workspace.container_config,
        "ingress_name": "mage-ingress",
        "instance": instance,
        "lifecycle_config": workspace.lifecycle_config,
        "name": workspace.name,
        "namespace": workspace.namespace,
        "project_uuid": hex_id("workspace", workspace.name),
        "url": host,
        **workspace.more,
    }


def _workspace(call: Call) -> Workspace:
    found = _pro(call).workspaces.get(call.pk)
    if found is None:
        raise ApiError(404, "record_not_found", f"Project {call.pk} was not found.")
    return found


@answers("GET workspaces")
def list_workspaces(call: Call) -> Body:
    rows = [_shown(call, each) for each in _pro(call).workspaces.values()]
    return {"workspaces": rows, "metadata": {}}


@answers("GET workspaces/:id")
def get_workspace(call: Call) -> Body:
    return {"workspace": _shown(call, _workspace(call)), "metadata": None}


@answers("POST workspaces")
def create_workspace(call: Call) -> Body:
    pro, given = _pro(call), call.payload("workspace")
    name = given.pop("name")
    if not name:
        raise ApiError(400, "api_resource_error", "Please enter a valid workspace name.")
    if name in pro.workspaces:
        raise ApiError(400, "api_resource_error", f"Project with name {name} already exists")
    known = {key: given.pop(key) for key in ("container_config", "lifecycle_config", "namespace") if key in given}
    ready = after(call.world.now, STARTS_WITHIN_S)
    pro.workspaces[name] = Workspace(name, changes_at=ready, ingress=False, more=given, **known)
    return {"workspace": {"success": True}, "metadata": None}


@answers("PUT workspaces/:id")
def update_workspace(call: Call) -> Body:
    workspace, given = _workspace(call), call.payload("workspace")
    action = given.pop("action", None)
    if action is None:
        raise ApiError(400, "api_resource_error", "'action'")
    if action in {"stop", "resume"}:
        workspace.running = action == "resume"
        takes = STARTS_WITHIN_S if workspace.running else _STOPS_WITHIN_S
        workspace.changes_at = after(call.world.now, takes)
    elif action == "patch":
        if "container_config" in given:
            workspace.container_config = given["container_config"]
        if "lifecycle_config" in given:
            workspace.lifecycle_config = given["lifecycle_config"]
        workspace.changes_at = after(call.world.now, STARTS_WITHIN_S)
    elif action == "add_to_ingress":
        workspace.ingress = True
    return {"workspace": _shown(call, workspace), "metadata": None}


@answers("DELETE workspaces/:id")
def delete_workspace(call: Call) -> Body:
    workspace = _workspace(call)
    del _pro(call).workspaces[workspace.name]
    return {"workspace": _shown(call, workspace), "metadata": None}


@answers("GET deployment_settings/:id/deployments")
def list_deployments(call: Call) -> Body:
    """Nothing of it is documented: refused, but not as what is unknown is."""
    if call.world.pro is None:
        raise Crash("No module named 'mage_ai.api.resources.DeploymentSettingResource'", "ModuleNotFoundError")
    raise ApiError(403, "unauthorized_access", "You don't have access to list deployments.")


@answers("POST deployment_settings/:id/deployments")
def create_deployment(call: Call) -> Body:
    if call.world.pro is None:
        raise Crash("No module named 'mage_ai.api.resources.DeploymentSettingResource'", "ModuleNotFoundError")
    pro, given = call.world.pro, call.payload("deployment")
    if call.pk not in pro.settings:
        raise ApiError(404, "record_not_found", call.world.not_found)
    deployment = {"id": len(pro.deployments) + 1, "status": "pending", "project_uuid": PROJECT_UUID, **given}
    pro.deployments.append({"setting": call.pk, **given})
    return {"deployment": deployment, "metadata": None}
