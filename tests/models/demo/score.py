"""`make demo-score`: print how well the bundled model answers; fail where it misses what it must reach."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from scoring import Demo, Score, questions, score

MUST = {"held_in": 18 / 20, "paraphrased": 12 / 20, "recalled": 8 / 10, "ended": 1.0, "honoured": 1.0}


def main() -> int:
    """Score with thinking off and on; exit code 1 for a miss."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, help="a folder (default: the bundled one)")
    parser.add_argument("--seed", type=int, help="draw as the checkpoint recommends (default: greedy)")
    parser.add_argument("--misses", action="store_true", help="show what was answered wrong")
    arguments = parser.parse_args()
    missed = False
    with Demo(arguments.checkpoint, arguments.seed) as model:
        for thinking in (False, True):
            result = score(model, questions(), thinking=thinking)
            missed |= _show(result, thinking, arguments.misses)
    return int(missed)


def _show(result: Score, thinking: bool, misses: bool) -> bool:
    print(f"thinking {'on' if thinking else 'off'}")
    missed = False
    for name, share in MUST.items():
        right, all_of_them = getattr(result, name)
        is_missed = right < share * all_of_them
        missed |= is_missed
        print(f"  {name:12}{right:3} of {all_of_them}{f'  must be {share * all_of_them:.0f}' if is_missed else ''}")
    for miss in result.misses if misses else ():
        print(f"    {miss}")
    return missed


if __name__ == "__main__":
    sys.exit(main())
