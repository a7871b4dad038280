"""Every secret of the simulated world, in one place, so that a test can look for each of them in all that comes out.

None of them opens anything outside the simulation.
"""

PLANTED: dict[str, str] = {
    "cloud password, admin": "demo-password",
    "cloud password, editor": "demo-editor-7Yt2wQ",
    "cloud password, viewer": "demo-viewer-3Kc9eL",
    "cloud key, private": "Rk7pWq2mXz9sLd4vTn8bHc3yGf6jUa1eQo5iKw0P",
    "cloud agent token": "agt_5dE8rT1uY4iO7pA0sD3fG6hJ",
    "mage password": "demo-mage-4Vb8nM",
    "prod SNOWFLAKE_PASSWORD": "Sn0w-prod-b7Kq2ZxW",
    "prod DATABASE_URL": "Pg-prod-9fHs4Tye",
    "prod SLACK_WEBHOOK_URL": "B04QWERTY/x8sK2mVq7LpDz5RtWn3Yc",
    "prod SENTRY_DSN": "6c1f0a9e4b7d4c2e8f3a",
    "prod config git token": "ghp_q1W2e3R4t5Y6u7I8o9P0a1S2d3F4g5H6",
    "prod config redis": "Rd-prod-2mNb8Vcx",
    "prod config signing secret": "whsec_Zt6Yb3Nq9Wm1Ks5D",
    "staging SNOWFLAKE_PASSWORD": "Sn0w-stag-e4Lw9PjR",
    "staging DATABASE_URL": "Pg-stag-3kDm7Uvb",
    "staging FEATURE_FLAGS": "flag-1b77e0d2",
    "staging LOG_TARGET, first": "logs-a41c.staging.invalid",
    "staging LOG_TARGET, second": "logs-f92d.staging.invalid",
    "staging config git token": "ghp_z9Y8x7W6v5U4t3S2r1Q0p9O8n7M6l5K4",
    "workspace variable DB_PASSWORD": "Ws-prod-6pTz4Qhd",
    "pipeline variable db_password": "not-shown",
    "password in an error text": "s3cret",
}
"""By what they are. Where a value is only part of what carries it (a URL's password), this is that part."""

CLOUD_API_KEY = "oMqz2m320NfVERFonfytPFVETfPTHyN5N7db9dLK"
"""The portal's own client key, printed in Mage's documentation: no secret."""
