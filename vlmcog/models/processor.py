r"""Images and text to the arrays of a batch, as for "Will it fall?" and "yes"; imports no jax.

    text       [bos] Will it fall ? \n | yes [eos] [pad] [pad]
    mask_ar      0    0    0   0  0  0  |  1    1     0     0
    mask_loss    0    0    0   0  0  0  |  1    1     0     0

`boundary` says every key, its shape and dtype.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float

from vlmcog.errors import UserError
from vlmcog.models.images import BIG_VISION, ImageRecipe
from vlmcog.models.tokenizer import Tokenizer

Example = dict[str, np.ndarray]
SEPARATOR = "\n"
_STEP = 16


@dataclasses.dataclass(frozen=True)
class Processor:
    """Makes one example at a time; stacked, examples are a batch.

    Attributes:
      tokenizer: text to ids.
      image_size: side of the model's square image, in pixels.
      prefix_length: most tokens of bos + question + line feed.
      suffix_length: most tokens of answer + eos.
      n_fixed: of `prefix_length`, the tokens that every prompt has and no question fills, such as the image's.
      recipe: how images are resized and scaled.
    """

    tokenizer: Tokenizer
    image_size: int
    prefix_length: int
    suffix_length: int
    n_fixed: int = 0
    recipe: ImageRecipe = BIG_VISION

    def fitted(self, asked: Iterable[tuple[str, Sequence[str]]]) -> "Processor":
        """The processor with lengths that these questions and their options fill, where its own are longer.

        Padding changes no number but takes as long as text.
        """
        widest = self.read_image(np.zeros((self.image_size, self.image_size, 3), np.uint8))
        questions, options = zip(*asked, strict=True)
        prefix = max(len(self.prefix_of(question, widest)) for question in questions)
        suffix = max(len(self.suffix(option)) for option in itertools.chain(*options))
        return dataclasses.replace(
            self, prefix_length=min(self.prefix_length, prefix), suffix_length=min(self.suffix_length, suffix)
        )

    def image(self, image: np.ndarray) -> Float[np.ndarray, "size size 3"]:
        """The image as a normalised square.

        Raises:
          UserError: the image is not uint8 [h, w, 3].
        """
        return self.recipe.square(image, self.image_size)

    def read_image(self, image: np.ndarray) -> Example:
        """The arrays that an image becomes in a batch; families whose image is more than `image` add theirs here."""
        return {"image": self.image(image)}

    def train_example(self, image: np.ndarray, question: str, answer: str, options: Sequence[str] = ()) -> Example:
        """An example to learn from: `image`, `text`, `mask_ar`, `mask_input`, `mask_loss`.

        The other `options` are for families that learn to tell them apart; these learn to say the answer.

        Raises:
          UserError: question or answer is too long.
        """
        read = self.read_image(image)
        prefix, suffix = self._prefix(question, read), self._suffix(answer)
        length = self.prefix_length + self.suffix_length
        in_suffix = np.zeros(length, bool)
        in_suffix[len(prefix) : len(prefix) + len(suffix)] = True
        text, mask_input = self.pad(prefix + suffix, length)
        return read | {
            "text": text,
            "mask_ar": in_suffix.astype(np.int32),
            "mask_input": mask_input,
            "mask_loss": in_suffix,
        }

    def prefix_example(self, image: np.ndarray, question: str) -> Example:
        """An example to reply to: `image` and the prefix as `text` and `mask_input`."""
        read = self.read_image(image)
        text, mask_input = self.pad(self._prefix(question, read), self.prefix_length)
        return read | {"text": text, "mask_input": mask_input}

    def prefix_batch(self, images: Sequence[np.ndarray], questions: Sequence[str]) -> Example:
        """Prefix examples, stacked and cut to the longest, in steps of 16 tokens: few lengths are ever compiled."""
        examples = [self.prefix_example(*given) for given in zip(images, questions, strict=True)]
        batch = {key: np.stack([example[key] for example in examples]) for key in examples[0]}
        if "text" not in batch:  # a family that reads no prompt
            return batch
        longest = int(batch["mask_input"].sum(axis=-1).max())
        return batch | {key: batch[key][:, : -(-longest // _STEP) * _STEP] for key in ("text", "mask_input")}

    def score_example(self, image: np.ndarray, question: str, options: Sequence[str]) -> Example:
        """An example whose options are to be scored: a prefix example with `options` and `options_mask`."""
        padded = [self.pad(self._suffix(option), self.suffix_length) for option in options]
        tokens, masks = zip(*padded, strict=True)
        return self.prefix_example(image, question) | {"options": np.stack(tokens), "options_mask": np.stack(masks)}

    def blank_example(self) -> Example:
        """An example with every array that the model reads, of no meaning, to make parameters by."""
        image = np.zeros((self.image_size, self.image_size, 3), np.uint8)
        read = self.read_image(image)
        ids = self.prefix_of("", read)
        text, mask_input = self.pad(ids, len(ids))
        return read | {"text": text, "mask_input": mask_input}

    @property
    def stop_tokens(self) -> tuple[int, ...]:
        """The tokens that end a reply."""
        return (self.tokenizer.eos,)

    def decode(self, tokens: np.ndarray) -> str:
        """The text of generated tokens, up to eos."""
        return self.tokenizer.decode(tokens)

    def prefix(self, question: str) -> list[int]:
        """The tokens of a question as the model was trained to be asked; families differ here."""
        return [self.tokenizer.bos, *self.tokenizer.encode(question), *self.tokenizer.encode(SEPARATOR)]

    def prefix_of(self, question: str, read: Example) -> list[int]:
        """The same, given the image that was read, for families whose images take more or fewer tokens."""
        del read
        return self.prefix(question)

    def suffix(self, answer: str) -> list[int]:
        """The tokens of an answer, with the one that ends it; families differ here."""
        return [*self.tokenizer.encode(answer), self.tokenizer.eos]

    def pad(self, ids: list[int], length: int) -> tuple[np.ndarray, np.ndarray]:
        """The ids filled up to a length, and which of them are real."""
        text = np.full(length, self.tokenizer.pad, np.int32)
        text[: len(ids)] = ids
        return text, np.arange(length) < len(ids)

    def _prefix(self, question: str, read: Example) -> list[int]:
        ids = self.prefix_of(question, read)
        return _check_length("prefix", question, ids, self.prefix_length, self.n_fixed)

    def _suffix(self, answer: str) -> list[int]:
        return _check_length("suffix", answer, self.suffix(answer), self.suffix_length)


def _check_length(part: str, text: str, ids: list[int], length: int, n_fixed: int = 0) -> list[int]:
    if len(ids) > length:
        needed, given = len(ids) - n_fixed, length - n_fixed
        raise UserError(
            f"{text!r} takes {needed} tokens but model.{part}_length={given}; "
            f"set model.{part}_length={needed} or shorten the text"
        )
    return ids
