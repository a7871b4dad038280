"""The settings that are no defaults, and where each came from. Of a secret it is told that there is one."""

from collections.abc import Iterator
from typing import Any

from pydantic import SecretStr

from mage_mcp.doctor.report import Check, Value
from mage_mcp.settings import DEFAULT_CLUSTER, DEFAULT_TOOLSETS, TOOLSETS, Cluster, Settings, setting_of
from mage_mcp.text import one_line

GROUP = "Settings that need a look"
SET = "set"
_OF_THE_SERVER = ("toolsets", "confirm", "log_level", "audit", "read_only", "protected")
_DEFAULT = Cluster()
_LONGEST = 120


def told_values(settings: Settings) -> tuple[list[Value], list[Check]]:
    """Of the server, then cluster by cluster; and what is wrong with them that no error told before."""
    values = [*_of_the_server(settings)]
    checks: list[Check] = []
    for cluster in settings.clusters:
        values.extend(_of_cluster(settings, cluster))
        checks.extend(_unset_variables(settings, cluster))
        checks.extend(_passwords_of_nobody(cluster))
    return values, checks


def _of_the_server(settings: Settings) -> Iterator[Value]:
    if settings.demo:
        yield Value("demo", "true", "--demo")
    for key in _OF_THE_SERVER:
        if source := settings.source_of(key):
            yield Value(key, _shown(settings, key), source)


def _shown(settings: Settings, key: str) -> str:
    if key == "toolsets":
        names = {DEFAULT_TOOLSETS: "the default ones", TOOLSETS: "all"}
        return names.get(settings.toolsets, ",".join(settings.toolsets))
    return "true" if key == "protected" else _plain(getattr(settings, key))


def _of_cluster(settings: Settings, cluster: Cluster) -> Iterator[Value]:
    of = "" if cluster.name == DEFAULT_CLUSTER else f"{one_line(cluster.name, 40)}."
    for key in Cluster.model_fields:
        value = getattr(cluster, key)
        source = settings.source_of(key, cluster) or ("the simulation" if settings.demo else "")
        if key == "name" or value == getattr(_DEFAULT, key) or not source:
            continue
        if not of and key in {"read_only", "protected"}:
            continue  # told once, for the whole server
        if key == "headers":
            yield from (Value(f"{of}headers.{one_line(name, 40)}", SET, source) for name in value)
        else:
            yield Value(f"{of}{key}", _plain(value), source)


def _plain(value: Any) -> str:
    if isinstance(value, SecretStr):
        return SET
    return str(value).lower() if isinstance(value, bool) else one_line(str(value), _LONGEST)


def _unset_variables(settings: Settings, cluster: Cluster) -> Iterator[Check]:
    for key in Cluster.model_fields:
        if where := settings.source_of(f"{key}_env", cluster):
            says = f"{key}_env of {where} names a variable that is not set here."
            do = f"Set it in the MCP client's configuration. {key}_env holds a variable's name, never the {key} itself."
            yield Check(GROUP, f"{one_line(cluster.name, 40)}.{key}", "warning", says, do)


def _passwords_of_nobody(cluster: Cluster) -> Iterator[Check]:
    for whose, password in (("email", "password"), ("cloud_email", "cloud_password")):
        if getattr(cluster, password) is not None and not getattr(cluster, whose):
            says = f"{setting_of(cluster, password)} is set without {setting_of(cluster, whose)}, and is not used."
            name = password if cluster.name == DEFAULT_CLUSTER else f"{one_line(cluster.name, 40)}.{password}"
            yield Check(GROUP, name, "warning", says, f"Set {setting_of(cluster, whose)} too.")


def how_to_set(cluster: Cluster, *keys: str) -> str:
    """`MAGE_EMAIL and MAGE_PASSWORD`."""
    return " and ".join(setting_of(cluster, key) for key in keys)
