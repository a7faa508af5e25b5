"""Settings of the generated tests."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# a machine that runs a testbed beside is slow now and then, which says nothing about the code
settings.register_profile("core", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("core")
