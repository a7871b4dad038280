"""What stands before the SDK's application: is it alive, is it spoken to under a name of its own, and by whom."""

from http import HTTPStatus

from mcp.server.auth.middleware.auth_context import AuthContextMiddleware
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.transport_security import TransportSecurityMiddleware, TransportSecuritySettings
from starlette.authentication import AuthCredentials
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from mage_mcp.http.tokens import Tokens

HEALTH = "/health"
_SENTENCES = {
    HTTPStatus.MISDIRECTED_REQUEST: "mage-mcp is not known under the name in the Host header. "
    "Whoever runs it can add it: --allowed-host NAME\n",
    HTTPStatus.FORBIDDEN: "mage-mcp takes no requests of web pages from this Origin. "
    "Whoever runs it can add it: --allowed-origin ORIGIN\n",
}
_WHO_ARE_YOU = (
    "mage-mcp wants a token: send the header Authorization: Bearer TOKEN, with one that whoever runs it gave you.\n"
)
_ONCE = ("host", "origin", "authorization")
_TWICE = "mage-mcp takes one header each of Host, Origin and Authorization.\n"
_NO_PAGE = "mage-mcp has no pages to show. This is an address for an MCP client, which sends POST requests.\n"
_STRANGER = "mage-mcp does not know this token. Ask whoever runs it for one that holds.\n"


class Gate:
    """`/health` is for everybody; all else only under an allowed name, and only with a token, unless `tokens` is None.

    A request that is let in bears its caller, as the SDK's own authentication would have it.
    """

    def __init__(self, app: ASGIApp, *, names: TransportSecuritySettings, tokens: Tokens | None) -> None:
        self._app = AuthContextMiddleware(app)
        self._names = TransportSecurityMiddleware(names)
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        if scope["path"] == HEALTH:
            answer: Response | None = _health(request)
        else:
            answer = await self._refused_name(request)
        user: AuthenticatedUser | None = None
        if answer is None and self._tokens is not None:
            user = _user(request.headers, self._tokens)
            answer = _refused_token(request.headers) if user is None else None
        if answer is None:
            answer = _refused_method(request)
        if answer is None:
            known = {} if user is None else {"user": user, "auth": AuthCredentials(user.scopes)}
            await self._app({**scope, **known}, receive, send)
        else:
            await answer(scope, receive, send)

    async def _refused_name(self, request: Request) -> Response | None:
        # Which of two counts, the first or the last, a proxy before us may see otherwise.
        if any(len(request.headers.getlist(name)) > 1 for name in _ONCE):
            return PlainTextResponse(_TWICE, 400)
        refused = await self._names.validate_request(request)
        if refused is None:
            return None
        return PlainTextResponse(_SENTENCES[HTTPStatus(refused.status_code)], refused.status_code)


def _health(request: Request) -> Response:
    """Whether this process answers. Nothing on the clusters: a Mage that is down is no reason to restart mage-mcp."""
    if request.method in {"GET", "HEAD"}:
        return JSONResponse({"status": "ok"})
    return Response(status_code=405, headers={"Allow": "GET, HEAD"})


def _user(headers: Headers, tokens: Tokens) -> AuthenticatedUser | None:
    kind, _, token = headers.get("authorization", "").partition(" ")
    caller = tokens.caller_of(token.strip()) if kind.lower() == "bearer" else None
    return AuthenticatedUser(caller) if caller else None


def _refused_token(headers: Headers) -> Response:
    given = "authorization" in headers
    challenge = 'Bearer realm="mage-mcp"' + (', error="invalid_token"' if given else "")
    return PlainTextResponse(_STRANGER if given else _WHO_ARE_YOU, 401, {"WWW-Authenticate": challenge})


def _refused_method(request: Request) -> Response | None:
    """A stream that is opened by GET would never carry anything: without sessions it belongs to nobody."""
    return None if request.method == "POST" else PlainTextResponse(_NO_PAGE, 405, {"Allow": "POST"})
