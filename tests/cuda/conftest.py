"""`programs` and the interpreter lie beside the tests, and --import-mode=importlib adds no folder to the path."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
