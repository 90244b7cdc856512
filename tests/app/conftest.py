"""Makes `scripted` and `processes` importable for every test of the app."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
