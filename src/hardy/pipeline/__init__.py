"""Pipelines: sources, stages and a sink, each in processes of its own, over task queues; a kill loses nothing."""

from hardy.errors import PipelineFailed
from hardy.pipeline.pipeline import Pipeline
from hardy.pipeline.report import DeadItem, PipelineReport, StepReport
from hardy.pipeline.worker import Delivery, current_delivery

__all__ = ["DeadItem", "Delivery", "Pipeline", "PipelineFailed", "PipelineReport", "StepReport", "current_delivery"]
