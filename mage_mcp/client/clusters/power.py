"""Start, stop and restart a cluster: each does nothing where nothing is to be done, and reads back what became true."""

import anyio

from mage_mcp.client.clusters.cloud import CloudState
from mage_mcp.client.clusters.models import Planned, PowerChange
from mage_mcp.client.clusters.notes import Notes
from mage_mcp.client.clusters.restarting import Restart
from mage_mcp.client.clusters.switching import Switched, bring_down, bring_up
from mage_mcp.client.clusters.waiting import FOR_THE_ANSWER_S, ClusterWaiter, Report, is_ready
from mage_mcp.client.deadline import remaining_s
from mage_mcp.errors import MageError, MageInvalid, MageReadOnly, MageWriteUncertain

_MOST_REPLICAS = 100
_LOOK_AGAIN = "get_cluster shows when it is."


class ClusterPower(ClusterWaiter):
    """Switch one cluster on and off."""

    _restart: Restart | None = None

    async def plan_start(self, replicas: int | None = None) -> Planned:
        """What a start would interrupt: something only where a running cluster gets another number of replicas."""
        _check_replicas(replicas)
        state = await self._cloud.state()
        if not state.is_up or replicas in (None, state.replicas):
            return Planned()
        act = f"restart {state.title} with {replicas} replicas in place of {state.replicas}"
        return self._planned(f"Change the replicas of {self._title(state)}?", act, await self._runs_under_way(state))

    async def plan_stop(self) -> Planned:
        """What a stop would do: nothing where the cluster is down."""
        state = await self._cloud.state()
        if state.is_down:
            return Planned()
        return self._planned(f"Stop {self._title(state)}?", f"stop {state.title}", await self._runs_under_way(state))

    async def plan_restart(self) -> Planned:
        """What a restart would do: nothing where the cluster is down."""
        state = await self._cloud.state()
        if state.is_off:
            return Planned()
        return self._planned(
            f"Restart {self._title(state)}?", f"restart {state.title}", await self._runs_under_way(state)
        )

    async def start(
        self, *, replicas: int | None = None, wait_s: float = 0, progress: Report | None = None
    ) -> PowerChange:
        """Start the cluster, with the replicas it had before it was stopped, and finish a restart left half done.

        With `wait_s`, waits until the Cloud says `Active` and the cluster's own API answers, so long at most.

        Raises MageForbidden where the role is not Admin, MageWriteUncertain and other MageErrors.
        """
        _check_replicas(replicas)
        if self._restarting and self._restart is not None:
            note = "A restart is under way here and starts it; this call changed nothing."
            return await self._watch(self._restart, wait_s, progress, note=note, ours=False)
        known = await self._noted()
        state = await self._cloud.state()
        wanted, notes = replicas, []
        if wanted is None and not state.is_up:
            wanted = known.replicas or state.replicas or None
            if wanted is None:
                wanted = 1
                notes.append("How many replicas it had is not known; it starts with 1.")
        if known.restart_began and not state.is_up:
            notes.append(f"This finishes the restart begun at {known.restart_began}.")
        done = await bring_up(self._cloud, wanted)
        await anyio.to_thread.run_sync(self._notes.forget)
        if not done.sent:
            word = "already runs" if done.before.is_active else f"already is {done.before.status}"
            notes.append(f"It {word}; nothing was sent.")
        return await self._after(done, notes, up=True, wait_s=wait_s, progress=progress)

    async def stop(self, *, wait_s: float = 0, progress: Report | None = None) -> PowerChange:
        """Stop the cluster, and note how many replicas it had.

        With `wait_s`, waits until the Cloud says `Stopped`, so long at most.

        Raises MageInvalid while a restart is under way, MageForbidden where the role is not Admin, MageWriteUncertain
        and other MageErrors.
        """
        if self._restarting:
            raise MageInvalid(
                "A restart of this cluster is under way, so it was not stopped.",
                next_step="Wait until get_cluster shows it Active, then stop it.",
            )
        known = await self._noted()
        state = await self._cloud.state()
        notes = []
        if not state.is_down and not self._cluster.read_only:
            try:
                noted = Notes(replicas=state.replicas or known.replicas)
                await anyio.to_thread.run_sync(self._notes.write, noted)
            except OSError as error:
                notes.append(f"The number of replicas could not be noted ({type(error).__name__}): remember it.")
        try:
            done = await bring_down(self._cloud)
        except MageWriteUncertain:
            raise
        except MageError:
            await anyio.to_thread.run_sync(self._notes.restore, known)
            raise
        if not done.sent:
            notes.append(f"It already is {done.before.status}; nothing was sent.")
        return await self._after(done, notes, up=False, wait_s=wait_s, progress=progress)

    async def restart(self, *, wait_s: float = 0, progress: Report | None = None) -> PowerChange:
        """Stop the cluster and start it again with the replicas it had.

        From the stop on it goes on by itself until the start was sent, whatever becomes of this call; closing the
        client waits for that. With `wait_s`, waits until its own API answers again, so long at most.

        Raises as `stop` does; then nothing was stopped.
        """
        if self._cluster.read_only:
            raise MageReadOnly("The cluster was not restarted.")
        note, ours = "A restart was under way already.", False
        if not self._restarting:
            known = await self._noted()
            state = await self._cloud.state()
            if (state.is_off) and not known.restart_began:
                note = f"It is {state.status.lower()}; start_cluster starts it."
                return self._change(state, state, changed=False, note=note)
            if not self._restarting:
                note, ours = self._begin(known if known.restart_began and not state.is_up else None), True
        restart = self._restart
        assert restart is not None  # noqa: S101 - set together with `_restarting`
        return await self._watch(restart, wait_s, progress, note=note, ours=ours)

    def _begin(self, resume: Notes | None) -> str:
        restart = Restart(self._cloud, self._notes, self._background, resume=resume)

        async def work() -> None:
            try:
                await restart.run()
            finally:
                self._restarting = False

        self._background.start(work)
        self._restart, self._restarting = restart, True
        return f"This finishes the restart begun at {resume.restart_began}." if resume else ""

    async def _watch(
        self, restart: Restart, wait_s: float, progress: Report | None, *, note: str, ours: bool
    ) -> PowerChange:
        """Wait for the first half, which may be refused, then as long as the call wants to."""
        with anyio.move_on_after(max(1.0, remaining_s() - FOR_THE_ANSWER_S)):
            await restart.began.wait()
        if restart.error is not None:
            raise restart.error
        before = restart.before or await self._cloud.state()
        notes = [note] if note else []
        state, answers = await self._wait(
            lambda state, answers: restart.done.is_set() and is_ready(state, answers), wait_s, progress
        )
        if not restart.done.is_set():
            notes.append("The restart is under way and goes on by itself; get_cluster shows when it is done.")
        elif restart.given_up:
            notes.append("The start could not be sent: start_cluster sends it again.")
        elif not is_ready(state, answers):
            notes.append(f"It was started and is not ready yet; {_LOOK_AGAIN}")
        return self._change(before, state, changed=ours, note=" ".join(notes), answers=answers)

    async def _after(
        self, done: Switched, notes: list[str], *, up: bool, wait_s: float, progress: Report | None
    ) -> PowerChange:
        """Wait as long as the call wants to, and tell what is."""
        if done.note:
            notes.append(done.note)
        if up:
            state, answers = await self._wait(is_ready, wait_s, progress)
            if not is_ready(state, answers):
                notes.append(f"It is not ready yet, which takes minutes; {_LOOK_AGAIN}")
        else:
            state, answers = await self._wait(lambda state, _: state.is_stopped, wait_s, progress, ask_api=False)
            if not (state and state.is_stopped):
                notes.append(f"It is not stopped yet; {_LOOK_AGAIN}")
        return self._change(done.before, state or done.after, changed=done.sent, note=" ".join(notes), answers=answers)

    def _title(self, state: CloudState) -> str:
        return f"{state.title}, configured as {self._cluster.name!r}"

    def _planned(self, question: str, act: str, runs: list[str]) -> Planned:
        return Planned(question=question, acts=(act, *runs))

    def _change(
        self,
        before: CloudState,
        after: CloudState | None,
        *,
        changed: bool,
        note: str,
        answers: bool | None = None,
    ) -> PowerChange:
        return PowerChange(
            changed=changed,
            cloud_name=before.name,
            cloud_id=before.id,
            before=before.status,
            after=after.status if after else "unknown",
            replicas_before=before.replicas,
            replicas=after.replicas if after else None,
            answers=answers,
            note=note,
        )


def _check_replicas(replicas: int | None) -> None:
    if replicas is not None and not 1 <= replicas <= _MOST_REPLICAS:
        raise MageInvalid(
            f"A cluster cannot start with {replicas} replicas; nothing was sent.",
            next_step=f"Give 1 to {_MOST_REPLICAS}; stop_cluster stops it.",
        )
