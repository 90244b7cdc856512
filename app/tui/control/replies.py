"""What is done to a reply and to its place in the tree: again, on, other versions, branches, left out, summed up."""

from __future__ import annotations

from qwen3_chat.app.chat.conversation import Message
from qwen3_chat.app.chat.summary import NothingToSummarise
from qwen3_chat.app.tui.control.annotations import annotate
from qwen3_chat.app.tui.control.part import Part
from qwen3_chat.app.tui.widgets.note import Note
from qwen3_chat.models.errors import Qwen3Error

_STILL = "the reply is still being written"


class Replies(Part):
    """Each is about the message under the cursor, or else about the newest one.

    Asking for another reply while one is being written stops that one first: two never run side by side.
    """

    def action_turn_regenerate(self) -> None:
        """Another reply in the place of this one, or to this question."""
        if (message := self.chat.messages.about()) is not None:
            if message.role == "summary":
                self.chat.say("/uncompact takes it back, then /compact makes a new one")
            else:
                self.chat.sending.at_once(lambda: self._answer_anew(message))

    async def _answer_anew(self, message: Message) -> None:
        await self.chat.following.follow(self.session.reply(self.session.conversation.regenerate(message.id)))

    def action_turn_continue(self) -> None:
        """Go on where the reply ended, from its very tokens."""
        message = self.chat.messages.about()
        if message is None:
            return
        if message.role != "assistant":
            self.chat.say("only a reply can go on")
        elif message.state == "streaming":
            self.chat.say(_STILL)
        else:
            self.chat.sending.at_once(lambda: self._go_on(message))

    async def _go_on(self, message: Message) -> None:
        await self.chat.following.follow(self.session.reply(self.session.conversation.continue_(message.id)))

    def action_message_edit(self) -> None:
        """The prompt becomes the editor."""
        message = self.chat.messages.about()
        if message is None:
            return
        if message.state == "streaming":
            self.chat.say(_STILL)
        else:
            self.chat.sending.begin_edit(message)

    async def action_message_branch(self) -> None:
        """The next message goes on from here; what follows stays as another version. A question is asked anew."""
        message = self.chat.messages.about()
        if message is None or self._refuse_while_writing():
            return
        self.session.conversation.branch(message.parent if message.role == "user" else message.id)
        await self._path_changed()
        self.chat.set_focus(self.prompt.area)
        self.chat.say(f"a new branch: the next message starts it; {self._versions} on a message show its versions", 6.0)

    async def action_message_newer(self) -> None:
        """The next version."""
        await self._switch(1)

    async def action_message_older(self) -> None:
        """The version before."""
        await self._switch(-1)

    @property
    def _versions(self) -> str:
        return f"{self.chat.keymap.shown('message.older')} and {self.chat.keymap.shown('message.newer')}"

    async def _switch(self, step: int) -> None:
        message = self.chat.messages.about()
        if message is None:
            return
        if len(self.session.conversation.siblings(message.id)) == 1:
            edit, again = self.chat.keymap.shown("message.edit"), self.chat.keymap.shown("turn.regenerate")
            self.chat.say(f"there is only this version; {edit} edits it, {again} answers anew")
        elif not self._refuse_while_writing():
            selected = self.session.conversation.sibling(message.id, step)
            await self._path_changed()
            self.chat.messages.go_to(selected)

    async def action_message_drop(self) -> None:
        """Leave it out of what is sent, or take it in again."""
        message = self.chat.messages.about()
        if message is None:
            return
        if message.state == "streaming":
            self.chat.say(_STILL)
            return
        self.session.conversation.toggle_dropped(message.id)
        self._sent_changed()

    # The summary

    def action_chat_compact(self) -> None:
        """Let the model sum up the older messages, as soon as it is free."""
        if self.session.busy:
            self.chat.say("first comes the reply that is being written, then the summary")
        self.chat.sending.after_reply(self._sum_up)

    async def _sum_up(self) -> None:
        try:
            turn = self.session.summarise()
        except NothingToSummarise as error:
            self.chat.say(str(error), 6.0)
            self.chat.sending.take_back_all()  # what was to be sent behind it does not fit
            return
        except Qwen3Error as error:
            await self.transcript.add(Note("error", "The summary was not made", str(error)))
            self.chat.sending.take_back_all()
            return
        await self.chat.following.follow(turn)

    def action_chat_uncompact(self) -> None:
        """Send the older messages again."""
        sent = self.session.conversation.sent()
        if sent and sent[0].role == "summary":
            self.session.conversation.toggle_dropped(sent[0].id)
            self._sent_changed()
            self.chat.say("the summary is taken back: the older messages are sent again")
        else:
            self.chat.say("there is no summary to take back")

    def _refuse_while_writing(self) -> bool:
        """Changing the path under a reply would take it out of sight."""
        if self.session.busy:
            self.chat.say(f"{_STILL}; stop it first")
        return self.session.busy

    async def _path_changed(self) -> None:
        await self.chat.show_path()
        self.session.rest()
        self.chat.sending.measure()

    def _sent_changed(self) -> None:
        for entry in self.transcript.entries:
            entry.changed()
        annotate(self.transcript, self.session.conversation)
        self.session.rest()
        self.chat.sending.measure()
