"""Stimuli, questions, truths and human judgments as TFDS datasets in one feature layout."""
