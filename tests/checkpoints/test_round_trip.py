"""What is loaded and written again is, to transformers, the checkpoint that it was."""

import shutil

import numpy as np
import pytest
from parity import FAMILIES, GOLDENS, golden, their_logits, their_model

from vlmcog.checkpoints import hugging_face
from vlmcog.checkpoints.__main__ import main


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


@pytest.mark.slow
def test_transformers_makes_the_same_processor_of_what_is_converted(tmp_path):
    transformers, tokenizers = pytest.importorskip("transformers"), pytest.importorskip("tokenizers")
    words = {word: index for index, word in enumerate(("<unk>", "</s>", "will", "it", "fall", "yes"))}
    tokens = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<unk>"))
    tokens.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    theirs = transformers.SiglipProcessor(
        transformers.SiglipImageProcessorPil(size={"height": 24, "width": 24}),
        transformers.PreTrainedTokenizerFast(tokenizer_object=tokens, pad_token="</s>", eos_token="</s>"),
    )
    theirs.save_pretrained(tmp_path / "public")
    for name in ("config.json", "model.safetensors"):
        shutil.copy(GOLDENS / "siglip" / name, tmp_path / "public")
    main(["convert", str(tmp_path / "public"), str(tmp_path / "run"), "--to", "orbax"])
    main(["convert", str(tmp_path / "run"), str(tmp_path / "out"), "--to", "huggingface"])
    image = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    before, after = (
        processor(text="will it fall yes", images=image, return_tensors="np")
        for processor in (theirs, transformers.AutoProcessor.from_pretrained(tmp_path / "out"))
    )
    assert before.keys() == after.keys()
    for key, value in before.items():
        np.testing.assert_array_equal(after[key], value)
