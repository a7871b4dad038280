"""The simulated Mage as an ASGI application: routing, and errors in the forms that Mage gives them."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mage_mcp.demo import (
    pro,
    routes_authoring,
    routes_backfills,
    routes_block_runs,
    routes_blocks,
    routes_files,
    routes_project,
    routes_runs,
    routes_triggers,
)
from mage_mcp.demo.auth import action, check
from mage_mcp.demo.wire import ROUTES, ApiError, Body, Call, Crash, Query
from mage_mcp.demo.world import World

# Importing these registers their answers.
_MODULES = (
    pro,
    routes_project,
    routes_triggers,
    routes_runs,
    routes_block_runs,
    routes_files,
    routes_authoring,
    routes_blocks,
    routes_backfills,
)
_RESOURCES = {part for route in ROUTES for part in route.split(" ")[1].split("/") if part != ":id"} - pro.ONLY_THERE
_VERBS = {1: ("GET", "POST"), 2: ("GET", "PUT", "DELETE"), 3: ("GET", "POST"), 4: ("GET", "PUT", "DELETE")}
_PARTS = ("resource", "pk", "child", "child_pk")
_ALL_VERBS = ["GET", "POST", "PUT", "DELETE", "PATCH"]

_NO_SUCH_PAGE = "<html><title>404: Not Found</title><body>404: Not Found</body></html>"
_TRAVERSAL = "path traversal detected"


def create_app(world: World) -> Starlette:
    """An application that answers as Mage 0.9.80 does, out of `world` and for nobody else to see."""

    async def answer(request: Request) -> Response:
        # Percent-encoded slashes belong to a name, so the path must be split before it is decoded.
        path = request.scope.get("raw_path", request.url.path.encode()).decode().partition("?")[0]
        world.requests.append((request.method, path))
        parts = [unquote(part) for part in path.removeprefix("/api/").split("/")]
        if parts[0] == "file_contents":
            parts = ["file_contents", "/".join(parts[1:])] if len(parts) > 1 else parts
        return _refuse(request, path, parts) or await _answer(world, request, parts)

    return Starlette(routes=[Route("/{path:path}", answer, methods=_ALL_VERBS)])


def _refuse(request: Request, path: str, parts: list[str]) -> Response | None:
    """What Mage turns down before it looks at the request: in plain text, HTML, or no words at all."""
    if not path.startswith("/api/") or not 0 < len(parts) <= len(_PARTS) or not all(parts):
        return Response(_NO_SUCH_PAGE, 404, media_type="text/html")
    if any("../" in part for part in parts):
        return _plain(f"Error: Invalid path ({_TRAVERSAL})")
    for name, value in request.query_params.multi_items():
        if "../" in value:
            return _plain(f"Error: Invalid parameter value for '{name}' ({_TRAVERSAL})")
    has_answer = f"{request.method} {_shape(parts)}" in ROUTES
    only_posted = parts[2:] == ["api_trigger"]
    if not has_answer and (only_posted or request.method not in _VERBS[len(parts)]):
        return Response(status_code=405, media_type="application/json")
    return None


def _plain(text: str) -> Response:
    return Response(text, 400, media_type="application/json")


def _shape(parts: list[str]) -> str:
    return "/".join(":id" if number % 2 else part for number, part in enumerate(parts))


async def _answer(world: World, request: Request, parts: list[str]) -> Response:
    query = Query(request.query_params.multi_items())
    names = dict(zip(_PARTS, parts, strict=False))
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    call = Call(world, request.method, names, query, None, bearer if scheme.lower() == "bearer" else None)
    raw = await request.body()
    try:
        malformed = None
        try:
            call.body = json.loads(raw) if raw else None
        except ValueError as error:
            malformed = Crash(str(error), "JSONDecodeError")
        check(world, call, request.headers)
        if malformed is not None:
            raise malformed
        routes_backfills.settle(world)
        body: Body = _handler(call, parts)(call)
        return _json(body)
    except Crash as crash:
        return _json(crash.body(names))
    except ApiError as error:
        code: Any = error.error["code"]
        if query.flag("_http_error_codes"):
            return _json(error.body(code), code)
        return _json(error.body(200), error.http_status)


def _handler(call: Call, parts: list[str]) -> Callable[[Call], Body]:
    handler = ROUTES.get(f"{call.method} {_shape(parts)}")
    if handler is not None:
        return handler
    name = call.url_parameters.get("child", parts[0])
    if name not in _RESOURCES:
        kind = "policies" if len(parts) == 1 else "resources"
        suffix = "Policy" if len(parts) == 1 else "Resource"
        camel = "".join(word.capitalize() for word in name.removesuffix("s").split("_"))
        raise Crash(f"No module named 'mage_ai.api.{kind}.{camel}{suffix}'", "ModuleNotFoundError")
    raise ApiError(403, "unauthorized_access", f"The {action(call)} action is disabled for {name}.")


def _json(body: Body, status: int = 200) -> Response:
    return Response(json.dumps(body), status, media_type="application/json")
