"""The Transformation Agent of DIRAC, which groups files into tasks sooner.

.. literalinclude:: ../ConfigTemplate.cfg
  :start-after: ##BEGIN TransformationAgent
  :end-before: ##END
  :dedent: 2
  :caption: TransformationAgent options
"""

from __future__ import annotations

from typing import Any

from DIRAC.TransformationSystem.Agent.TransformationAgent import TransformationAgent as DiracTransformationAgent

from JUNODIRAC.RawDataSystem.Client.PromptPasses import PromptPasses
from JUNODIRAC.RawDataSystem.Client.PromptTransport import usePromptTransport

AGENT_NAME = "Transformation/TransformationAgent"


class TransformationAgent(PromptPasses, DiracTransformationAgent):
    """DIRAC's agent with passes every few seconds."""

    def initialize(self) -> dict[str, Any]:
        """Initialize as DIRAC does."""
        usePromptTransport()
        result: dict[str, Any] = super().initialize()
        return result
