"""Mallory looks for the findings, with the collector's password."""

from __future__ import annotations

from pipeline.lab import incident
from pipeline.lab.configured import COLLECTOR, FINDINGS_TOPIC
from pipeline.lab.kafka import Kafka


def act(kafka: Kafka) -> None:
    """Ask, as the collector, for a topic that is none of its business."""
    incident.spy(kafka, COLLECTOR, FINDINGS_TOPIC)
