"""The `config.json` of public checkpoints leaves out what is transformers' default; each is the size of its name."""

import dataclasses

import pytest

from vlmcog.models import registry

SO400M = {
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "model_type": "siglip_vision_model",
    "num_attention_heads": 16,
    "num_hidden_layers": 27,
    "patch_size": 14,
}
QWEN = {
    "bos_token_id": 151643,
    "eos_token_id": 151645,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-06,
    "rope_scaling": {"mrope_section": [16, 24, 24], "type": "mrope"},
    "rope_theta": 1000000.0,
    "sliding_window": 32768,
    "tie_word_embeddings": True,
    "use_sliding_window": False,
    "vocab_size": 151936,
}
CONFIGS = {
    ("paligemma", "3b", 224): {
        "hidden_size": 2048,
        "image_token_index": 257152,
        "model_type": "paligemma",
        "projection_dim": 2048,
        "text_config": {
            "hidden_size": 2048,
            "intermediate_size": 16384,
            "model_type": "gemma",
            "num_attention_heads": 8,
            "num_hidden_layers": 18,
            "num_image_tokens": 256,
            "num_key_value_heads": 1,
            "vocab_size": 257216,
        },
        "vision_config": SO400M | {"projection_dim": 2048, "vision_use_head": False},
    },
    ("paligemma", "2-3b", 448): {
        "_vocab_size": 257152,
        "image_token_index": 257152,
        "model_type": "paligemma",
        "text_config": {
            "attn_logit_softcapping": 50.0,
            "final_logit_softcapping": 30.0,
            "hidden_activation": "gelu_pytorch_tanh",
            "hidden_size": 2304,
            "intermediate_size": 9216,
            "model_type": "gemma2",
            "num_hidden_layers": 26,
            "num_key_value_heads": 4,
            "query_pre_attn_scalar": 256,
            "sliding_window": 4096,
            "vocab_size": 257216,
        },
        "vision_config": SO400M | {"image_size": 448, "projection_dim": 2304, "vision_use_head": False},
    },
    ("gemma3", "4b", 896): {
        "boi_token_index": 255999,
        "eoi_token_index": 256000,
        "image_token_index": 262144,
        "mm_tokens_per_image": 256,
        "model_type": "gemma3",
        "text_config": {
            "hidden_size": 2560,
            "intermediate_size": 10240,
            "model_type": "gemma3_text",
            "num_hidden_layers": 34,
            "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
            "sliding_window": 1024,
        },
        "vision_config": SO400M | {"image_size": 896, "vision_use_head": False},
    },
    ("siglip", "base-16", 224): {
        "model_type": "siglip",
        "text_config": {"model_type": "siglip_text_model"},
        "vision_config": {"model_type": "siglip_vision_model"},
    },
    ("siglip", "2-base-16", 224): {
        "model_type": "siglip",
        "text_config": {"model_type": "siglip_text_model", "projection_size": 768, "vocab_size": 256000},
        "vision_config": {"model_type": "siglip_vision_model"},
    },
    ("clip", "base-32", 224): {
        "model_type": "clip",
        "projection_dim": 512,
        "text_config": {"eos_token_id": 2, "model_type": "clip_text_model"},
        "vision_config": {"model_type": "clip_vision_model"},
    },
    ("qwen", "2-2b", 448): QWEN
    | {
        "hidden_size": 1536,
        "intermediate_size": 8960,
        "model_type": "qwen2_vl",
        "num_attention_heads": 12,
        "num_hidden_layers": 28,
        "num_key_value_heads": 2,
        "vision_config": {
            "depth": 32,
            "embed_dim": 1280,
            "hidden_size": 1536,
            "in_chans": 3,
            "mlp_ratio": 4,
            "num_heads": 16,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
        },
    },
    ("qwen", "2.5-3b", 448): QWEN
    | {
        "hidden_size": 2048,
        "intermediate_size": 11008,
        "model_type": "qwen2_5_vl",
        "num_attention_heads": 16,
        "num_hidden_layers": 36,
        "num_key_value_heads": 2,
        "vision_config": {
            "depth": 32,
            "fullatt_block_indexes": [7, 15, 23, 31],
            "hidden_act": "silu",
            "hidden_size": 1280,
            "intermediate_size": 3420,
            "num_heads": 16,
            "out_hidden_size": 2048,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "tokens_per_second": 2,
            "window_size": 112,
        },
    },
    ("flamingo", "9b", 224): {
        "additional_vocab_size": 2,
        "alpha_type": "float",
        "cross_layer_interval": 4,
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "model_type": "idefics",
        "num_attention_heads": 32,
        "num_hidden_layers": 32,
        "perceiver_config": {
            "qk_layer_norms_perceiver": True,
            "resampler_depth": 6,
            "resampler_head_dim": 96,
            "resampler_n_heads": 16,
            "resampler_n_latents": 64,
        },
        "qk_layer_norms": True,
        "use_resampler": True,
        "vision_config": {"embed_dim": 1280, "intermediate_size": 5120, "num_hidden_layers": 32},
        "vocab_size": 32000,
    },
}
# A folder's config.json says these; a size of our own leaves them to the tokenizer, or means the same by 0.
OF_FOLDERS = {"vocabulary_size", "image_token", "recipe", "query_scalar"}


def _differences(one, other, path=""):
    if not dataclasses.is_dataclass(one):
        return [] if one == other else [(path, one, other)]
    names = [field.name for field in dataclasses.fields(one) if field.name not in OF_FOLDERS]
    return [each for name in names for each in _differences(getattr(one, name), getattr(other, name), f"{path}.{name}")]


@pytest.mark.parametrize(("family", "size", "image_size"), CONFIGS)
def test_a_public_config_is_the_size_of_its_name(family, size, image_size):
    networks, side = registry.family(family).networks_from(CONFIGS[family, size, image_size])
    assert side == image_size
    assert not _differences(networks, registry.family(family).SIZES[size])


@pytest.mark.parametrize("name", [name for name in CONFIGS if name[0] in ("paligemma", "gemma3")])
def test_gemma_s_queries_are_scaled_by_the_size_of_their_heads(name):
    decoder = registry.family(name[0]).networks_from(CONFIGS[name])[0].decoder
    assert decoder.query_scalar in (0, decoder.head_dim)
