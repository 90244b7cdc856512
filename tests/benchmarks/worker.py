"""The process of one engine: loads a model once, then answers one line of JSON with another until its input ends.

    python worker.py ADAPTER PATH WEIGHTS THREADS CONTEXT

In: {"method": "run" or "limit", "prompt": tokens, "new_tokens": N, "seed": N}. Out: {"first_token_s", "decode_s",
"run_cpu_s", "idle_s", "idle_cpu_s", "peak_rss_bytes"}; first of all {"settings"}; instead of any of them {"error"}.
The processor seconds are those of this process and of its ended children.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import resource
import sys
import time
from pathlib import Path
from typing import TextIO

from adapters import AdapterBase, Options


def main(arguments: list[str]) -> int:
    # Engines write to standard output at times: only answers may go where the answers are read.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    try:
        name, path, weights, threads, context = arguments
        adapter = importlib.import_module(f"adapters.{name}").Adapter(
            Options(Path(path), weights, int(threads), int(context))
        )
        serve(adapter, answers)
    except Exception as error:
        answers.write(json.dumps({"error": f"{type(error).__name__}: {error}"}) + "\n")
        return 1
    return 0


def serve(adapter: AdapterBase, answers: TextIO) -> None:
    answers.write(json.dumps({"settings": adapter.settings}) + "\n")
    idle_since, idle_cpu = time.perf_counter(), cpu_s()
    for line in sys.stdin:
        command = json.loads(line)
        began, began_cpu = time.perf_counter(), cpu_s()
        draw = random.Random(command["seed"])
        prompt = [draw.randrange(adapter.vocabulary) for _ in range(command["prompt"])]
        timing = getattr(adapter, command["method"])(prompt, command["new_tokens"])
        answer = {
            **timing._asdict(),
            "run_cpu_s": cpu_s() - began_cpu,
            "idle_s": began - idle_since,
            "idle_cpu_s": began_cpu - idle_cpu,
            "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }
        idle_since, idle_cpu = time.perf_counter(), cpu_s()
        answers.write(json.dumps(answer) + "\n")


def cpu_s() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
