"""What a person sees: the command line, the line mode and the full screen."""
