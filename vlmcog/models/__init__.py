"""Vision-language models behind one boundary."""
