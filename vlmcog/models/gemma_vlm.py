"""What PaliGemma and Gemma 3 share: SigLIP's tower before a Gemma, and its place in Hugging Face's files.

Letters: b batch, t text tokens, s cache slots, d width, v vocabulary.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxtyping import Array, Bool, Float, Int

from vlmcog.models import gemma, image_encoder
from vlmcog.models.config import VisionConfig
from vlmcog.models.gemma import GemmaConfig, Past
from vlmcog.models.hugging_face import Layout, Rule
from vlmcog.models.layers import Network

_EMBEDDING, _HEAD = "language_model.model.embed_tokens.weight", "language_model.lm_head.weight"
# What other versions of transformers wrote: `model.` before everything, the two names of the decoder swapped, and the
# encoder without the name of the wrapper around it.
_RENAMES = (
    (r"^model\.language_model\.", "language_model.model."),
    (r"^model\.", ""),
    (r"^lm_head\.", "language_model.lm_head."),
    (r"^vision_tower\.(?!vision_model\.)", "vision_tower.vision_model."),
)
_MODULES = (
    (r"^language_model\.model\.", "model.language_model."),
    (r"^vision_tower\.vision_model\.", "model.vision_tower."),
    (r"^multi_modal_projector\.", "model.multi_modal_projector."),
)
# The encoder's pooling head, and a buffer of old versions.
_UNUSED = (r"vision_tower\.vision_model\.head\.", r".*\.position_ids$")


class GemmaVLM(Network):
    """Text goes on through the decoder `llm` alone, whatever was read before it."""

    def extend(
        self,
        text: Int[Array, "b t"],
        positions: Int[Array, "b t"],
        mask: Bool[Array, "b t s"],
        past: Past,
        slot: Int[Array, ""] | int,
    ) -> tuple[Float[Array, "b t d"], Past]:
        """Hidden states at more text after what `past` remembers, which is written into its slots from `slot` on."""
        return self.llm.extend(text, positions, mask, past, slot)

    def logits(self, hidden: Float[Array, "*b d"]) -> Float[Array, "*b v"]:
        """Logits of the next token, at the hidden states where they are needed."""
        return self.llm.logits(hidden)


def layout(
    vision: VisionConfig,
    decoder: GemmaConfig,
    projector: Sequence[Rule],
    config: Mapping[str, Any],
    *,
    rows: int,
    image_size: int,
    padded: int | None = None,
) -> Layout:
    """Returns what ties `img`, the projector and `llm` to Hugging Face's format.

    Args:
      vision: of the tower.
      decoder: of the decoder.
      projector: rules of what is between them.
      config: what `config.json` says beside; its `text_config` and `vision_config` are added to.
      rows: of the embedding.
      image_size: side of an image in pixels.
      padded: rows of the embedding in files that pad it.
    """
    text_config = gemma.to_config(decoder) | {"vocab_size": rows} | config.get("text_config", {})
    vision_config = image_encoder.to_config(vision, image_size) | config.get("vision_config", {})
    return Layout(
        rules=(
            *image_encoder.hugging_face("img/", "vision_tower.vision_model."),
            *projector,
            *gemma.hugging_face(decoder, "llm/", "language_model.model.", head=_HEAD, padded=padded),
        ),
        config={
            **config,
            "tie_word_embeddings": decoder.tied,
            "text_config": text_config,
            "vision_config": vision_config,
        },
        renames=_RENAMES,
        tied={_HEAD: _EMBEDDING} if decoder.tied else {},
        unused=_UNUSED,
        modules=_MODULES,
    )
