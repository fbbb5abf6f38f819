"""The study: tune, test on the ladder, compare with people, over seeds; see `design.py`."""
