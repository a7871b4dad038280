"""One HTTP conversation with one Mage cluster: pool, limits, retries, session, errors."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio

from mage_mcp import errors
from mage_mcp.client.deadline import Clock, remaining_s
from mage_mcp.client.peer import Peer, open_http, own_api
from mage_mcp.client.replies import GATEWAY_STATUSES, StaleSession
from mage_mcp.client.serial import Serial
from mage_mcp.settings import Cluster

if TYPE_CHECKING:
    import httpx

REQUESTS_AT_ONCE = 4
"""Mage is one process whose database calls block it: twenty at once take twenty times as long, each."""
REQUEST_TIMEOUT_S = 30.0
CONNECT_TIMEOUT_S = 10.0
"""A third of it, so that a write which got no connection is known as not sent rather than as uncertain."""
LARGEST_REPLY = 32 * 1024 * 1024
"""Bytes. Mage cannot page logs: 30,000 printed lines are 10 MB."""
_ATTEMPTS = 3
_LEAST_FOR_A_WRITE_S = 2.0
_HALF_WRITTEN = "Invalid pipeline config"
_TILL_WRITTEN_S = (0.1, 0.2, 0.4)
_MOST_RENEWALS = 3

Params = dict[str, str | int | bool]


class _Unsent(Exception):  # a signal: nothing reached Mage, or Mage did not act; safe to repeat
    def __init__(self, error: errors.MageError, *, wait_s: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.wait_s = wait_s


class Transport:
    """Reads and writes. Opens nothing before the first request."""

    def __init__(
        self,
        cluster: Cluster,
        *,
        wire: "httpx.AsyncBaseTransport | None" = None,
        clock: Clock | None = None,
        peer: Peer | None = None,
    ) -> None:
        self.cluster = cluster
        self.peer = peer or own_api(cluster)
        self.clock = clock or Clock()
        self.serial = Serial()
        self._wire = wire
        self._http: httpx.AsyncClient | None = None
        self._slots = anyio.Semaphore(REQUESTS_AT_ONCE)
        self.session = self.peer.session(cluster, self._exchange, self.clock)

    def at(self, url: str) -> "Transport":
        """Another one, to another address of the same cluster."""
        cluster, peer = self.cluster.model_copy(update={"url": url}), replace(self.peer, url=url)
        return Transport(cluster, wire=self._wire, clock=self.clock, peer=peer)

    async def aclose(self) -> None:
        if self._http is not None:
            await self._http.aclose()

    async def read(self, path: str, **params: str | int | bool) -> dict[str, Any]:
        """GET Mage's JSON object. Repeated, within the call's deadline, when the network or a gateway fails.

        And when Mage looks at a pipeline's file while it writes it, in place: measured with twenty changes at once.

        Raises MageError.
        """
        for wait_s in _TILL_WRITTEN_S:
            try:
                return await self._send("GET", path, params=params)
            except errors.MageFailed as error:
                if _HALF_WRITTEN not in error.exception:
                    raise
            await self.clock.sleep(wait_s)
        return await self._send("GET", path, params=params)

    async def write(self, method: str, path: str, body: dict[str, Any], *, only_now: bool = False) -> dict[str, Any]:
        """POST, PUT or DELETE, once, and never cut in the middle by a cancelled call.

        Sent again only where the first try certainly did nothing: no connection, or a session that had expired. With
        `only_now` not even then, since the body would be out of date: that is a MageUnreachable.

        Raises MageReadOnly and other MageErrors; MageWriteUncertain when the answer was lost.
        """
        if self.cluster.read_only:
            raise errors.MageReadOnly(f"{method} {path} was not sent.")
        _leave_time_for_a_write(f"{method} /{path}")
        with anyio.CancelScope(shield=True):
            reply = await self._send(method, path, body=body, only_now=only_now)
        return reply

    async def _send(self, method: str, path: str, *, only_now: bool = False, **kwargs: Any) -> dict[str, Any]:
        """One logical request: with the session's headers, renewed when Mage calls the token stale.

        Once, by a login; a token that was kept somewhere may be stale too, and a login still help.
        """
        is_fresh, renewals = False, 0
        while True:
            headers, token = await self.session.headers()
            try:
                return await self._exchange(
                    method, path, headers=headers, attempts=1 if only_now else _ATTEMPTS, **kwargs
                )
            except StaleSession:
                if is_fresh or renewals == _MOST_RENEWALS:
                    raise errors.MageAuthRequired(
                        f"{self.peer.label} does not accept a fresh session.", next_step=self.peer.if_refused
                    ) from None
            is_fresh, renewals = await self.session.renew(token), renewals + 1
            if only_now:
                raise self._silent(f"{self.peer.label} had ended the session before {method} /{path}.")

    async def _exchange(self, method: str, path: str, *, attempts: int = _ATTEMPTS, **kwargs: Any) -> dict[str, Any]:
        """One request, repeated while it certainly did nothing and there is time."""
        import stamina  # 20 ms that a server without a call need not spend

        reads = method == "GET"
        if remaining_s() <= 0:
            raise _too_late(f"{method} /{path}")

        def wait_before_retry(error: Exception) -> bool | float:
            if not isinstance(error, _Unsent) or (error.wait_s or 0.0) >= remaining_s():
                return False
            return True if error.wait_s is None else error.wait_s

        try:
            async for attempt in stamina.retry_context(
                on=wait_before_retry, attempts=attempts, timeout=remaining_s(), wait_initial=0.2, wait_jitter=0.3
            ):
                with attempt:
                    return await self._once(method, path, reads=reads, **kwargs)
        except _Unsent as unsent:
            raise unsent.error from None
        raise AssertionError("unreachable: the loop returns or raises")

    async def _once(
        self,
        method: str,
        path: str,
        *,
        reads: bool,
        headers: dict[str, str],
        params: Params | None = None,
        body: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        what = f"{method} /{path}"
        client = self._client()
        request = client.build_request(
            method,
            path,
            params=params or None,
            headers=headers,
            json=body,
        )
        try:
            with anyio.fail_after(min(REQUEST_TIMEOUT_S, remaining_s())):
                await self._slots.acquire()
        except TimeoutError:
            raise _too_late(what) from None
        try:
            if not reads:
                _leave_time_for_a_write(what)
            with anyio.fail_after(min(REQUEST_TIMEOUT_S, remaining_s())):
                response, content = await self._fetch(client, request, what)
        except TimeoutError:
            raise self._lost(what, reads=reads, error=self._timeout(what)) from None
        finally:
            self._slots.release()
        if response.status_code in GATEWAY_STATUSES:
            unreachable = self._silent(f"{self.peer.label} is not available (HTTP {response.status_code}).")
            if reads or response.status_code == 429:
                raise _Unsent(unreachable, wait_s=_retry_after(response))
            raise self._lost(what, reads=False, error=unreachable)
        return self._read(response.status_code, content, what, reads=reads, sent=body)

    def _read(self, status: int, content: bytes, what: str, *, reads: bool, sent: Any) -> dict[str, Any]:
        try:
            return self.peer.read(status, content, what=what, label=self.peer.label, sent=sent)
        except errors.MageReplyInvalid as error:
            if reads or 300 <= status < 500:
                raise
            raise self._lost(what, reads=False, error=error) from None

    async def _fetch(
        self, client: "httpx.AsyncClient", request: "httpx.Request", what: str
    ) -> "tuple[httpx.Response, bytes]":
        """Send and read the whole answer, up to its largest size."""
        import httpx

        label, reads = self.peer.label, request.method == "GET"
        try:
            response = await client.send(request, stream=True)
            try:
                content = bytearray()
                async for chunk in response.aiter_bytes():
                    content += chunk
                    if len(content) > LARGEST_REPLY:
                        too_large = errors.MageReplyInvalid(
                            f"{label}'s answer to {what} is over {LARGEST_REPLY // 2**20} MB, too large to read.",
                            next_step="Ask for less: one block instead of the whole run, a smaller limit.",
                        )
                        raise self._lost(what, reads=reads, error=too_large)
            finally:
                with anyio.CancelScope(shield=True):
                    await response.aclose()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise _Unsent(self._silent(f"{label} cannot be reached ({type(error).__name__}).")) from None
        except httpx.TimeoutException:
            raise self._lost(what, reads=reads, error=self._timeout(what)) from None
        except httpx.HTTPError as error:
            unreachable = self._silent(f"{label} broke off the connection during {what} ({type(error).__name__}).")
            if reads:
                raise _Unsent(unreachable) from None
            raise self._lost(what, reads=False, error=unreachable) from None
        return response, bytes(content)

    def _lost(self, what: str, *, reads: bool, error: errors.MageError) -> errors.MageError:
        """A read that got no answer is just that; a write may have happened."""
        if reads:
            return error
        return errors.MageWriteUncertain(
            f"{error.what} The answer to {what} was lost, so the change may or may not have happened.",
            next_step="Look at the present state before you try again.",
        )

    def _silent(self, what: str) -> errors.MageUnreachable:
        return errors.MageUnreachable(what, next_step=self.peer.if_silent)

    def _timeout(self, what: str) -> errors.MageTimeout:
        return errors.MageTimeout(f"{self.peer.label} did not answer {what} in time.")

    def _client(self) -> "httpx.AsyncClient":
        if not self.peer.url:
            raise self.peer.missing
        if self._http is None:
            import httpx

            timeout = httpx.Timeout(REQUEST_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
            self._http = open_http(self.cluster, self.peer, self._wire, timeout=timeout, at_once=REQUESTS_AT_ONCE)
        return self._http


def _leave_time_for_a_write(what: str) -> None:
    if remaining_s() < _LEAST_FOR_A_WRITE_S:
        raise _too_late(what)


def _too_late(what: str) -> errors.MageTimeout:
    return errors.MageTimeout(f"The time for this call was over before {what} was sent; nothing was changed by it.")


def _retry_after(response: "httpx.Response") -> float | None:
    """Seconds, where the answer says them; a date or nonsense counts as not said."""
    try:
        return max(0.0, float(response.headers["Retry-After"]))
    except (KeyError, ValueError):
        return None
