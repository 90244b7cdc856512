"""File formats that weights come in, one module each."""
