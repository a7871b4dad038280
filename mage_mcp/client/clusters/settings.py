"""Which settings the Cloud needs, and sentences on those that are missing."""

import re

from mage_mcp.errors import MageNotConfigured
from mage_mcp.settings import DEFAULT_CLUSTER, Cluster, login_command, setting_of
from mage_mcp.text import one_line

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_PLACE = ("team_id", "cluster_id")
_LOGIN = ("cloud_email", "cloud_password")


def settings_of(cluster: Cluster, *keys: str) -> str:
    """`MAGE_TEAM_ID and MAGE_CLUSTER_ID`, or `team_id and cluster_id in [clusters.prod]`."""
    if cluster.name == DEFAULT_CLUSTER:
        return " and ".join(setting_of(cluster, key) for key in keys)
    return f"{' and '.join(keys)} in [clusters.{cluster.name}]"


def missing_settings(cluster: Cluster) -> list[str]:
    """The keys without which the Cloud cannot be asked about this cluster."""
    given = {key: getattr(cluster, key) for key in (*_PLACE, *_LOGIN)}
    return [
        key for key, value in given.items() if not (value.get_secret_value() if key == _LOGIN[1] and value else value)
    ]


def what_is_missing(cluster: Cluster) -> str:
    """One sentence; empty where nothing is missing."""
    missing = missing_settings(cluster)
    if not missing:
        return ""
    return f"For Mage Cloud {'is' if len(missing) == 1 else 'are'} missing: {settings_of(cluster, *missing)}."


def require_place(cluster: Cluster) -> tuple[str, str]:
    """The team's and the cluster's id, fit for a URL.

    Raises MageNotConfigured.
    """
    return require_team(cluster), _id(cluster, "cluster_id")


def require_team(cluster: Cluster) -> str:
    """The team's id, fit for a URL.

    Raises MageNotConfigured.
    """
    return _id(cluster, "team_id")


def _id(cluster: Cluster, key: str) -> str:
    given: str = getattr(cluster, key)
    if not given:
        raise _not_configured(cluster, missing_settings(cluster))
    if not _ID.fullmatch(given):
        raise MageNotConfigured(
            f"{settings_of(cluster, key)} is {one_line(given, 40)!r}, which is no id of Mage Cloud.",
            next_step="Copy it from the address of the cluster's page in Mage's portal.",
        )
    return given


def has_login(cluster: Cluster) -> bool:
    """Whether email and password of the Cloud are configured."""
    return not set(_LOGIN) & set(missing_settings(cluster))


def not_configured(cluster: Cluster, *, may_be_kept: bool, problem: str = "") -> MageNotConfigured:
    """What is missing to log in there. `problem` is why nothing of what may be kept could be used."""
    missing = missing_settings(cluster)
    if not may_be_kept or set(missing) - set(_LOGIN):
        return _not_configured(cluster, missing)
    return MageNotConfigured(
        f"No login to Mage Cloud is configured or kept for {cluster.label}. {problem}".strip(),
        next_step=(
            f"Ask the person to run `{login_command(cluster, cloud=True)}` in a terminal, then call again; "
            f"or to set {settings_of(cluster, *missing)}."
        ),
    )


def _not_configured(cluster: Cluster, missing: list[str]) -> MageNotConfigured:
    return MageNotConfigured(
        f"Mage Cloud is not configured for {cluster.label}.",
        next_step=f"Ask the person to set {settings_of(cluster, *missing)}.",
    )
