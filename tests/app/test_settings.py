"""Which value of a setting holds, and how the command ends when one cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from qwen3_chat.app import tui
from qwen3_chat.app.chat.errors import SettingsError
from qwen3_chat.app.chat.folders import folder, make_private
from qwen3_chat.app.chat.options import ChatOptions
from qwen3_chat.app.cli import USAGE, exit_code
from qwen3_chat.app.flags import build_parser, chat_options, settings
from qwen3_chat.app.settings.config_file import Config, config_file
from qwen3_chat.app.settings.resolve import Settings, resolve
from qwen3_chat.app.settings.schema import BY_NAME, SETTINGS

PROFILES = '[sampling]\ntemperature = 0.5\ntop-k = 5\n\n[profile.calm]\ntemperature = 0.1\nweights = "int8"\n'


def config(text: str) -> Config:
    return Config.parse(text, Path("config.toml"))


def test_each_source_gives_way_to_the_one_before_it() -> None:
    file = config(PROFILES)
    held = resolve({}, {}, file)
    assert (held.value("temperature"), held.held["temperature"].origin) == (0.5, "config.toml:2")
    held = resolve({}, {}, file, "calm")
    assert (held.value("temperature"), held.held["temperature"].origin) == (0.1, "profile calm, config.toml:6")
    assert (held.value("top-k"), held.value("weights"), held.profile) == (5, "int8", "calm")
    variables = {"QWEN3_CHAT_TEMPERATURE": "0.2", "QWEN3_CHAT_PROFILE": "calm", "QWEN3_CHAT_SEED": ""}
    held = resolve({}, variables, file)
    assert (held.value("temperature"), held.held["temperature"].origin) == (0.2, "QWEN3_CHAT_TEMPERATURE")
    assert (held.value("weights"), held.value("seed")) == ("int8", None)
    held = resolve({"temperature": 0.0, "think": False}, variables, file)
    assert (held.value("temperature"), held.held["temperature"].origin) == (0.0, "--temperature")
    assert (held.value("think"), held.held["think"].origin) == (False, "--no-think")


def test_without_a_word_the_defaults_hold() -> None:
    held = resolve({}, {}, config(""))
    assert {name: one.value for name, one in held.held.items()} == {one.name: one.default for one in SETTINGS}
    assert held.held == Settings().held


def test_the_file_can_choose_a_profile() -> None:
    text = PROFILES + '[profile]\ndefault = "calm"\n'
    assert resolve({}, {}, config(text)).value("temperature") == 0.1
    assert resolve({}, {}, config(text + "[profile.wild]\ntemperature = 2\n"), "wild").value("temperature") == 2.0


def test_every_setting_has_a_flag_a_variable_and_a_place_in_the_file() -> None:
    parser = build_parser()
    flags = parser._option_string_actions
    for setting in SETTINGS:
        assert setting.flag in flags
        assert setting.variable == f"QWEN3_CHAT_{setting.name.upper().replace('-', '_')}"
    text = (
        '[chat]\nmodel = "m"\nsystem = "s"\nthink = true\nsave = false\n'
        "[sampling]\ntemperature = 1\ntop-p = 0.5\ntop-k = 1\nmin-p = 0\npresence-penalty = 1\n"
        "repetition-penalty = 1.5\nseed = 1\nmax-tokens = 1\nthinking-budget = 0\n"
        '[engine]\ncontext = 64\nweights = "int8"\nkv = "f32"\ndevices = "cpu:0"\nthreads = 1\n'
        '[screen]\nplain = true\ntheme = "light"\nascii = true\nmotion = false\nnotify = true\nnotify-after = 3\n'
    )
    held = resolve({}, {}, config(text))
    assert set(config(text).values) == set(BY_NAME)
    variables = {one.variable: str(held.value(one.name)) for one in SETTINGS}
    again = resolve({}, variables, config(""))
    assert {name: one.value for name, one in again.held.items()} == {name: one.value for name, one in held.held.items()}


def test_file_and_environment_reach_the_options(monkeypatch: pytest.MonkeyPatch) -> None:
    path = config_file()
    path.parent.mkdir(parents=True)
    path.write_text('[chat]\nmodel = "m"\nthink = false\nsave = false\n[engine]\nweights = "int8"\n')
    monkeypatch.setenv("QWEN3_CHAT_TOP_K", "7")
    flags = build_parser().parse_args(["--save", "--weights", "int4"])
    options = chat_options(flags, settings(flags))
    assert (options.model, options.is_demo, options.thinking, options.save) == (Path("m"), False, False, True)
    assert (options.engine.weights, options.sampling.top_k) == ("int4", 7)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[keys\n", "config.toml: is not valid TOML"),
        ("[kyes]\n", "config.toml:1: 'kyes' is not known (did you mean \"keys\"?); what can stand there: [chat]"),
        ("keys = 3\n", "config.toml:1: keys: expected a table [keys]"),
        ("top-p = 0.5\n", "config.toml:1: 'top-p' belongs below [sampling]"),
        ("\n[sampling]\ntop_p = 1\n", 'config.toml:3: [sampling] top_p: there is no such setting (did you mean'),
        ("[sampling]\nweights = 'int8'\n", "config.toml:2: [sampling] weights: belongs below [engine]"),
        ("[sampling]\ntop-p = 2\n", "config.toml:2: [sampling] top-p: expected a number above 0 and up to 1, not 2"),
        ("[sampling]\ntop-k = 1.5\n", "expected a whole number from 0 to 2147483647, not 1.5"),
        ("[sampling]\ntop-k = true\n", "expected a whole number from 0 to 2147483647, not true"),
        ("[sampling]\ntemperature = 'warm'\n", "expected a number from 0 to 10, not 'warm'"),
        ("[sampling]\ntemperature = nan\n", "expected a number from 0 to 10, not nan"),
        ("[chat]\nthink = 'yes'\n", "expected true or false, not 'yes'"),
        ("[chat]\nmodel = 3\n", "expected a path in quotes, not 3"),
        ("[chat]\nsystem = 3\n", "expected a text in quotes, not 3"),
        ("[engine]\nweights = 'int3'\n", "expected one of auto, f32, f16, bf16, int8, int4, not 'int3'"),
        ("[engine]\ndevices = 'gpu'\n", "expected auto, or names such as cpu:0,cpu:1, not 'gpu'"),
        ("[engine]\ndevices = 0\n", "expected \"auto\", or names such as \"cpu:0,cpu:1\", not 0"),
        ("[models]\nfast = 3\n", "config.toml:2: [models] fast: expected the path of a checkpoint folder"),
        ("[profile]\ncalm = 3\n", "config.toml:2: profile.calm: expected a table [profile.calm]"),
        ("[profile.calm]\ntemprature = 3\n", "config.toml:2: [profile.calm] temprature: there is no such setting"),
        ("[profile]\ndefault = 'clam'\n[profile.calm]\n", "config.toml:2: [profile] default: no profile 'clam'"),
    ],
)  # fmt: skip
def test_what_cannot_stand_in_the_file_is_said_with_its_line(text: str, said: str) -> None:
    with pytest.raises(SettingsError) as raised:
        config(text)
    assert said in str(raised.value)
    assert str(raised.value).startswith("config.toml:")


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"QWEN3_CHAT_TOP_P": "2"}, "QWEN3_CHAT_TOP_P in the environment: expected a number above 0 and up to 1"),
        ({"QWEN3_CHAT_THINK": "maybe"}, "QWEN3_CHAT_THINK in the environment: expected on or off, not 'maybe'"),
        ({"QWEN3_CHAT_TEMPRATURE": "1"}, 'did you mean "QWEN3_CHAT_TEMPERATURE"?'),
        ({"QWEN3_CHAT_PROFILE": "clam"}, "QWEN3_CHAT_PROFILE in the environment: there is no profile 'clam'"),
    ],
)
def test_a_wrong_variable_is_named(variables: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError) as raised:
        resolve({}, variables, config(PROFILES))
    assert said in str(raised.value)


def test_a_profile_that_is_not_there_is_named_with_its_flag() -> None:
    with pytest.raises(SettingsError, match=r"--profile: there is no profile 'clam' \(did you mean \"calm\"\?\)"):
        resolve({}, {}, config(PROFILES), "clam")


def test_no_file_says_nothing(tmp_path: Path) -> None:
    assert Config.load(tmp_path / "none.toml") == Config(tmp_path / "none.toml")


def test_dots_in_names_need_no_quotes() -> None:
    text = '[keys]\nturn.stop = "f5"\n"chat.new" = ["f6", "f7"]\n'
    assert config(text).keys == {"turn.stop": ("f5",), "chat.new": ("f6", "f7")}


def test_models_are_paths_from_the_files_folder(tmp_path: Path) -> None:
    made = Config.parse('[models]\nnear = "m"\nfar = "/a/m"\nhome = "~/m"\n', tmp_path / "config.toml")
    assert made.models == {"near": tmp_path / "m", "far": Path("/a/m"), "home": Path.home() / "m"}


def test_what_cannot_be_read_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="is not UTF-8 text") as raised:
        Config.load(file)
    assert str(raised.value).startswith(f"{file}: ")
    with pytest.raises(SettingsError, match="cannot be read"):
        Config.load(tmp_path)


def test_the_window_does_not_open_on_wrong_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    file = tmp_path / "qwen3-chat" / "config.toml"
    file.parent.mkdir()
    file.write_text('[keys]\n"turn.stop" = "ctrl+m"\n')
    assert config_file() == file
    with pytest.raises(SettingsError, match=r"turn\.stop") as raised:
        tui.run(ChatOptions(model=tmp_path), Settings(config=Config.load()))
    assert exit_code(raised.value) == USAGE


def test_folders_follow_the_environment(tmp_path: Path) -> None:
    assert folder("state", {"XDG_STATE_HOME": str(tmp_path)}) == tmp_path / "qwen3-chat"
    for ignored in ({}, {"XDG_STATE_HOME": ""}, {"XDG_STATE_HOME": "relative"}):
        assert folder("state", ignored) == Path.home() / ".local" / "state" / "qwen3-chat"


def test_a_private_folder_is_the_persons_alone(tmp_path: Path) -> None:
    wanted = tmp_path / "a" / "b"
    make_private(wanted)
    make_private(wanted)
    assert wanted.stat().st_mode & 0o777 == 0o700
