"""What is answered about workspaces and deployments."""

from pydantic import Field

from mage_mcp.client.models import Answer, Change, Message, Name, Names, Page


class WorkspaceRow(Answer):
    """A workspace as a row of a list."""

    workspace: Name
    status: Name = Field(default="", description="RUNNING, PENDING, STOPPED or UNAVAILABLE.")
    type: Name = Field(default="", description="Kind of cluster it runs on.")
    url: Name = ""
    namespace: Name = ""
    image_tag: Name = ""
    env_vars: Names = Field(default=[], description="Names only.")
    auto_termination_s: int | None = Field(default=None, description="Seconds idle after which it is stopped.")


class WorkspacePage(Page):
    managed_at: str = Field(default="", description="The main project, where another one than the configured.")
    items: list[WorkspaceRow]


class WorkspaceChange(Change):
    """What was done to a workspace, and how it was before and after."""

    workspace: Name = ""
    before: Name = Field(default="", description="Status before.")
    after: Name = Field(default="", description="Status read back.")
    diff: Names = Field(default=[], description="What changes in its configuration; values of variables are masked.")


class Deployment(Change):
    """A deployment that was started."""

    setting: Name = ""
    commit: str = ""
    branch: Name = ""
    environment: Name = ""
    answered: Message = Field(default="", description="What Mage answered, cut.")
