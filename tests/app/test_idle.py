"""While nobody waits, the visible conversation is read ahead."""

from __future__ import annotations

from scripted import Scripted, scripted

from qwen3_chat.app.chat.conversation import Conversation
from qwen3_chat.app.chat.idle import IdlePrefill
from qwen3_chat.app.chat.options import SamplingOptions
from qwen3_chat.app.chat.turn import Turn


def talk(scene: Scripted) -> Conversation:
    conversation = Conversation("Be brief.")
    conversation.add_user("Hi")
    for _ in Turn.start(scene.model, conversation, None, SamplingOptions(), None):
        pass
    return conversation


def test_the_next_turn_finds_all_but_its_own_words_in_the_cache() -> None:
    scene = scripted("<think>\nHm.\n</think>\n\nHello", "Bye")
    conversation, cache = talk(scene), scene.model.new_cache()
    idle = IdlePrefill(scene.model, conversation, cache, None)
    assert not idle.done
    idle.cancel()
    assert idle.done
    conversation.add_user("And?")
    turn = Turn.start(scene.model, conversation, cache, SamplingOptions(), None)
    for _ in turn:
        pass
    assert turn.message.stats is not None
    assert scene.tokenizer.decode(turn.prompt_ids[turn.message.stats.reused_tokens :]) == "user\nAnd?\nassistant\n"


def test_nothing_is_read_where_there_is_nothing_or_no_room() -> None:
    scene = scripted()
    idle = IdlePrefill(scene.model, Conversation(), scene.model.new_cache(), None)
    assert idle.done
    idle.cancel()
    full = scripted("Hello", context=45)
    assert IdlePrefill(full.model, talk(full), full.model.new_cache(), None).done
    assert scene.engine.background == full.engine.background == []
