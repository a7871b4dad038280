"""Who may ask: Mage's API key and its sessions, when the world has a login."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from mage_mcp.demo.times import second, stamp
from mage_mcp.demo.wire import ApiError, Body, Call, Crash, answers
from mage_mcp.demo.world import World

API_KEY = "zkWlN0PkIKSN0C11CfUHUj84OT5XOJ6tDZ6bDRO2"
"""The same in every installation: it stands in Mage's own source."""
_JWT_SECRET = b"materia"
_SESSION_DAYS = 30


def check(world: World, call: Call, headers: Mapping[str, str]) -> None:
    """Refuse what Mage refuses: 401 for keys and tokens, HTTP 200 with a 403 inside for no token at all."""
    resource = call.url_parameters["resource"]
    if world.login is None or resource in ("status", "statuses") or _starts_by_token(call):
        return
    if _api_key(call, headers) != API_KEY:
        raise ApiError(401, "invalid_api_key", "Invalid API key.", http_status=401)
    if resource == "sessions" and call.method == "POST":
        return
    token = _token(call, headers)
    if token is None:
        message = f"Private access for {action(call)} only, invalid scope."
        raise ApiError(403, "unauthorized_access", message)
    is_open = world.is_open(token)
    if is_open is None:
        raise ApiError(401, "invalid_oauth_token", "Invalid OAuth token.", http_status=401)
    if not is_open:
        raise ApiError(401, "expired_oauth_token", "Expired OAuth token.", http_status=401)
    call.token = token


def action(call: Call) -> str:
    """What Mage calls the operation."""
    detail = "child_pk" in call.url_parameters or ("pk" in call.url_parameters and "child" not in call.url_parameters)
    names = {"GET": "detail" if detail else "list", "POST": "create", "PUT": "update", "DELETE": "delete"}
    return names[call.method]


def _starts_by_token(call: Call) -> bool:
    child = call.url_parameters.get("child")
    by_path = child == "pipeline_runs" and call.method == "POST" and "child_pk" in call.url_parameters
    return call.url_parameters["resource"] == "pipeline_schedules" and (by_path or child == "api_trigger")


def _api_key(call: Call, headers: Mapping[str, str]) -> str | None:
    """From the header, which always works; from the query except for a POST, whose body may hold it instead."""
    if (key := headers.get("x-api-key")) is not None:
        return key
    if call.method == "POST":
        return call.body.get("api_key") if isinstance(call.body, dict) else None
    return call.query.text("api_key")


def _token(call: Call, headers: Mapping[str, str]) -> str | None:
    """The raw token of a header, or the one inside the JWT of a cookie."""
    raw = headers.get("oauth-token") or call.bearer
    if raw is not None:
        return raw
    cookies = dict(part.strip().partition("=")[::2] for part in headers.get("cookie", "").split(";"))
    jwt = cookies.get("oauth_token")
    if jwt is None:
        return None
    try:
        _, payload, _ = jwt.split(".")
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except ValueError:
        raise Crash("Not enough segments", "DecodeError") from None
    return str(claims.get("token"))


@answers("POST sessions")
def log_in(call: Call) -> Body:
    world, given = call.world, call.payload("session")
    name, password = given.get("email") or given.get("username"), given.get("password")
    if not name or not password:
        raise _refused(world, "Email/username and password are required.")
    if world.login is None or (name, password) != world.login:
        raise _refused(world, "Email/username and/or password invalid.")
    token = base64.urlsafe_b64encode(hashlib.sha256(f"session {len(world.sessions)}".encode()).digest()).decode()
    token = token.rstrip("=")
    world.sessions[token] = world.now + timedelta(days=_SESSION_DAYS)
    return _session(world, token)


@answers("PUT sessions/:id")
def log_out(call: Call) -> Body:
    """Any id will do: it is the caller's own session that ends, as Mage ends it by dating it now."""
    if not call.token:
        raise call.not_found()
    call.world.sessions[call.token] = call.world.now
    return _session(call.world, call.token)


def _refused(world: World, message: str) -> ApiError:
    world.not_found = message
    return ApiError(404, "record_not_found", message)


def _session(world: World, token: str) -> Body:
    expires = world.sessions.get(token, world.now)
    since = stamp(second(world.now))
    role = {"name": "Owner", "user_id": None, "id": 1, "created_at": since, "updated_at": since}
    user = dict.fromkeys(("avatar", "first_name", "last_name", "roles"))
    user |= {"id": 1, "owner": True, "project_access": 1, "roles_display": "Owner", "roles_new": [role]}
    user |= {"username": (world.login or ("",))[0].partition("@")[0]}
    jwt = _jwt({"expires": expires.timestamp(), "token": token})
    return {"session": {"expires": stamp(expires), "token": jwt, "user": user}, "metadata": None}


def _jwt(claims: dict[str, Any]) -> str:
    head = _segment(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    signed = f"{head}.{_segment(json.dumps(claims).encode())}"
    return f"{signed}.{_segment(hmac.digest(_JWT_SECRET, signed.encode(), 'sha256'))}"


def _segment(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
