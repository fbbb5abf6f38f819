"""From a model's answers to metrics: accuracy, transfer and alignment with people."""
