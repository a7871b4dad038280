"""What a person left for the server to use: logins and secrets, in the system's keyring or in a file of their own.

Nothing here is imported by it, opened or asked before somebody needs an entry.
"""

from mage_mcp.credentials.entries import SECRET_PREFIX, KeptLogin, cloud_key, cluster_key
from mage_mcp.credentials.places import Place, StoreUnusable
from mage_mcp.credentials.store import Store

__all__ = ["SECRET_PREFIX", "KeptLogin", "Place", "Store", "StoreUnusable", "cloud_key", "cluster_key"]
