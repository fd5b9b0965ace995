"""Where the rooms are joined: from files to a run's folder, in stages that can each start from what the one before wrote."""

from kambin.pipeline.inputs import RunInputs
from kambin.pipeline.plans import PlanOrder
from kambin.pipeline.progress import Progress
from kambin.pipeline.stages import RunResult, measure_stage, plan_stage, reconstruct_stage, report_stage, run

__all__ = [
    "PlanOrder",
    "Progress",
    "RunInputs",
    "RunResult",
    "measure_stage",
    "plan_stage",
    "reconstruct_stage",
    "report_stage",
    "run",
]
