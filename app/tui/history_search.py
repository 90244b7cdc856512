"""The incremental search in the earlier prompts, as a shell has it."""

from __future__ import annotations

from qwen3_chat.app.chat.prompt_history import PromptHistory


class HistorySearch:
    """One search: what is looked for, and where in the history it has come to."""

    def __init__(self, history: PromptHistory, draft: str) -> None:
        """`draft` is what was being written when the search began."""
        self.draft = draft
        self._history = history
        self._query = ""
        self._place: int | None = None  # of what was found
        self._failed = False

    @property
    def text(self) -> str:
        """What was found last; before anything was, the draft."""
        return self.draft if self._place is None else self._history.prompts[self._place]

    @property
    def words(self) -> str:
        """The search as a line for the person."""
        return f"search: {self._query}" + ("  (nothing older)" if self._failed else "")

    def type(self, text: str) -> str:
        """Look for more; stays where it is if that fits, too. All methods return `text`."""
        self._query += text
        return self._look(None if self._place is None else self._place + 1)

    def rub_out(self) -> str:
        """Look for less, from the newest on."""
        self._query = self._query[:-1]
        self._place = None
        return self._look(None) if self._query else self.text

    def older(self) -> str:
        """The one before that fits."""
        return self._look(self._place)

    def newer(self) -> str:
        """Back to the one after that fits."""
        if self._place is not None:
            prompts, wanted = self._history.prompts, self._query.casefold()
            later = range(self._place + 1, len(prompts))
            self._place = next((at for at in later if wanted in prompts[at].casefold()), self._place)
            self._failed = False
        return self.text

    def _look(self, before: int | None) -> str:
        found = self._history.find(self._query, before)
        self._failed = found is None
        self._place = self._place if found is None else found
        return self.text
