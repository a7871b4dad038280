"""The login that a person left in the store: asked for only where Mage wants one, and never on the event loop."""

import logging

import anyio

from mage_mcp.credentials import KeptLogin, Store, StoreUnusable

log = logging.getLogger(__name__)


class Kept:
    """One login in the store. Without a store nothing is kept, and a store that fails never breaks a call.

    `email` is the configured one: a login of somebody else is not used where the configuration names a person.
    """

    def __init__(self, store: Store | None, key: str, email: str) -> None:
        self._store = store
        self._key = key
        self._email = email
        self.problem = ""
        """Why the last look brought nothing, as a sentence; empty where there simply is nothing."""

    @property
    def may_be(self) -> bool:
        """Whether there is a store at all."""
        return self._store is not None

    async def read(self) -> KeptLogin | None:
        """What lies there now: the person may have logged in again meanwhile."""
        before, self.problem = self.problem, ""
        if self._store is None:
            return None
        try:
            login = await anyio.to_thread.run_sync(self._store.login, self._key)
        except StoreUnusable as error:
            self.problem = str(error)
            if self.problem != before:
                log.warning("No kept login can be read: %s", error)
            return None
        if login and login.email and self._email and login.email.casefold() != self._email.casefold():
            self.problem = "The login that is kept is of another email than the configured one."
            return None
        return login

    async def renew(self, old: KeptLogin, new: KeptLogin) -> None:
        """Put the fresh one where the old one lies; without it the next process would only log in once more."""
        if self._store is None:
            return
        try:
            await anyio.to_thread.run_sync(self._store.renew_login, self._key, old, new)
        except StoreUnusable as error:
            log.warning("A fresh session could not be kept: %s", error)
