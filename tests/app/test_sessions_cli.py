"""`qwen3-chat sessions` in processes of its own, beside chats that one shot and line mode have saved."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest
from chats import talk
from processes import run, scripted_command

from qwen3_chat.app.chat.history import History, Store


@pytest.fixture
def ids() -> list[str]:
    """Two saved chats, the older one first."""
    made = []
    with History(Store()) as history:
        for talked in (talk("Why pairs?", "A *rotation*."), talk("什么是旋转编码？", "旋转。")):
            history.save(talked)
            assert history.current is not None
            made.append(history.current.chat_id)
    return made


def sessions(*arguments: str, stdin: bytes = b"") -> str:
    done = run("sessions", *arguments, stdin=stdin)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_list(ids: list[str]) -> None:
    lines = sessions("list").splitlines()
    assert [line.split()[0] for line in lines] == [ids[1][:8], ids[0][:8]]
    assert lines[1].endswith("2 messages  Why pairs?")
    assert len(sessions("list", "-n", "1").splitlines()) == 1
    listed = json.loads(sessions("list", "--json"))
    assert [chat["id"] for chat in listed] == [ids[1], ids[0]]
    assert set(listed[0]) == {"id", "title", "titled_by", "system", "model", "created", "updated", "messages"}


def test_no_chats() -> None:
    assert sessions("list") == ""
    assert json.loads(sessions("list", "--json")) == []
    assert sessions("search", "anything") == ""


def test_show(ids: list[str]) -> None:
    assert "## You\n\nWhy pairs?\n\n## Assistant\n\nA *rotation*.\n" in sessions("show", ids[0][:6])
    assert json.loads(sessions("show", ids[0], "--json"))["id"] == ids[0]


def test_search(ids: list[str]) -> None:
    assert sessions("search", "rotat").splitlines()[1].strip() == "A *rotation*."
    (hit,) = json.loads(sessions("search", "旋转", "--json"))
    assert (hit["id"], hit["snippet"]) in [(ids[1], "旋转。"), (ids[1], "什么是旋转编码？")]


def test_export_and_import(ids: list[str], tmp_path: Path) -> None:
    file = tmp_path / "chat.json"
    assert sessions("export", ids[0], "-o", str(file)) == ""
    assert sessions("export", ids[0], "--format", "json") == file.read_text()
    assert sessions("export", ids[0]).startswith("# Why pairs?\n")
    assert sessions("export", ids[0], "--format", "html").startswith("<!DOCTYPE html>")
    assert sessions("import", str(file)).split()[0] != ids[0][:8]  # there already: a copy
    sessions("rm", ids[0])
    assert sessions("import", "-", stdin=file.read_bytes()).split()[0] == ids[0][:8]
    assert [chat["title"] for chat in json.loads(sessions("list", "--json"))].count("Why pairs?") == 2


def test_remove(ids: list[str]) -> None:
    sessions("rm", ids[0][:8], ids[0], ids[1][:10])
    assert sessions("list") == ""


@pytest.mark.parametrize(
    ("arguments", "code", "names"),
    [
        ((), 2, "COMMAND"),
        (("lst",), 2, "lst"),
        (("show",), 2, "ID"),
        (("show", "zz"), 2, "begins with 'zz'; there is"),
        (("rm", "zz"), 2, "ID"),
        (("list", "-n", "0"), 2, "-n"),
        (("export", "zz", "--format", "pdf"), 2, "--format"),
        (("import", "/no/such/file"), 1, "/no/such/file: No such file or directory"),
    ],
)
def test_wrong_usage_is_one_line(ids: list[str], arguments: tuple[str, ...], code: int, names: str) -> None:
    done = run("sessions", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.count("\n") == 1
    assert names in done.stderr


def test_what_is_no_chat_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"\xff")
    (tmp_path / "b.json").write_text("{}")
    for name, what in (("a.json", "not UTF-8 text"), ("b.json", "no chat of qwen3-chat")):
        done = run("sessions", "import", str(tmp_path / name))
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert what in done.stderr


def test_an_ambiguous_id_names_its_candidates(ids: list[str]) -> None:
    done = run("sessions", "show", "")
    assert done.returncode == 2
    assert ids[0][:8] in done.stderr
    assert ids[1][:8] in done.stderr


def test_a_chat_that_is_open_cannot_be_removed() -> None:
    with History(Store()) as history:
        history.save(talk("Hi"))
        assert history.current is not None
        done = run("sessions", "rm", history.current.chat_id)
        assert (done.returncode, done.stdout) == (2, "")
        assert "open in another window" in done.stderr
        assert sessions("list").endswith("Hi  open in a window\n")


def test_a_damaged_database_is_one_line(data_home: Path) -> None:
    (data_home / "qwen3-chat").mkdir()
    (data_home / "qwen3-chat" / "chats.db").write_bytes(b"no database" * 100)
    done = run("sessions", "list")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "not a database" in done.stderr


def test_a_reader_that_leaves_is_no_error(ids: list[str]) -> None:
    done = run(command=("sh", "-c", f"{sys.executable} -c 'from qwen3_chat.app.cli import main; import sys; "
                        "sys.exit(main())' sessions show " + ids[0] + " | true"))  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_a_chat_goes_on_from_the_command_line(chat_checkpoint: Path) -> None:
    """One shot, then -c and -r: each sees what was said before, and all of it is one chat."""
    model = ("--model", str(chat_checkpoint))
    first = run(*model, "-p", "Remember 7", "--format", "json", command=scripted_command("'Yes.'"))
    chat = json.loads(first.stdout)["chat"]
    for flags in (("-c",), ("-r", chat[:6])):
        done = run(*model, *flags, "-p", "And?", "--format", "json", command=scripted_command("'Again.'"))
        assert (done.returncode, done.stderr) == (0, "")
        record = json.loads(done.stdout)
        assert record["chat"] == chat
        assert record["prompt_tokens"] > json.loads(first.stdout)["prompt_tokens"] + len("Remember 7")
    done = run(*model, "-c", "-p", "No.", "--no-save", command=scripted_command("'Unsaved.'"))
    assert (done.returncode, done.stdout) == (0, "Unsaved.\n")
    (listed,) = json.loads(sessions("list", "--json"))
    assert (listed["messages"], listed["title"], listed["model"]) == (6, "Remember 7", "scripted")


def test_a_reader_that_leaves_keeps_what_was_said(chat_checkpoint: Path) -> None:
    command = shlex.join([*scripted_command("'many words ' * 50_000"), "--model", str(chat_checkpoint), "-p", "Hi"])
    done = run(command=("sh", "-c", f"{command} | head -c 4"))
    assert (done.stdout, done.stderr) == ("many", "")
    with Store() as store:
        question, reply = store.load(store.chats()[0].id).conversation.path()
    assert (question.content, reply.state) == ("Hi", "stopped")
    assert reply.content.startswith("many")  # at least what the reader has had


def test_line_mode_goes_on_as_well(chat_checkpoint: Path) -> None:
    model = ("--model", str(chat_checkpoint))
    run(*model, stdin=b"Hi\n", command=scripted_command("'Hello.'"))
    done = run(*model, "-c", stdin=b"And?\n", command=scripted_command("'Again.'"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "Going on with a chat of 2 messages. The last ones were:\nYou: Hi\nAssistant: Hello.\n"
        "You: And?\nAssistant: Again.\nYou: \n"
    )
    (listed,) = json.loads(sessions("list", "--json"))
    assert listed["messages"] == 4


@pytest.mark.parametrize("arguments", [("-c",), ("-r", "abc"), ("-p", "Hi", "-c")])
def test_a_chat_that_is_not_there_is_wrong_usage(chat_checkpoint: Path, arguments: tuple[str, ...]) -> None:
    done = run("--model", str(chat_checkpoint), *arguments, command=scripted_command("'Hello.'"))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert f"argument {'-r' if '-r' in arguments else '-c'}: there is no saved chat" in done.stderr


def test_a_chat_that_cannot_be_saved_is_answered_all_the_same(chat_checkpoint: Path, data_home: Path) -> None:
    (data_home / "qwen3-chat").mkdir()
    (data_home / "qwen3-chat" / "chats.db").write_bytes(b"no database" * 100)
    for arguments, stdin in (("-p Hi", b""), ("--plain", b"Hi\n")):
        done = run(
            "--model", str(chat_checkpoint), *arguments.split(), stdin=stdin, command=scripted_command("'Hello.'")
        )
        assert done.returncode == 0
        assert "Hello.\n" in done.stdout
        assert done.stderr.count("\n") == 1
        assert "not a database" in done.stderr
        assert "this chat is not saved" in done.stderr
