"""`make_golden` lies beside the tests that read it, and --import-mode=importlib adds no folder to the path."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
