"""Prompts as the reference processors of Hugging Face transformers write them, token by token."""

import numpy as np
import pytest

from vlmcog.models.config import ModelConfig
from vlmcog.models.images import CLIP
from vlmcog.models.registry import build
from vlmcog.tasks.registry import TASKS

pytestmark = pytest.mark.slow
IMAGE = np.random.default_rng(0).integers(0, 256, (40, 24, 3), dtype=np.uint8)
QUESTIONS = ("Will this block tower fall?", "How many red bricks would fall if the grey one were not there?")
GEMMA = ("<pad>", "<eos>", "<bos>", "<unk>")
LLAMA = ("<unk>", "<s>", "</s>")
QWEN = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


def _train(folder, special, **how):
    """A small byte-level tokenizer.json with line feeds by themselves, and its path."""
    tokenizers = pytest.importorskip("tokenizers")
    tokens = tokenizers.Tokenizer(tokenizers.models.BPE(**how))
    split = tokenizers.pre_tokenizers.Split("\n", "isolated")
    tokens.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [split, tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokens.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=400, special_tokens=list(special), initial_alphabet=alphabet)
    tokens.train_from_iterator([task.question for task in TASKS.values()], trainer)
    tokens.save(str(folder / "tokenizer.json"))
    return str(folder / "tokenizer.json")


def _theirs(path, pad, eos, bos, extra=(), **named):
    """The same tokenizer in transformers, with more tokens after its own, and what it calls some of them."""
    transformers, tokenizers = pytest.importorskip("transformers"), pytest.importorskip("tokenizers")
    tokens = tokenizers.Tokenizer.from_file(path)
    tokens.add_special_tokens(list(extra))
    special = {"pad_token": pad, "eos_token": eos, "bos_token": bos}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokens, **special, extra_special_tokens=named)


def _ours(family, path, **values):
    size = {"family": family, "size": "nano", "image_size": 32, "prefix_length": 60, "suffix_length": 8}
    return build(ModelConfig(**{**size, "vocabulary": path, **values}))


def _prefix(model, question):
    example = model.processor.prefix_example(IMAGE, question)
    return example["text"][example["mask_input"]].tolist()


@pytest.mark.parametrize("question", QUESTIONS)
def test_paligemma_s(question, tmp_path):
    transformers = pytest.importorskip("transformers")
    path = _train(tmp_path, GEMMA)
    model, tokens = _ours("paligemma", path), _theirs(path, "<pad>", "<eos>", "<bos>")
    images = transformers.SiglipImageProcessor(size={"height": 32, "width": 32})
    images.image_seq_length = 16
    theirs = transformers.PaliGemmaProcessor(images, tokens)
    wanted = theirs(text="<image>" + question, suffix="yes", images=IMAGE, return_tensors="np")
    n_image = (wanted["input_ids"][0] == theirs.image_token_id).sum()
    assert n_image == (32 // 8) ** 2
    example = model.processor.train_example(IMAGE, question, "yes")
    real = example["mask_input"]
    assert example["text"][real].tolist() == wanted["input_ids"][0, n_image:].tolist()
    assert example["mask_ar"][real].tolist() == wanted["token_type_ids"][0, n_image:].tolist()


@pytest.mark.parametrize("question", QUESTIONS)
def test_gemma_3_s(question, tmp_path):
    transformers = pytest.importorskip("transformers")
    path = _train(tmp_path, GEMMA)
    turns, image = ("<start_of_turn>", "<end_of_turn>"), ("<start_of_image>", "<end_of_image>", "<image_soft_token>")
    named = dict(zip(("boi_token", "eoi_token", "image_token"), image, strict=True))
    model = _ours("gemma3", path)
    tokens = _theirs(path, "<pad>", "<eos>", "<bos>", (*turns, *image), **named)
    theirs = transformers.Gemma3Processor(
        transformers.Gemma3ImageProcessor(size={"height": 32, "width": 32}), tokens, image_seq_length=4
    )
    chat = f"<bos><start_of_turn>user\n<start_of_image>{question}<end_of_turn>\n<start_of_turn>model\n"
    wanted = theirs(text=chat, images=IMAGE, add_special_tokens=False, return_tensors="np")["input_ids"][0]
    assert _prefix(model, question) == wanted.tolist()


@pytest.mark.parametrize("question", QUESTIONS)
def test_qwen_s(question, tmp_path):
    transformers = pytest.importorskip("transformers")
    path = _train(tmp_path, QWEN)
    model = _ours("qwen", path)
    marks = ("<|image_pad|>", "<|vision_start|>", "<|vision_end|>")
    tokens = _theirs(path, "<|endoftext|>", "<|im_end|>", "<|im_start|>", (*marks, "<|video_pad|>"))
    images = transformers.Qwen2VLImageProcessor(patch_size=4, size={"shortest_edge": 16**2, "longest_edge": 32**2})
    theirs = type("Stills", (transformers.Qwen2VLProcessor,), {"check_argument_for_proper_class": lambda *_: None})(
        images,
        tokens,
        object(),  # that of videos would need torchvision
    )
    before = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
    image = "<|vision_start|><|image_pad|><|vision_end|>"
    chat = f"{before}{image}{question}<|im_end|>\n<|im_start|>assistant\n"
    wanted = theirs(text=[chat], images=[IMAGE], return_tensors="np")["input_ids"][0]
    assert _prefix(model, question) == wanted.tolist()


@pytest.mark.parametrize("parts", [[IMAGE, "Will it fall?"], ["A", IMAGE, IMAGE, "and", IMAGE, "Which?"]])
def test_idefics_s(parts, tmp_path):
    transformers = pytest.importorskip("transformers")
    path = _train(tmp_path, LLAMA, unk_token="<unk>")
    tokens = _theirs(path, "<unk>", "</s>", "<s>", ("<fake_token_around_image>", "<image>"))
    images = transformers.IdeficsImageProcessor(image_size=32)
    wanted = transformers.IdeficsProcessor(images, tokens)(text=[[*parts[:-1], f"{parts[-1]}\n"]], return_tensors="pt")
    model = _ours("flamingo", path)
    example = model.processor.interleaved_example([*parts, "\n"])
    assert example["text"][example["mask_input"]].tolist() == wanted["input_ids"][0].tolist()
    difference = example["image"] - wanted["pixel_values"][0].permute(0, 2, 3, 1).numpy()
    assert np.abs(difference * np.array(CLIP.std)).max() <= 1 / 255
    if len(parts) == 2:
        assert _prefix(model, parts[-1]) == wanted["input_ids"][0].tolist()


@pytest.mark.parametrize("question", QUESTIONS)
def test_clip_s_sentences(question, tmp_path):
    transformers, tokenizers = pytest.importorskip("transformers"), pytest.importorskip("tokenizers")
    markers = ("<|startoftext|>", "<|endoftext|>")
    empty = transformers.CLIPTokenizer(vocab={marker: n for n, marker in enumerate(markers)}, merges=[])
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=list(markers),
        end_of_word_suffix="</w>",
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
    )
    tokens = empty.backend_tokenizer
    tokens.train_from_iterator([task.question for task in TASKS.values()], trainer)
    tokens.save(str(tmp_path / "tokenizer.json"))
    theirs = transformers.CLIPTokenizer(tokenizer_file=str(tmp_path / "tokenizer.json"))
    sentence = f"  {question}   Yes, 14"
    wanted = theirs(sentence, padding="max_length", max_length=40)["input_ids"]
    assert len(set(wanted)) > 8
    assert _ours("clip", str(tmp_path / "tokenizer.json")).processor.sentence(sentence).tolist() == wanted
