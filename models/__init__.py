"""What a checkpoint is: configuration, weights, tokenizer and chat template of a Qwen3 folder."""
