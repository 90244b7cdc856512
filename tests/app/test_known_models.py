"""The models that can be chosen without typing a path."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from checkpoints import make_checkpoint

from qwen3_chat.app.chat.hub.cache import cache_folder, cached_models, snapshot
from qwen3_chat.app.chat.known_models import known_models
from qwen3_chat.app.chat.recent import MOST, RecentModels
from qwen3_chat.models import demo

COMMIT = "c1899de289a04d12100db370d81485cdf75e47ca"


def test_opened_models_are_kept_newest_first_and_privately(tmp_path: Path, homes: Path) -> None:
    recent = RecentModels()
    for name in ("a", "b", "a"):
        (tmp_path / name).mkdir(exist_ok=True)
        recent.add(tmp_path / name)
    recent.add(tmp_path / "gone")
    assert RecentModels().paths() == [tmp_path / "a", tmp_path / "b"]
    folder = homes / "state/qwen3-chat"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "models.jsonl").stat().st_mode) == 0o600


def test_only_so_many_are_kept_and_nonsense_is_skipped(tmp_path: Path) -> None:
    file = tmp_path / "models.jsonl"
    file.write_text('no json\n3\n""\n"\\u0000"\n')
    recent = RecentModels(file)
    for number in range(MOST + 5):
        (tmp_path / str(number)).mkdir()
        recent.add(tmp_path / str(number))
    assert [path.name for path in recent.paths()] == [str(number) for number in range(MOST + 4, 4, -1)]


def test_a_list_that_cannot_be_written_disturbs_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    RecentModels(tmp_path / "file/models.jsonl").add(tmp_path)


def cached(cache: Path, repository: str, model: Path | None = None, *, main: bool = True) -> Path:
    """A downloaded model, laid out as the hub's library does it."""
    folder = cache / f"models--{repository.replace('/', '--')}"
    place = folder / "snapshots" / COMMIT
    place.mkdir(parents=True)
    if main:
        (folder / "refs").mkdir()
        (folder / "refs/main").write_text(COMMIT)
    for file in model.iterdir() if model is not None else ():
        (place / file.name).symlink_to(file)
    return place


def test_each_model_is_listed_once(tmp_path: Path, chat_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("HF_HUB_CACHE", str(cache))
    place = cached(cache, "Qwen/Qwen3-0.6B", chat_checkpoint)
    other = cached(cache, "someone/Other--Model", chat_checkpoint, main=False)
    bert = make_checkpoint(tmp_path / "bert")
    config = json.loads((bert / "config.json").read_text())
    (bert / "config.json").write_text(json.dumps(config | {"model_type": "bert"}))
    cached(cache, "someone/bert", bert)
    half = cached(cache, "someone/half", chat_checkpoint)
    (half / "model.safetensors").unlink()
    (half / "model.safetensors").symlink_to(tmp_path / "not downloaded yet")
    gguf = cached(cache, "someone/GGUF")
    for name in ("m-Q8_0.gguf", "big-00001-of-00002.gguf", "big-00002-of-00002.gguf"):
        (gguf / name).write_bytes(b"x")
    recent = RecentModels(tmp_path / "models.jsonl")
    recent.add(place)
    found = known_models({"mine": chat_checkpoint, "again": place}, recent)
    assert [(model.source, model.name, model.path) for model in found] == [
        ("recent", "again", place),  # the name that the person gave it
        ("config", "mine", chat_checkpoint),
        ("cache", "someone/GGUF:big-00001-of-00002.gguf", gguf / "big-00001-of-00002.gguf"),
        ("cache", "someone/GGUF:m-Q8_0.gguf", gguf / "m-Q8_0.gguf"),
        ("cache", "someone/Other--Model", other),
        ("bundled", "demo model", demo.path()),
    ]
    assert found[0].nbytes == (chat_checkpoint / "model.safetensors").stat().st_size


def test_a_cache_that_is_not_there_has_no_models(tmp_path: Path) -> None:
    assert cached_models(tmp_path / "nothing") == []


def test_a_revision_is_a_name_or_a_commit(tmp_path: Path) -> None:
    place = cached(tmp_path, "Qwen/Qwen3-0.6B")
    assert snapshot("Qwen/Qwen3-0.6B", "main", tmp_path) == place
    assert snapshot("Qwen/Qwen3-0.6B", COMMIT, tmp_path) == place
    for other in ("v2", "", "..", "../snapshots"):
        assert snapshot("Qwen/Qwen3-0.6B", other, tmp_path) is None


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"HF_HUB_CACHE": "/a", "HF_HOME": "/b"}, "/a"),
        ({"HF_HOME": "/b", "XDG_CACHE_HOME": "/c"}, "/b/hub"),
        ({"XDG_CACHE_HOME": "/c"}, "/c/huggingface/hub"),
        ({"HOME": "/d"}, "~/.cache/huggingface/hub"),
    ],
)
def test_the_cache_is_where_the_library_has_it(environment: dict[str, str], folder: str) -> None:
    assert cache_folder(environment) == Path(folder).expanduser()
