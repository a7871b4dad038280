"""What the clusters of the simulated Cloud are configured with: keys that nobody knows, and secrets among them."""

from collections.abc import Callable
from typing import Any

from mage_mcp.demo.planted import PLANTED

Json = dict[str, Any]


def prod_config() -> Json:
    database = f"postgresql://mage:{PLANTED['prod DATABASE_URL']}@db.prod.invalid:5432/mage"
    envs: list[Json] = [
        {"name": "DEFAULT_EXECUTOR_TYPE", "value": "k8s"},
        {"name": "SNOWFLAKE_PASSWORD", "value": PLANTED["prod SNOWFLAKE_PASSWORD"]},
        _reference("AWS_SECRET_ACCESS_KEY", "mage-aws"),
        {"name": "DATABASE_URL", "value": database},
        {
            "name": "SLACK_WEBHOOK_URL",
            "value": f"https://hooks.slack.invalid/services/{PLANTED['prod SLACK_WEBHOOK_URL']}",
            "managedBy": "portal",
        },
        {"name": "SENTRY_DSN", "value": f"https://{PLANTED['prod SENTRY_DSN']}@sentry.prod.invalid/42"},
    ]
    return {
        **_basics("prod", replicas=2, memory="8Gi"),
        "extraEnvs": envs,
        "redis": {"enabled": True, "url": f"redis://:{PLANTED['prod config redis']}@redis.prod.invalid:6379/0"},
        "notifications": [
            {"kind": "webhook", "events": ["failed"], "signingSecret": PLANTED["prod config signing secret"]}
        ],
        "maintenanceWindow": {"day": "Sunday", "hours": [2, 4], "zone": "Europe/Zürich"},
    }


def staging_config() -> Json:
    database = f"postgresql://mage:{PLANTED['staging DATABASE_URL']}@db.staging.invalid:5432/mage"
    envs: list[Json] = [
        {"name": "SNOWFLAKE_PASSWORD", "value": PLANTED["staging SNOWFLAKE_PASSWORD"]},
        {"name": "DEFAULT_EXECUTOR_TYPE", "value": "local_python"},
        {"name": "LOG_TARGET", "value": PLANTED["staging LOG_TARGET, first"]},
        _reference("AWS_SECRET_ACCESS_KEY", "mage-aws-staging"),
        {"name": "DATABASE_URL", "value": database},
        {"name": "FEATURE_FLAGS", "value": f'{{"beta": "{PLANTED["staging FEATURE_FLAGS"]}"}}'},
        # A name that occurs twice: to Kubernetes the last one counts.
        {"name": "LOG_TARGET", "value": PLANTED["staging LOG_TARGET, second"]},
    ]
    return {**_basics("staging", replicas=1, memory="2Gi"), "extraEnvs": envs}


def _reference(name: str, secret: str) -> Json:
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": name.lower(), "optional": False}}}


def _basics(key: str, *, replicas: int, memory: str) -> Json:
    token = PLANTED[f"{key} config git token"]
    return {
        "image": {"repository": "mageai/mage-pro", "tag": "0.9.80", "pullPolicy": "IfNotPresent"},
        "replicaCount": replicas,
        "resources": {"limits": {"cpu": 2, "memory": memory}, "requests": {"cpu": 0.5, "memory": "1Gi"}},
        "git": {"branch": "main", "repository": f"https://oauth2:{token}@git.demo.invalid/data/pipelines.git"},
        "ingress": {"annotations": {"nginx.ingress.kubernetes.io/proxy-body-size": "0"}, "hosts": [], "tls": None},
        "tolerations": [],
        "customFlags": {"x-canary": False, "retention": {"logs": 30, "outputs": None}},
    }


CONFIGS: dict[str, Callable[[], Json]] = {"prod": prod_config, "staging": staging_config}
NAMES = {"prod": "Production", "staging": "Staging"}
