"""A few steps of every kind on one GPU, small enough for compute-sanitizer: python small.py cuda:0"""

from __future__ import annotations

import sys

from qwen3_chat.engine import Engine, StepRequest
from qwen3_chat.models import demo


def main(device: str) -> None:
    with Engine.load(demo.path(), device, context=256) as engine:
        cache = engine.new_cache()
        ids = [(7 * i + 3) % 250 for i in range(40)]
        engine.step([StepRequest(ids, cache, "all")])
        engine.step([StepRequest(ids[:5], cache, "all")])
        fork = cache.fork(41)  # its last page is shared, and copied by the next step
        for _ in range(3):
            engine.step([StepRequest([1], cache), StepRequest([2], fork)])


if __name__ == "__main__":
    main(sys.argv[1])
