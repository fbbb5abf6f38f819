r"""Models that answer by comparison: an image and each option, written as a sentence, become vectors to compare.

"Will it fall?" with the options no and yes becomes the sentences "Will it fall? no" and "Will it fall? yes"; the logit
of an option is exp(t) cos(image, sentence) + b. So every question with options can be put to a dual encoder, trained on
it or not. Its batches have, beside `image`,

    options        int32  [b, o, t]   the sentence of each option, padded
    options_mask   bool   [b, o, 1]   a real option, which counts as one answer
    answer         int32  [b]         the place of the right one, to learn from

Letters: b batch, o options, t tokens of a sentence, d width of the shared space.
"""

import dataclasses
import string
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from vlmcog.errors import UserError
from vlmcog.models import hidden_states
from vlmcog.models.boundary import Batch, Metrics, Params
from vlmcog.models.config import ModelConfig, VisionConfig
from vlmcog.models.hugging_face import Layout, dense
from vlmcog.models.image_encoder import Pool, VisionTransformer
from vlmcog.models.images import SIGLIP, ImageRecipe
from vlmcog.models.layers import Network, computing, computing_as, dtypes_of
from vlmcog.models.model import Model, on_device
from vlmcog.models.processor import Example, Processor
from vlmcog.models.text_encoder import TextConfig, TextTransformer
from vlmcog.models.tokenizer import Tokenizer, check_rows


@dataclasses.dataclass(frozen=True)
class DualNetworks:
    """The two towers of a size, and how they are fed and compared.

    Attributes:
      vision: the image's tower.
      text: the sentences' tower.
      width: of the shared space.
      pool: how image tokens become one.
      image_head: whether a projection, without bias, leads from the image's tower to the shared space.
      bias: whether the logits have a learned offset.
      recipe: how images are prepared.
      clean: what is done to a sentence first: `lower` case, or `canonical`, without punctuation as well.
      bos: whether a sentence starts with begin-of-text.
      vocabulary_size: rows of the embedding; 0 for as many as the tokenizer has pieces.
    """

    vision: VisionConfig
    text: TextConfig
    width: int
    pool: Pool = "map"
    image_head: bool = False
    bias: bool = True
    recipe: ImageRecipe = SIGLIP
    clean: Literal["none", "lower", "canonical"] = "canonical"
    bos: bool = False
    vocabulary_size: int = 0

    @property
    def image_multiple(self) -> int:
        """An image is cut into whole patches; So400m/14 at its 384 pixels leaves the last 6 out."""
        return self.vision.patch_size if self.vision.patch_size != 14 else 2


class DualEncoderModule(Network):
    """The two towers, named as in big_vision; `t` is the logarithm of the logits' scale.

    With `n_readout` there is a linear read-out beside them, from the image alone to as many options.
    """

    networks: DualNetworks
    vocabulary_size: int
    eos: int
    n_readout: int = 0

    def setup(self) -> None:
        """Names the parts."""
        nets, constant = self.networks, nn.initializers.constant
        head = nets.width if nets.image_head else 0
        self.img = VisionTransformer(nets.vision, head, output_bias=False, pool=nets.pool, **computing(self))
        self.txt = TextTransformer(nets.text, self.vocabulary_size, self.eos, nets.width, **computing(self))
        self.t = self.param("t", constant(np.log(10.0)), (1,), self.param_dtype)
        if nets.bias:
            self.b = self.param("b", constant(-10.0), (1,), self.param_dtype)
        if self.n_readout:
            self.readout = nn.Dense(self.n_readout, **dtypes_of(self))

    def __call__(self, image: Float[Array, "b h w 3"], options: Int[Array, "b o t"]) -> Float[Array, "b o"]:
        """The logit of each option, float32."""
        return self.compare(self.img(image), options)

    def encode_image(self, image: Float[Array, "b h w 3"]) -> Float[Array, "b d"]:
        """The images' vectors, as they leave their tower."""
        return self.img(image)

    def encode_text(self, text: Int[Array, "n t"]) -> Float[Array, "n d"]:
        """The sentences' vectors, as they leave their tower."""
        return self.txt(text)

    def compare(self, image: Float[Array, "b d"], options: Int[Array, "b o t"]) -> Float[Array, "b o"]:
        """The logit of each option, given the images' vectors."""
        text = self.txt(options.reshape(-1, options.shape[-1])).reshape(*options.shape[:2], -1)
        cosine = jnp.einsum("bd,bod->bo", _unit(image), _unit(text))
        scale = jnp.exp(self.t.astype(jnp.float32))
        return cosine * scale[None] + (self.b.astype(jnp.float32)[None] if self.networks.bias else 0.0)

    def read_out(self, image: Float[Array, "b d"], n_options: int) -> Float[Array, "b o"]:
        """The logit of each of the first options, from the image alone."""
        return self.readout(image)[:, :n_options].astype(jnp.float32)


@dataclasses.dataclass(frozen=True)
class SentenceProcessor(Processor):
    """Makes examples whose options are sentences; `suffix_length` is the length of a sentence.

    Attributes:
      networks: say how sentences are cleaned and marked.
      max_options: the most options of a question to learn from; a question with fewer has unreal ones.
    """

    networks: DualNetworks | None = None
    max_options: int = 2

    def fitted(self, asked: Iterable[tuple[str, Sequence[str]]]) -> "Processor":
        """The same: sentences have the one length that the text tower reads."""
        del asked
        return self

    def train_example(self, image: np.ndarray, question: str, answer: str, options: Sequence[str] = ()) -> Example:
        """An example to learn from: `image`, `options`, `options_mask`, `answer`.

        Raises:
          UserError: a sentence is too long, there are too many options, or the answer is none of them.
        """
        if answer not in options:
            raise UserError(f"{answer!r} is none of the options {list(options)} of {question!r}")
        if len(options) > self.max_options:
            raise UserError(
                f"{question!r} has {len(options)} options but model.max_options={self.max_options}; "
                f"set model.max_options={len(options)} or choose other data.tasks"
            )
        example = self.score_example(image, question, options)
        missing = [(0, self.max_options - len(options)), (0, 0)]
        padded = {key: np.pad(example[key], missing) for key in ("options", "options_mask")}
        return example | padded | {"answer": np.array(list(options).index(answer), np.int32)}

    def prefix_example(self, image: np.ndarray, question: str) -> Example:
        """The image alone: the question is part of each option's sentence."""
        return self.read_image(image)

    def score_example(self, image: np.ndarray, question: str, options: Sequence[str]) -> Example:
        """An example whose options are to be scored: `image`, `options`, `options_mask`."""
        sentences = np.stack([self.sentence(f"{question} {option}") for option in options])
        return self.read_image(image) | {"options": sentences, "options_mask": np.ones((len(options), 1), bool)}

    def blank_example(self) -> Example:
        """An example with every array that the model reads, of no meaning, to make parameters by."""
        image = np.zeros((self.image_size, self.image_size, 3), np.uint8)
        return self.score_example(image, "", [""])

    def sentence(self, text: str) -> Int[np.ndarray, " t"]:
        """The tokens of a sentence, cleaned, marked and padded.

        Raises:
          UserError: it is longer than the tower reads.
        """
        assert self.networks is not None
        start = [self.tokenizer.bos] if self.networks.bos else []
        ids = [*start, *self.tokenizer.encode(_clean(text, self.networks.clean)), self.tokenizer.eos]
        if len(ids) > self.suffix_length:
            raise UserError(
                f"{text!r} takes {len(ids)} tokens but the text tower reads {self.suffix_length}; shorten the text"
            )
        return self.pad(ids, self.suffix_length)[0]


@dataclasses.dataclass(frozen=True, eq=False)
class DualEncoder(Model):
    """A dual encoder behind the boundary of `VisionLanguageModel`, which documents the methods."""

    module: DualEncoderModule

    @staticmethod
    def _touch(module: DualEncoderModule, batch: dict[str, Array]) -> Any:
        image = module.encode_image(batch["image"])
        return module.compare(image, batch["options"]), module.read_out(image, 1) if module.n_readout else None

    def loss(self, params: Params, batch: Batch, rng: PRNGKeyArray | None = None) -> tuple[Float[Array, ""], Metrics]:
        """Loss = -mean over the batch of the right option's score, as `score` defines it, in nats an answer."""
        batch = on_device(batch)
        scores = self._score(params, batch, self._encode(params, batch, rng), rng)
        right = jnp.take_along_axis(scores, batch["answer"][:, None], axis=1, mode="clip")[:, 0]
        accuracy = (jnp.argmax(scores, axis=-1) == batch["answer"]).astype(jnp.float32).mean()
        loss = -right.mean()
        return loss, {"loss": loss, "accuracy": accuracy, "n_tokens": jnp.float32(len(right))}

    def prefill(self, params: Params, prefix: Batch) -> Float[Array, "b d"]:
        """The images' vectors."""
        return self._encode(params, on_device(prefix), None)

    def hidden_states(self, params: Params, prefix: Batch) -> dict[str, Float[Array, "l b d"]]:
        """`vision` alone, the mean over the image's tokens and, in CLIP's tower, the class token."""
        image = on_device(prefix)["image"]
        pools = {hidden_states.VISION: lambda x: hidden_states.mean_of_images(x, len(image))}
        return hidden_states.keep(self.module, params, image, method="encode_image", pools=pools)

    def score(self, params: Params, batch: Batch) -> Float[Array, "b o"]:
        """Log-probability of each option, by the objective that the model is trained with.

        softmax, linear   log of exp(logit) / sum over the options of exp(logit)
        sigmoid           log of sigmoid(logit) * product over the other options of (1 - sigmoid(logit)): this option
                          matches the image, and no other does. Renormalised over the options it is their softmax, too.
        """
        batch = on_device(batch)
        return self._score(params, batch, self.prefill(params, batch), None)

    def generate(
        self,
        params: Params,
        batch: Batch,
        *,
        max_tokens: int,
        temperature: float = 0.0,
        top_p: float = 1.0,
        rng: PRNGKeyArray | None = None,
    ) -> Int[Array, "b n"]:
        """Always refused: a dual encoder compares, it doesn't write."""
        raise UserError(f"{self.name} can't reply in its own words; score options, or choose a family that writes")

    def _encode(self, params, batch, rng) -> Float[Array, "b d"]:
        return self._apply("encode_image", params, batch["image"], rng=rng)

    def _score(self, params, batch, image, rng) -> Float[Array, "b o"]:
        options, real = batch["options"], batch["options_mask"][..., 0]
        if self.config.objective == "linear":
            if options.shape[1] > self.module.n_readout:
                raise UserError(
                    f"{self.name}'s linear read-out has {self.module.n_readout} rows, but a question has "
                    f"{options.shape[1]} options; ask others, or train with model.max_options={options.shape[1]}"
                )
            logits = self._apply("read_out", params, image, options.shape[1])
        else:
            logits = self._apply("compare", params, image, options, rng=rng)
        return log_likelihood(logits, real, independent=self.config.objective == "sigmoid")


def log_likelihood(logits: Float[Array, "b o"], real: Bool[Array, "b o"], *, independent: bool) -> Float[Array, "b o"]:
    """Log-probability that an option is the right one: by softmax, or by a sigmoid for each; -inf where it isn't real.

    With sigmoids it is log s(x_i) + sum over j != i of log s(-x_j), since each option matches or not by itself
    (https://arxiv.org/abs/2303.15343, over the options of a question instead of the batch).
    """
    if independent:
        others = jnp.sum(jax.nn.log_sigmoid(-logits), axis=-1, where=real, keepdims=True)
        scores = others + logits  # log s(x) = log s(-x) + x
    else:
        scores = jax.nn.log_softmax(jnp.where(real, logits, -jnp.inf), axis=-1)
    return jnp.where(real, scores, -jnp.inf)


def trainable(config: ModelConfig) -> tuple[tuple[str, bool], ...]:
    """All learns, but beside a linear read-out, which learns alone."""
    return (("readout/.*", True), (".*", False)) if config.objective == "linear" else ((".*", True),)


def build(config: ModelConfig, networks: DualNetworks, layout: Layout, tokenizer: Tokenizer) -> DualEncoder:
    """Builds the model of a config.

    Raises:
      UserError: the vocabulary has more pieces than the model has rows.
    """
    rows = networks.vocabulary_size or tokenizer.vocab_size
    check_rows(tokenizer, rows, config.size)
    if config.objective == "linear":
        layout = _with_readout(layout)
    module = DualEncoderModule(
        networks=networks,
        vocabulary_size=rows,
        eos=tokenizer.eos,
        n_readout=config.max_options if config.objective == "linear" else 0,
        **computing_as(config),
    )
    processor = SentenceProcessor(
        tokenizer,
        config.image_size,
        prefix_length=0,
        suffix_length=networks.text.length,
        recipe=networks.recipe,
        networks=networks,
        max_options=config.max_options,
    )
    return DualEncoder(config, module, processor, layout)


def _with_readout(layout: Layout) -> Layout:
    """A linear read-out lies beside the towers' tensors, where transformers passes it over."""
    rules = dense("readout", "readout")
    return dataclasses.replace(layout, rules=(*layout.rules, *rules), new=tuple(rule.name for rule in rules))


def _unit(x: Float[Array, "*b d"]) -> Float[Array, "*b d"]:
    x = x.astype(jnp.float32)
    return x * jax.lax.rsqrt(jnp.sum(jnp.square(x), axis=-1, keepdims=True))


def _clean(text: str, how: Literal["none", "lower", "canonical"]) -> str:
    """As SigLIP's tokenizers do: lower case; then, for `canonical`, no punctuation and single spaces."""
    if how == "none":
        return text
    text = text.lower()
    if how == "lower":
        return text
    return " ".join(text.translate(str.maketrans("", "", string.punctuation)).split())
