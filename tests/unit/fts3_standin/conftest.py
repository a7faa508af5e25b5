"""Makes the stand-in importable: it lives with the testbed, not in the package."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "testbed"))
