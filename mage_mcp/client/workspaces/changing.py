"""Doing things with workspaces, each looked up first and read back after."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal

import anyio

from mage_mcp.client.clusters import Planned
from mage_mcp.client.clusters.config_patch import check_patch, diff_lines, merged
from mage_mcp.client.paths import api
from mage_mcp.client.transport import Transport
from mage_mcp.client.workspaces.checks import Commit, check_commit, workspace_name
from mage_mcp.client.workspaces.container import changed, parsed, written
from mage_mcp.client.workspaces.models import Deployment, WorkspaceChange
from mage_mcp.client.workspaces.place import Place
from mage_mcp.client.workspaces.reading import WorkspaceReader, name_of, status_of
from mage_mcp.errors import MageError, MageInvalid, MageRefused, MageReplyInvalid, MageUnsupported, MageWriteUncertain
from mage_mcp.text import one_line, quoted

Action = Literal["stop", "resume", "patch", "add_to_ingress"]
_STOPPED = "STOPPED"
_WANTED = {"stop": {_STOPPED}, "resume": {"RUNNING", "PENDING"}}
_LONGEST_ANSWERED = 300


class Workspaces(WorkspaceReader):
    """The workspaces of one main project."""

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport)
        self._no_deployments = ""

    async def create(
        self,
        name: str,
        *,
        container_config: Mapping[str, Any] | None = None,
        env: Mapping[str, str] | None = None,
        lifecycle_config: Mapping[str, Any] | None = None,
        namespace: str = "",
        storage_request_size: str = "",
    ) -> WorkspaceChange:
        """Make one, which takes Mage minutes.

        Raises MageInvalid for a name that Kubernetes does not take, or that is taken. Source: WorkspaceResource.create.
        """
        workspace_name(name, new=True)
        place = await self._management.place()
        async with place.transport.serial("workspace", name):
            if name in [name_of(row) for row in await self._rows(place)]:
                raise MageInvalid(
                    f"There is a workspace {quoted(name)}; nothing was made.", next_step="Give another name."
                )
            body: dict[str, Any] = {"name": name, "namespace": namespace, "storage_request_size": storage_request_size}
            config, _ = changed({}, patch=container_config, env=env)
            body["container_config"] = written(config) if config else ""
            body["lifecycle_config"] = check_patch(dict(lifecycle_config)) if lifecycle_config else None
            if place.query:
                body["cluster_type"] = place.query.partition("=")[2]
            sent = {key: value for key, value in body.items() if value not in ("", None)}
            with anyio.CancelScope(shield=True):
                lost = await self._send(place, "POST", api("workspaces"), sent)
                after = await self._await_status(place, name, until=bool)
        note = "It takes minutes; list_workspaces shows its status."
        return WorkspaceChange(
            changed=bool(after) or not lost, workspace=name, after=after, note=f"{lost} {note}".strip()
        )

    async def plan_update(self, name: str, action: Action, **how: Any) -> Planned:
        """What an update would interrupt or replace. Raises as `update` does."""
        place = await self._management.place()
        record = await self._record(place, name)
        if action == "stop" and status_of(record) != _STOPPED:
            return Planned(f"Stop workspace {quoted(name)} of {self._transport.cluster.label}?", (_stops(name),))
        if action == "patch":
            _, lines = _patched(record, **how)
            of = self._transport.cluster.label
            return Planned(f"Change workspace {quoted(name)} of {of}? It restarts.", tuple(lines))
        return Planned()

    async def update(self, name: str, action: Action, *, dry_run: bool = False, **how: Any) -> WorkspaceChange:
        """Stop, resume, patch, or put it behind the main project's ingress.

        `how`, for a patch: `container_config` and `lifecycle_config` (JSON merge patches), `env`, `unset_env`,
        `update_workspace_settings`. Mage replaces the container's config whole, so it is read, merged and sent.

        Raises MageNotFound, MageInvalid. Source: Mage's page "Update Workspace"; WorkspaceResource.update.
        """
        if action != "patch" and any(how.values()):
            raise MageInvalid(
                f"{action} takes no configuration; nothing was changed.", next_step="Give it with action=patch."
            )
        place = await self._management.place()
        async with place.transport.serial("workspace", name):
            record = await self._record(place, name)
            before = status_of(record)
            body, lines = _patched(record, **how) if action == "patch" else ({}, [])
            if action == "patch" and not lines and not body.get("update_workspace_settings"):
                return _nothing(name, before, "Nothing to change, so nothing was sent.")
            if action == "stop" and before == _STOPPED:
                return _nothing(name, before, "It was stopped already, so nothing was sent.")
            if dry_run:
                would = lines or [_stops(name) if action == "stop" else f"{action} {quoted(name)}"]
                return WorkspaceChange(changed=False, would=would, workspace=name, before=before)
            wanted = _WANTED.get(action)
            with anyio.CancelScope(shield=True):
                lost = await self._send(place, "PUT", api("workspaces", name), {"action": action, **body})
                after = await self._await_status(place, name, until=lambda status: not wanted or status in wanted)
                kept = await self._kept(place, name, body)
        note = " ".join(part for part in (lost, kept, _still(action, after, wanted)) if part)
        return WorkspaceChange(changed=True, workspace=name, before=before, after=after, diff=lines, note=note)

    async def plan_delete(self, name: str) -> Planned:
        """What is lost with it. Raises MageNotFound."""
        record = await self._record(await self._management.place(), name)
        return Planned(
            f"Delete workspace {quoted(name)} of {self._transport.cluster.label}?",
            (f"delete {quoted(name)} ({status_of(record) or 'unknown'}): its workload, configuration and access",),
        )

    async def delete(self, name: str) -> WorkspaceChange:
        """Remove the workload and its configuration. Raises MageNotFound. Source: WorkspaceResource.delete."""
        place = await self._management.place()
        async with place.transport.serial("workspace", name):
            before = status_of(await self._record(place, name))
            with anyio.CancelScope(shield=True):
                lost = await self._send(place, "DELETE", api("workspaces", name), {})
                after = await self._await_status(place, name, until=lambda status: not status)
        note = "" if not after else "Mage took it, and it is still listed; look again in a minute."
        return WorkspaceChange(
            changed=not after or not lost,
            workspace=name,
            before=before,
            after=after or "deleted",
            note=f"{lost} {note} Its volume may stay in Kubernetes, as its retention policy says.".strip(),
        )

    async def plan_deploy(self, setting: str, commit: Commit) -> Planned:
        """What a deployment replaces. Raises MageInvalid and MageUnsupported as `deploy` does.

        Source: of an unknown resource Mage refuses to read the children for the same reason as to make one.
        """
        check_commit(setting, commit)
        path = self._deployments(setting)
        try:
            await self._transport.read(path, _limit=1)
        except MageUnsupported:
            raise self._there_are_no_deployments() from None
        except (MageRefused, MageReplyInvalid):
            pass  # only the POST is documented: another answer to a read means nothing
        return Planned(
            f"Deploy to {quoted(commit.environment)} through {self._transport.cluster.label}?",
            (
                f"deploy commit {commit.sha} of branch {quoted(commit.branch)} by setting {quoted(setting)} "
                f"to branch {quoted(commit.target_branch)} of {quoted(commit.environment)}, whose code it replaces",
            ),
        )

    async def deploy(self, setting: str, commit: Commit) -> Deployment:
        """Start a deployment; how it ends, only Mage's own page tells.

        Raises MageUnsupported where this Mage has none, MageWriteUncertain where the answer was lost.
        Source: Mage's page "Create Deployment".
        """
        check_commit(setting, commit)
        path = self._deployments(setting)
        try:
            with anyio.CancelScope(shield=True):
                reply = await self._transport.write("POST", path, {"deployment": commit.body()})
        except MageUnsupported:
            raise self._there_are_no_deployments() from None
        except MageWriteUncertain as error:
            raise MageWriteUncertain(
                "The deployment was sent, and Mage's answer was lost: it may have started.",
                next_step="Look at the page /apps/deploy before it is sent again.",
            ) from error
        return Deployment(
            changed=True,
            setting=setting,
            commit=commit.sha,
            branch=commit.branch,
            environment=commit.environment,
            answered=_as_json(reply.get("deployment")),
            note="It was started; whether it succeeds is shown on Mage's page /apps/deploy.",
        )

    def _deployments(self, setting: str) -> str:
        """Where they are; MageUnsupported where it is known that there are none: an edition does not change."""
        if self._no_deployments:
            raise self._there_are_no_deployments()
        return api("deployment_settings", setting, "deployments")

    def _there_are_no_deployments(self) -> MageUnsupported:
        self._no_deployments = f"{self._transport.cluster.label} has no deployments."
        return MageUnsupported(self._no_deployments, next_step="They belong to Mage Pro.")

    async def _send(self, place: Place, method: str, path: str, body: dict[str, Any]) -> str:
        """Send it once; a sentence where the answer was lost."""
        try:
            await place.transport.write(method, f"{path}{place.query}", {"workspace": body} if body else {})
        except MageWriteUncertain:
            return "Mage's answer was lost; this is what was read afterwards."
        return ""

    async def _kept(self, place: Place, name: str, body: Mapping[str, Any]) -> str:
        """A word where the configuration that came back is not what was sent."""
        if "container_config" not in body:
            return ""
        with suppress(MageError):
            back = parsed((await self._record(place, name)).get("container_config"))
            return "" if back == parsed(body["container_config"]) else "What came back is not what was sent."
        return "The configuration could not be read back."


def _patched(
    record: Mapping[str, Any],
    *,
    container_config: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
    unset_env: Sequence[str] = (),
    lifecycle_config: Mapping[str, Any] | None = None,
    update_workspace_settings: bool = False,
) -> tuple[dict[str, Any], list[str]]:
    """What to send for a patch, and what it changes."""
    if not (container_config or env or unset_env or lifecycle_config or update_workspace_settings):
        raise MageInvalid(
            "A patch of nothing; nothing was changed.",
            next_step="Give container_config, set_env, unset_env, lifecycle_config or update_workspace_settings.",
        )
    body: dict[str, Any] = {}
    now = parsed(record.get("container_config"))
    after, lines = changed(now, patch=container_config, env=env, unset_env=unset_env)
    if lines:
        body["container_config"] = written(after)
    if lifecycle_config:
        stored = record.get("lifecycle_config") or {}
        wanted = merged(stored, check_patch(dict(lifecycle_config)))
        told = diff_lines(stored, wanted)
        lines += [f"lifecycle_config.{line}" for line in told]
        if told:
            body["lifecycle_config"] = wanted
    if update_workspace_settings:
        body["update_workspace_settings"] = True
        lines.append("take over the environment variables of the main project")
    return body, lines


def _as_json(answered: Any) -> str:
    text = json.dumps(answered, ensure_ascii=False, separators=(",", ":")) if answered else ""
    return one_line(text, _LONGEST_ANSWERED)


def _stops(name: str) -> str:
    return f"stop {quoted(name)}: what runs there is interrupted, and its schedules rest"


def _nothing(name: str, before: str, note: str) -> WorkspaceChange:
    return WorkspaceChange(changed=False, workspace=name, before=before, after=before, note=note)


def _still(action: Action, after: str, wanted: set[str] | None) -> str:
    if wanted and after not in wanted:
        return f"Mage took it; the status is {after or 'not known'} so far. Look again with list_workspaces."
    return "It restarts to take the change over." if action == "patch" else ""
