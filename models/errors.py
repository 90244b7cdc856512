"""The errors a person can meet, each worded for them: what was read, what was expected, in which file or field."""


class Qwen3Error(Exception):
    """Base of every error this package raises on bad input."""


class ConfigError(Qwen3Error):
    """config.json or generation_config.json is missing, malformed, contradictory, or asks for what is not supported."""


class CheckpointError(Qwen3Error):
    """A checkpoint's folder, weights or tokenizer are missing, damaged, or do not fit its configuration."""


class TemplateError(Qwen3Error):
    """A chat template does not compile, refuses the messages, leaves the sandbox or exceeds its bounds."""
