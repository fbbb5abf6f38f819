"""Agreement, intervals and ceilings of answers over items and people; knows nothing of models or files."""
