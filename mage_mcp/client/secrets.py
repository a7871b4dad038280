"""What Mage tells and must not be told on: remembered where it is read, so that it is masked wherever it turns up."""

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from mage_mcp.text import is_secret_name, remember_secret, remember_token

_SHORTEST_SECRET = 4
_SHORTEST_VALUE = 12
_MOST_VARIABLES = 500
"""Values of variables; runs may bring a new one each. Tokens beyond that are kept all the same."""
_LONG = frozenset({"azure_container_instance", "databricks", "gcp_cloud_run", "local_python", "spark_connect"})
"""Long words that Mage's settings are made of; masking them would cut holes into other answers."""
_SHORT = frozenset(
    [
        "aws",
        "azure",
        "auto",
        "default",
        "disable",
        "disabled",
        "enable",
        "enabled",
        "env",
        "environment",
        "false",
        "file",
        "gcp",
        "hashicorp",
        "http",
        "https",
        "keyring",
        "local",
        "mage",
        "memory",
        "none",
        "null",
        "oauth",
        "off",
        "on",
        "oidc",
        "optional",
        "password",
        "postgres",
        "redis",
        "required",
        "saml",
        "secret",
        "true",
        "vault",
        "yes",
    ]
)
"""Values of settings whose names sound like a secret's (`SECRET_BACKEND=vault`), and no secrets."""
_RANDOM = re.compile(r"(?=[^\d]*\d)(?=[^a-zA-Z]*[a-zA-Z])[\w-]{8,}")

_variables: set[str] = set()


def remember_value(name: str, value: str) -> None:
    """Remember an environment variable's value if it may be a secret, and what is one within it."""
    remember_parts(value)
    if value in _LONG:
        return
    if _tells(name, value) or len(value) >= _SHORTEST_VALUE or "://" in value:
        remember_secret(value)


def remember_parts(value: str) -> None:
    """The password in a connection string, the token in a webhook's URL, the leaves of a JSON text."""
    if "://" in value:
        _remember_url(value)
    elif value[:1] in "{[" and value:
        try:
            _remember_leaves("", json.loads(value))
        except (ValueError, RecursionError):
            return


def remember_named(name: str, value: Any) -> None:
    """Remember all texts under a telling name, and connection strings under any."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            remember_named(name if is_secret_name(name) else str(key), item)
    elif isinstance(value, list):
        for item in value:
            remember_named(name, item)
    elif isinstance(value, str):
        remember_parts(value)
        if _tells(name, value) and value not in _LONG:
            remember_secret(value)


def remember_variables(variables: Any) -> None:
    """Remember the values of a pipeline's, a trigger's or a run's variables that have telling names."""
    if not isinstance(variables, Mapping):
        return
    for name, value in variables.items():
        if isinstance(value, str):
            if not is_secret_name(name):
                continue
            remember_token(value)
            if value in _variables or len(_variables) >= _MOST_VARIABLES:
                continue
            _variables.add(value)
        remember_named(name, value)


def _tells(name: str, value: str) -> bool:
    return is_secret_name(name) and len(value) >= _SHORTEST_SECRET and value.casefold() not in _SHORT


def _remember_leaves(name: str, value: Any) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _remember_leaves(name if is_secret_name(name) else key, item)
    elif isinstance(value, list):
        for item in value:
            _remember_leaves(name, item)
    elif isinstance(value, str):
        if "://" in value:
            _remember_url(value)
        if _tells(name, value) or _RANDOM.fullmatch(value):
            remember_secret(value)


def _remember_url(value: str) -> None:
    try:
        parts = urlsplit(value)
        login, password = parts.username or "", parts.password or ""
    except ValueError:
        return
    if password:
        remember_secret(password)
        remember_secret(unquote(password))
    elif login:  # a token, as in https://TOKEN@host
        remember_secret(login)
    for word in re.split(r"[/&=;]", f"{parts.path}/{parts.query}"):
        if len(word) >= _SHORTEST_VALUE and _RANDOM.fullmatch(word):
            remember_secret(word)
