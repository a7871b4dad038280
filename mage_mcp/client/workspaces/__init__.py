"""Workspaces of Mage Pro: list, make, stop, resume, patch, delete; and deployments of commits.

Sources: Mage's pages "Update Workspace" and "Create Deployment" (Pro API reference); WorkspaceResource and
KubernetesWorkspace in Mage's open source, which Pro extends.
"""

from mage_mcp.client.workspaces.changing import Action, Workspaces
from mage_mcp.client.workspaces.models import Deployment, WorkspaceChange, WorkspacePage, WorkspaceRow

__all__ = ["Action", "Deployment", "WorkspaceChange", "WorkspacePage", "WorkspaceRow", "Workspaces"]
