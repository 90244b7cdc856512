"""What the doctor finds: on this machine, on made-up ones, and in files that are wrong on purpose."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from chats import talk
from processes import run

from qwen3_chat.app.chat.history import History, Store
from qwen3_chat.app.doctor.files import files, model
from qwen3_chat.app.doctor.finding import Finding
from qwen3_chat.app.doctor.installation import older
from qwen3_chat.app.doctor.machine import machine
from qwen3_chat.app.doctor.terminal import terminal


def by_name(findings: Any) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings}


def test_where_all_is_well_it_says_so(chat_checkpoint: Path) -> None:
    done = run("doctor", "--model", str(chat_checkpoint), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert told["ok"] is True
    assert set(told) == {"ok", "installation", "machine", "terminal", "files"}
    names = {finding["name"] for part in told.values() if isinstance(part, list) for finding in part}
    assert {"python", "engine", "processor", "memory", "gpu", "colours", "configuration", "saved chats"} <= names
    assert told["files"][-1]["what"].startswith(f"{chat_checkpoint}: ")
    done = run("doctor")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("Nothing is wrong.\n")


def test_what_is_wrong_is_said_with_a_remedy_and_exit_code_1(homes: Path) -> None:
    config = homes / "config" / "qwen3-chat" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('[keys]\n"chat.new" = "ctrl+m"\n')
    done = run("doctor", "--model", "/no/such/folder")
    assert (done.returncode, done.stderr) == (1, "")
    assert "  WRONG  configuration" in done.stdout
    assert f"{config}:2: [keys] \"chat.new\": 'ctrl+m' cannot be used" in done.stdout
    assert f"try: correct it, or move the file away: mv {config} {config}.old" in done.stdout
    assert "  WRONG  model" in done.stdout
    assert done.stdout.endswith("2 things are wrong.\n")


def fake(root: Path, entries: dict[str, str]) -> Path:
    for name, text in entries.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_limits_of_a_container_are_seen(tmp_path: Path) -> None:
    proc = fake(
        tmp_path / "proc",
        {
            "cpuinfo": "model name\t: Made-up 9000\n",
            "meminfo": "MemTotal: 16777216 kB\nMemAvailable: 8388608 kB\n",
            "self/cgroup": "0::/\n",
        },
    )
    limits = {"cpu.max": "50000 100000\n", "memory.max": str(1 << 30), "memory.current": "0", "memory.stat": ""}
    cgroup = fake(tmp_path / "cgroup", limits)
    found = by_name(machine(proc, cgroup, tmp_path))
    assert found["processor"].state == "note"
    assert found["processor"].what.startswith("Made-up 9000; ")
    assert found["processor"].what.endswith("of which the container gets 0.5")
    assert found["memory"] == Finding("memory", "ok", "1.0 GiB free of 16.0 GiB, the container's limit is 1.0 GiB")
    (cgroup / "memory.current").write_text(str(900 << 20))
    found = by_name(machine(proc, cgroup, tmp_path))
    assert (found["memory"].state, found["memory"].remedy) == (
        "wrong",
        "close other programs, or raise the container's limit",
    )
    assert found["gpu"].what == "no NVIDIA driver; the processor is used"


def test_a_driver_without_a_device_is_a_container_without_gpus(tmp_path: Path) -> None:
    version = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024\n"
    proc = fake(tmp_path / "proc", {"driver/nvidia/version": version})
    found = by_name(machine(proc, tmp_path / "cgroup", tmp_path / "dev"))["gpu"]
    assert (found.what, found.state) == ("NVIDIA driver 550.54.15, and no device", "note")
    assert "--gpus all" in found.remedy


@pytest.mark.parametrize(
    ("environment", "name", "what"),
    [
        ({"NO_COLOR": "1"}, "colours", "none: NO_COLOR is set"),
        ({"COLORTERM": "truecolor"}, "colours", "16 million"),
        ({"TERM": "xterm-256color"}, "colours", "256: COLORTERM does not say more"),
        ({"TERM": "xterm"}, "colours", "16: COLORTERM does not say more"),
    ],
)
def test_colours_are_what_the_terminal_says(environment: dict[str, str], name: str, what: str) -> None:
    assert by_name(terminal(environment))[name].what == what


def test_saved_chats_are_counted_and_a_foreign_file_is_told(data_home: Path) -> None:
    assert by_name(files())["saved chats"].what.endswith("there are none yet")
    with History(Store()) as history:
        history.save(talk("Why pairs?", "A rotation."))
    path = data_home / "qwen3-chat" / "chats.db"
    assert by_name(files())["saved chats"].what.startswith(f"{path}: 1 chat, schema ")
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 999")
    db.close()
    found = by_name(files())["saved chats"]
    assert (found.state, "newer version" in found.what) == ("wrong", True)
    path.write_bytes(b"no database" * 100)
    found = by_name(files())["saved chats"]
    assert found.state == "wrong"
    assert found.remedy == f"move it away: mv {path} {path}.old"


def test_folders_are_looked_at_without_making_them(homes: Path) -> None:
    assert by_name(files())["state folder"].what.endswith("which is made when it is needed")
    assert not (homes / "state").exists()
    (homes / "state" / "qwen3-chat").mkdir(parents=True)
    (homes / "state" / "qwen3-chat").chmod(0o755)
    found = by_name(files())["state folder"]
    assert (found.state, found.remedy) == ("note", f"chmod 700 {homes / 'state' / 'qwen3-chat'}")
    (homes / "config").write_text("")  # a file in the place of the folder
    found = by_name(files())["config folder"]
    assert (found.state, found.what) == ("wrong", f"{homes / 'config'} is no folder")
    if os.geteuid() != 0:  # root may write everywhere
        (homes / "state" / "qwen3-chat").chmod(0o500)
        assert by_name(files())["state folder"].state == "wrong"


def test_a_model_that_cannot_be_had_is_told(tmp_path: Path) -> None:
    found = model(tmp_path)
    assert found.state == "wrong"
    assert found.what.startswith(f"{tmp_path / 'config.json'}: ")
    assert found.remedy


def test_versions_are_compared_by_their_numbers() -> None:
    assert older("8.0.1", "8.1")
    assert not older("10.0", "9.9")
    assert not older("8.2.8", "8.2.8")
    assert not older("8.2.0rc1", "8.2")
