"""Fixtures of the adapters' tests: configuration without a server, a log that remembers."""

from __future__ import annotations

from itertools import count

import pytest
from diraccfg import CFG

_VERSIONS = count()


class Log:
    """A DIRAC logger that keeps (level, text)."""

    def __init__(self):
        self.lines: list[tuple[str, str]] = []

    def __getattr__(self, level):
        def write(message, detail="", lException=None):
            self.lines.append((level, f"{message} {detail} {lException or ''}".strip()))

        return write

    def at(self, level: str) -> list[str]:
        return [text for written, text in self.lines if written == level]


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def configuration():
    """Loads text into DIRAC's configuration data as if a server had sent it, and takes it out again afterwards."""
    from DIRAC.ConfigurationSystem.Client.ConfigurationData import gConfigurationData
    from DIRAC.ConfigurationSystem.Client.Helpers import Registry

    before = gConfigurationData.localCFG, gConfigurationData.remoteCFG
    versionBefore = gConfigurationData.getVersion()

    def use(local: CFG, remote: CFG) -> None:
        gConfigurationData.localCFG, gConfigurationData.remoteCFG = local, remote
        # helpers keep what they read of a version
        gConfigurationData.setVersion(f"test-{next(_VERSIONS)}")
        gConfigurationData.sync()
        for helper in vars(Registry).values():
            # Registry.reset_all_caches() does not find cachetools' caches
            if hasattr(helper, "cache") and hasattr(helper, "cache_lock"):
                helper.cache.clear()

    def load(text: str) -> None:
        cfg = CFG()
        cfg.loadFromBuffer(text)
        use(before[0], cfg)

    yield load
    use(*before)
    # or else a real server's configuration, whose version is a date, would never look newer than "test-N"
    gConfigurationData.setVersion(versionBefore)
    gConfigurationData.sync()
