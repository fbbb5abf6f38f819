"""What is loaded and written again is, to transformers, the checkpoint that it was."""

import pytest
from parity import FAMILIES, golden, their_logits, their_model

from vlmcog.checkpoints import hugging_face


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_transformers_makes_the_same_logits_of_what_is_saved(name, tmp_path):
    made = golden(FAMILIES[name], name=name)
    hugging_face.save(tmp_path, made.model.hugging_face, made.params)
    original, saved = (their_model(name, folder) for folder in (made.folder, tmp_path))
    weights = original.state_dict(), saved.state_dict()
    assert weights[0].keys() == weights[1].keys()
    assert all((tensor == weights[1][key]).all() for key, tensor in weights[0].items())
    before, after = (their_logits(name, model, made.arrays) for model in (original, saved))
    assert after.tobytes() == before.tobytes()
    assert abs(before).max() > 0.1
