"""Models by the name they have on the Hugging Face hub: in its cache, or downloaded because somebody asked for one."""
