"""The page that shows the answer: `python -m vlmcog.report --workdir DIR`."""
