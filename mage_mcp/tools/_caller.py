"""Who calls: over HTTP whoever the token belongs to, over stdio nobody in particular."""

from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import principal_components


def caller_name() -> str:
    """As the token file names them; "" on stdio, and where nobody is asked for a token."""
    token = get_access_token()
    return token.subject or "" if token else ""


def principal() -> tuple[str | None, ...]:
    """What tells callers apart, as the SDK does when it seals a question."""
    token = get_access_token()
    return principal_components(token) if token else ()
