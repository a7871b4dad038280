"""What Mage's scheduler starts by itself at its next look at a trigger."""

from mage_mcp.demo.cron import last_run_at
from mage_mcp.demo.world import TriggerRow, World


def look_at(world: World, trigger: TriggerRow) -> None:
    """Start the run that is due, if one is: of the present period, unless there is one of it or it is held back.

    Called where a trigger or its runs have changed; as time goes by nobody looks.
    """
    if trigger.status != "active" or trigger.pipeline_uuid not in world.pipelines or world.poison:
        return
    if trigger.start_time and trigger.start_time > world.now:
        return
    runs = world.runs_of(trigger.id)
    if trigger.schedule_interval in ("@once", "@always_on"):
        if not runs:
            world.create_run(trigger, trigger.variables)
        return
    due = last_run_at(trigger.schedule_interval, world.now) if trigger.schedule_interval else None
    eager = (trigger.settings or {}).get("create_initial_pipeline_run")
    enabled = None if eager else trigger.last_enabled_at
    if due is None or any(moment and moment > due for moment in (trigger.start_time, enabled)):
        return
    if due not in [run.execution_date for run in runs]:
        world.create_run(trigger, trigger.variables, execution_date=due)
