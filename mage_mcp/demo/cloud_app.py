"""The simulated Mage Cloud as an ASGI application, and the clusters' own APIs below it, up and down with their status.

`/cloud/api/v1` is the Cloud, `/prod` and `/staging` are the clusters; at the root stands `prod` once more.
"""

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import anyio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from mage_mcp.demo.app import create_app
from mage_mcp.demo.cloud import TEAM, CloudCluster, CloudWorld, User
from mage_mcp.demo.times import stamp

CLOUD_PATH = "/cloud/api/v1"
_HEAD = "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n"
_BODY = "<center><h1>{title}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
_REASONS = {502: "Bad Gateway", 503: "Service Temporarily Unavailable", 504: "Gateway Time-out"}

Handler = Callable[["CloudCall"], dict[str, Any]]


class Refusal(Exception):
    """An error in the words of the Cloud; the HTTP status may or may not say so."""

    def __init__(self, code: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.code, self.kind, self.message = code, kind, message


def create_cloud_app(cloud: CloudWorld) -> Starlette:
    """One application for the Cloud and for both clusters, out of `cloud`."""
    prod = cloud.clusters["prod"]
    clusters = [Mount(f"/{key}", app=_Ingress(cloud, cluster, f"/{key}")) for key, cluster in cloud.clusters.items()]
    return Starlette(
        routes=[Mount(CLOUD_PATH, routes=_routes(cloud)), *clusters, Mount("/", app=_Ingress(cloud, prod, ""))]
    )


class _Ingress:
    """What stands before a cluster's server, and answers a page of its own while there is none."""

    def __init__(self, cloud: CloudWorld, cluster: CloudCluster, base: str) -> None:
        self._cloud, self._cluster, self._base = cloud, cluster, base
        self._app: ASGIApp = create_app(cluster.world)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw: bytes = scope.get("raw_path") or scope["path"].encode()
        self._cloud.requests.append((scope["method"], raw.decode().partition("?")[0]))
        if not self._cluster.is_up:
            await _gateway(503)(scope, receive, send)
            return
        path = scope["path"][len(self._base) :] or "/"
        below = {"path": path, "raw_path": raw[len(self._base) :] or b"/", "root_path": ""}
        await self._app({**scope, **below}, receive, send)


def _gateway(status: int) -> Response:
    title = f"{status} {_REASONS.get(status, 'Error')}"
    return Response(_HEAD.format(title=title) + _BODY.format(title=title), status, media_type="text/html")


class CloudCall:
    """One request to the Cloud."""

    def __init__(self, cloud: CloudWorld, request: Request, raw: bytes) -> None:
        self.cloud, self.request, self._raw = cloud, request, raw
        self.sent: Any = None
        self._user: User | None = None

    @property
    def user(self) -> User:
        if self._user is None:
            raise Refusal(403, "unauthorized_access", "Private access only, invalid scope.")
        return self._user

    def check(self, *, login: bool) -> None:
        """The key of the client, then the session of the user."""
        if self.request.headers.get("x-api-key") not in self.cloud.api_keys:
            raise Refusal(401, "invalid_api_key", "Invalid API key.")
        token = self.request.cookies.get("oauth_token")
        if login and token is not None:
            self._user, ends = self.cloud.sessions.get(token, (None, None))
            if ends is None:
                raise Refusal(401, "invalid_oauth_token", "Invalid OAuth token.")
            if ends <= self.cloud.now:
                raise Refusal(401, "expired_oauth_token", "Expired OAuth token.")
        try:
            self.sent = json.loads(self._raw) if self._raw else None
        except ValueError:
            raise Refusal(400, "invalid_request", "The body is not JSON.") from None

    def payload(self, name: str) -> dict[str, Any]:
        payload = self.sent.get(name) if isinstance(self.sent, dict) else None
        if not isinstance(payload, dict):
            raise Refusal(400, "record_invalid", f"The body holds no {name}.")
        return payload

    def cluster(self) -> CloudCluster:
        names = self.request.path_params
        cluster = self.cloud.cluster_of(names["cluster"]) if self.user and names["team"] == TEAM else None
        if cluster is None:
            raise Refusal(404, "record_not_found", "Record not found.")
        return cluster


def _routes(cloud: CloudWorld) -> list[BaseRoute]:
    cluster = "/teams/{team}/clusters/{cluster}"
    return [
        Route("/sessions", _answering(cloud, _log_in, login=False), methods=["POST"]),
        Route("/teams", _answering(cloud, _list_teams), methods=["GET"]),
        Route("/teams/{team}/clusters", _answering(cloud, _list_clusters), methods=["GET"]),
        Route(cluster, _answering(cloud, _get_cluster), methods=["GET"]),
        Route(cluster, _answering(cloud, _put_cluster), methods=["PUT"]),
    ]


def _answering(cloud: CloudWorld, handler: Handler, *, login: bool = True) -> Callable[[Request], Any]:
    async def answer(request: Request) -> Response:
        cloud.requests.append((request.method, request.url.path))
        call = CloudCall(cloud, request, await request.body())
        fault = cloud.take_fault(request.method)
        if fault is not None and not fault.applied:
            await anyio.sleep(fault.delay_s)
            return _gateway(fault.status)
        try:
            call.check(login=login)
            response: Response = JSONResponse(handler(call))
        except Refusal as refusal:
            response = _refused(call, refusal)
        if fault is not None:
            await anyio.sleep(fault.delay_s)
            return response if fault.status == 200 else _gateway(fault.status)
        return response

    return answer


def _refused(call: CloudCall, refusal: Refusal) -> Response:
    switches, message = call.cloud.switches, refusal.message
    if switches.echoes and call.sent is not None:
        message += f" Parameters: {json.dumps(call.sent)}"
    error = {"code": refusal.code, "message": message, "type": refusal.kind}
    # A route that is not there is not there for anybody, whatever else is answered with 200.
    always = refusal.kind == "no_such_route"
    status = refusal.code if switches.http_errors or always else 200
    return JSONResponse({"error": message if switches.text_errors else error}, status)


def _log_in(call: CloudCall) -> dict[str, Any]:
    given = call.payload("session")
    token = call.cloud.log_in(given.get("email"), given.get("password"))
    if token is None:
        raise Refusal(401, "invalid_credentials", "Email/username and/or password invalid.")
    user, ends = call.cloud.sessions[token]
    shown = {"email": user.email, "roles": [{"name": user.role.capitalize(), "team_id": TEAM}]}
    return {"session": {"expires": stamp(ends), "token": token, "user": shown}}


def _list_teams(call: CloudCall) -> dict[str, Any]:
    _check_lists(call)
    return {"teams": [{"id": TEAM, "name": "Demo team", "role": call.user.role}], "metadata": {"count": 1}}


def _list_clusters(call: CloudCall) -> dict[str, Any]:
    _check_lists(call)
    if call.request.path_params["team"] != TEAM:
        raise Refusal(404, "record_not_found", "Record not found.")
    rows = [cluster.body() for cluster in call.cloud.clusters.values()]
    return {"clusters": rows, "metadata": {"count": len(rows)}}


def _check_lists(call: CloudCall) -> None:
    if call.user and not call.cloud.switches.lists:
        raise Refusal(404, "no_such_route", "Not found.")


def _get_cluster(call: CloudCall) -> dict[str, Any]:
    cluster = call.cluster()
    body = {"cluster": cluster.body()}
    call.cloud.reach("after_get", cluster)
    return body


def _put_cluster(call: CloudCall) -> dict[str, Any]:
    """The config is replaced whole; a body without `config` leaves it as it is."""
    cluster, cloud = call.cluster(), call.cloud
    put = {"cluster": cluster.key, "user": call.user.email, "at": cloud.now.isoformat()}
    cloud.puts.append(put | {"body": deepcopy(call.sent), "refused": ""})
    cloud.reach("before_put", cluster)
    try:
        payload = call.payload("cluster")
        _check_change(call, cluster, payload)
    except Refusal as refusal:
        cloud.puts[-1]["refused"] = refusal.message
        raise
    cluster.save(payload.get("config", cluster.config), payload.get("status"))
    body = {"cluster": cluster.body()}
    cloud.reach("after_put", cluster)
    return body


def _check_change(call: CloudCall, cluster: CloudCluster, payload: dict[str, Any]) -> None:
    config, status = payload.get("config", cluster.config), payload.get("status")
    if status not in (None, "Active", "Stopped"):
        raise Refusal(400, "record_invalid", "Status is neither Active nor Stopped.")
    if not isinstance(config, dict | None):
        raise Refusal(400, "record_invalid", "Config is not an object.")
    needs_admin = status is not None or any(
        (config or {}).get(key) != (cluster.config or {}).get(key) for key in ("replicaCount", "extraEnvs")
    )
    if call.user.role == "viewer" or (call.user.role == "editor" and needs_admin):
        raise Refusal(403, "unauthorized_access", "You are not allowed to do this to the cluster.")
    if call.cloud.switches.refuses_while_changing and cluster.status not in ("Active", "Stopped"):
        raise Refusal(409, "conflict", f"The cluster is {cluster.status}; try again when it is not.")
