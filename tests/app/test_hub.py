"""Models of the hub: how they are named, what of them is downloaded, what can go wrong. The hub is on this machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from checkpoints import make_checkpoint
from hub_server import Hub, Repository, serve

from qwen3_chat.app.chat.errors import HubError
from qwen3_chat.app.chat.hub import HubName, fetch, find, obtain
from qwen3_chat.app.chat.hub.download import Download, Step
from qwen3_chat.app.chat.hub.name import parse
from qwen3_chat.app.chat.model import ChatModel
from qwen3_chat.engine import Cancelled
from qwen3_chat.models.checkpoint import Checkpoint

NAME = "someone/Qwen3-Tiny"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Qwen/Qwen3-0.6B", HubName("Qwen/Qwen3-0.6B")),
        ("Qwen/Qwen3-0.6B@v1.0", HubName("Qwen/Qwen3-0.6B", "v1.0")),
        ("o/n:a-Q8_0.gguf", HubName("o/n", file="a-Q8_0.gguf")),
        ("o/n/sub/a-00001-of-00002.gguf@refs/pr/1", HubName("o/n", "refs/pr/1", "sub/a-00001-of-00002.gguf")),
        ("o/n@dev:a.gguf", HubName("o/n", "dev", "a.gguf")),
        *((text, None) for text in ("name", "/a/b", "a/b/", "a//b", "./a/b", "../b", "~/b", "a/b/c", "a/b@", "a/..")),
        *((text, None) for text in ("a/b:../c.gguf", "a/b/./c.gguf", "a/b:c.bin", "a--b/c", "a/b@c:d.gguf@e", "-a/b")),
    ],
)
def test_names(text: str, name: HubName | None) -> None:
    assert parse(text) == name
    if name is not None and "@refs" not in text:
        assert parse(str(name)) == name


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "hub cache"
    monkeypatch.setenv("HF_HUB_CACHE", str(folder))
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "no token"))
    monkeypatch.setattr(fetch, "PAUSE_S", 0.0)
    return folder


@pytest.fixture
def hub(cache: Path, chat_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with one small model."""
    repository = Repository.of(chat_checkpoint, revisions=("main", "v1"))
    repository.files |= {"README.md": b"# hi", "modeling.py": b"import os", "pytorch_model.bin": b"\x80\x04pickle"}
    with serve({NAME: repository}) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running


def test_a_path_that_is_there_comes_before_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hub: Hub) -> None:
    monkeypatch.chdir(tmp_path)
    assert find(NAME) == HubName(NAME)
    (tmp_path / NAME).mkdir(parents=True)
    assert find(NAME) == Path(NAME)
    assert hub.asked == []


def test_a_model_is_downloaded_once_and_only_what_is_read_of_it(hub: Hub, cache: Path, chat_checkpoint: Path) -> None:
    steps: list[Step] = []
    path = obtain(HubName(NAME), lambda step: steps.append(step))
    assert path == cache / f"models--{NAME.replace('/', '--')}/snapshots/{'c' * 40}"
    assert sorted(file.name for file in path.iterdir()) == sorted(file.name for file in chat_checkpoint.iterdir())
    assert (path / "model.safetensors").read_bytes() == (chat_checkpoint / "model.safetensors").read_bytes()
    with ChatModel.load(path) as model:
        assert model.name == "Qwen3-Tiny"
    # What has come is never less than before, and in the end all of it; the configuration came with the question.
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert steps[-1].done == steps[-1].total
    asked = len(hub.asked)
    assert find(NAME) == path
    assert find(f"{NAME}@{'c' * 40}") == path
    assert len(hub.asked) == asked


def test_a_cut_line_is_taken_up_again(hub: Hub) -> None:
    hub.repositories[NAME].cut_after = [100, 1000, 5]
    assert (obtain(HubName(NAME)) / "model.safetensors").is_file()
    begun = [int(asked.removeprefix("bytes=").rstrip("-")) for asked in hub.ranges if asked]
    assert len(begun) == 3
    assert begun[0] == 100


def test_a_download_goes_on_in_another_run(hub: Hub, cache: Path, chat_checkpoint: Path) -> None:
    """Both after a line that stays dead and after somebody has cancelled."""
    size = (chat_checkpoint / "tokenizer.json").stat().st_size
    hub.repositories[NAME].cut_after = [size // 2, *([0] * (fetch.ATTEMPTS + 1))]
    with pytest.raises(HubError, match="cannot be reached"):
        obtain(HubName(NAME))
    hub.repositories[NAME].cut_after = []
    assert isinstance(find(NAME), HubName)
    again = Download.of(HubName(NAME))
    whole = sum(file.size for file in again.files)
    assert again.missing <= whole - size // 2
    with pytest.raises(Cancelled, match="goes on from there"):
        again.run(lambda step: step.done < step.total // 2)
    hub.ranges.clear()
    last = Download.of(HubName(NAME))
    assert last.missing < again.missing
    assert find(NAME) == HubName(NAME)
    assert find(NAME) != last.run()
    assert any(hub.ranges)
    assert not list(cache.rglob("*.part"))
    assert (Path(str(find(NAME))) / "tokenizer.json").read_bytes() == (chat_checkpoint / "tokenizer.json").read_bytes()


def test_a_server_without_ranges_begins_anew(hub: Hub, chat_checkpoint: Path) -> None:
    hub.repositories[NAME].ranges = False
    hub.repositories[NAME].cut_after = [100]
    steps: list[Step] = []
    path = obtain(HubName(NAME), lambda step: steps.append(step))
    assert (path / "tokenizer.json").read_bytes() == (chat_checkpoint / "tokenizer.json").read_bytes()
    assert steps[-1].done == steps[-1].total


def test_damaged_bytes_are_not_kept(hub: Hub, cache: Path) -> None:
    hub.repositories[NAME].corrupt = True
    with pytest.raises(HubError, match="came damaged"):
        obtain(HubName(NAME))
    hub.repositories[NAME].corrupt = False
    Checkpoint.open(obtain(HubName(NAME))).close()


def test_shards_are_those_that_the_index_names(hub: Hub, tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "sharded", tokenizer=True, shards=2)
    repository = hub.repositories[NAME] = Repository.of(folder)
    repository.files["model-of-somebody-else.safetensors"] = b"x"
    path = obtain(HubName(NAME))
    assert sorted(file.name for file in path.iterdir()) == sorted(file.name for file in folder.iterdir())
    Checkpoint.open(path).close()
    (path / sorted(file.name for file in path.glob("*.safetensors"))[0]).unlink()
    assert find(NAME) == HubName(NAME)  # not whole any more


def test_a_gguf_file_and_its_splits(hub: Hub) -> None:
    files = {f"q/m-0000{n}-of-00002.gguf": b"GGUF%d" % n for n in (1, 2)} | {"m-Q8_0.gguf": b"GGUF"}
    hub.repositories[NAME] = Repository(files, architecture="qwen3")
    one = obtain(HubName(NAME, file="m-Q8_0.gguf"))
    assert one.read_bytes() == b"GGUF"
    assert hub.got("of-00002.gguf") == 0
    split = obtain(HubName(NAME, file="q/m-00002-of-00002.gguf"))
    assert [file.name for file in sorted(split.parent.iterdir())] == ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"]
    assert find(f"{NAME}:m-Q8_0.gguf") == one
    assert find(f"{NAME}/q/m-00001-of-00002.gguf") == split
    with pytest.raises(HubError, match=r"has no other\.gguf; it has m-Q8_0\.gguf"):
        obtain(HubName(NAME, file="other.gguf"))
    with pytest.raises(HubError, match=r"name one, as in someone/Qwen3-Tiny:m-Q8_0\.gguf"):
        obtain(HubName(NAME))
    hub.repositories[NAME].architecture = "llama"
    with pytest.raises(HubError, match="architecture llama, not a Qwen3"):
        Download.of(HubName(NAME, file="m-Q8_0.gguf"))


def test_a_revision(hub: Hub) -> None:
    path = obtain(HubName(NAME, "v1"))
    assert find(f"{NAME}@v1") == path
    assert find(NAME) == HubName(NAME)  # whether `main` is the same, only the hub knows
    with pytest.raises(HubError, match="has no revision 'v9'"):
        obtain(HubName(NAME, "v9"))


def bert(hub: Hub) -> None:
    files = hub.repositories[NAME].files
    files["config.json"] = json.dumps({**json.loads(files["config.json"]), "model_type": "bert"}).encode()
    files["config.json"] = files["config.json"].replace(b"Qwen3ForCausalLM", b"BertModel")


def without(name: str) -> Callable[[Hub], None]:
    return lambda hub: hub.repositories[NAME].files.pop(name) and None


def gated(hub: Hub) -> None:
    hub.repositories[NAME].gated = True


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda hub: hub.repositories.clear(), "has no such model, or not for you"),
        (gated, "agree on .*/someone/Qwen3-Tiny, then set HF_TOKEN"),
        (bert, "is not a Qwen3 model that can be opened"),
        (without("config.json"), "has no config.json"),
        (without("tokenizer.json"), "has no tokenizer.json"),
        (without("model.safetensors"), "never pickles"),
    ],
)
def test_what_cannot_be_had_is_said_before_anything_large_comes(
    hub: Hub, spoil: Callable[[Hub], None], said: str
) -> None:
    spoil(hub)
    with pytest.raises(HubError, match=said):
        Download.of(HubName(NAME))
    assert hub.got("model.safetensors") == 0


def test_a_token_opens_what_is_gated(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    gated(hub)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert obtain(HubName(NAME)).is_dir()
    assert hub.tokens == {"Bearer hf_secret"}


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_nothing_is_asked(variable: str, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "1")
    with pytest.raises(HubError, match=f"{variable} forbids"):
        obtain(HubName(NAME))
    assert hub.asked == []


def test_a_hub_that_is_not_there(hub: Hub) -> None:
    hub.shutdown()
    hub.server_close()
    with pytest.raises(HubError, match="cannot be reached"):
        obtain(HubName(NAME))


def test_a_disk_without_room_is_found_before(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10, 9, 1))  # type: ignore[attr-defined]
    with pytest.raises(HubError, match=r"needs 0\.0 GiB in .*set HF_HUB_CACHE"):
        obtain(HubName(NAME))
    assert hub.got("model.safetensors") == 0


def test_two_programs_do_not_write_one_file(hub: Hub) -> None:
    second: list[HubError] = []

    def meanwhile(step: Step) -> None:
        if not second and step.done:
            with pytest.raises(HubError) as raised:
                obtain(HubName(NAME))
            second.append(raised.value)

    obtain(HubName(NAME), meanwhile)
    assert "another program is downloading it" in str(second[0])


PROGRAM = """
import sys
from qwen3_chat.app.cli import main

code = main()
print("imported" if "huggingface_hub" in sys.modules else "not imported", file=sys.stderr)
sys.exit(code)
"""


def command(*arguments: str, hub: Hub, cache: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HUB_CACHE": str(cache)}
    program = "import sys; from qwen3_chat.app.cli import main; code = main(); "
    program += (
        "print('imported' if 'huggingface_hub' in sys.modules else 'not imported', file=sys.stderr); sys.exit(code)"
    )
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=120, env=environment
    )


def test_the_command_says_what_it_downloads_and_the_cache_needs_no_library(hub: Hub, cache: Path) -> None:
    flags = ("-p", "hi", "--no-save", "--max-tokens", "4", "--context", "512")
    first = command("--model", NAME, *flags, hub=hub, cache=cache)
    assert first.returncode == 0, first.stderr
    assert f"downloading {NAME} from {hub.url} to {cache}: " in first.stderr
    asked = len(hub.asked)
    second = command("--model", NAME, *flags, hub=hub, cache=cache)
    assert (second.returncode, second.stderr.strip(), len(hub.asked)) == (0, "not imported", asked)
    wrong = command("--model", "someone/nothing", *flags, hub=hub, cache=cache)
    assert wrong.returncode == 3
    assert "has no such model" in wrong.stderr
    assert wrong.stdout == ""
