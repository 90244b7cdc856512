"""From text to terminal strips: cleaning, line breaking, Markdown, colours. No widget lives here."""
