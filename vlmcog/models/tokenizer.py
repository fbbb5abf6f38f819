"""Text to token ids and back, by SentencePiece with Gemma's markers; imports no jax."""

import pathlib
from collections.abc import Iterable

import sentencepiece

from vlmcog.errors import UserError

SHIPPED = pathlib.Path(__file__).parent / "assets" / "cubeworld.model"
PAD, EOS, BOS, UNK = range(4)


class Tokenizer:
    """A SentencePiece model whose first pieces are pad, eos, bos and unk, as in Gemma's.

    Args:
      path: the `.model` file; empty for the small vocabulary that ships with the package.

    Raises:
      UserError: the file is missing, is no SentencePiece model or numbers its markers otherwise.
    """

    def __init__(self, path: str = ""):
        self.path = pathlib.Path(path) if path else SHIPPED
        self._pieces = _load(self.path)

    pad, eos, bos = PAD, EOS, BOS

    @property
    def vocab_size(self) -> int:
        """The number of pieces."""
        return self._pieces.vocab_size()

    def encode(self, text: str) -> list[int]:
        """The ids of `text`, without markers."""
        return self._pieces.encode(text)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids` up to the first eos; other markers are left out."""
        kept = []
        for token in map(int, ids):
            if token == EOS:
                break
            if token not in (PAD, BOS):
                kept.append(token)
        return self._pieces.decode(kept)


def check_rows(tokenizer: Tokenizer, rows: int, size: str) -> None:
    """Refuses a tokenizer with more pieces than a model has rows in its embedding.

    Raises:
      UserError: it has.
    """
    if tokenizer.vocab_size > rows:
        raise UserError(
            f"model.vocabulary: {tokenizer.path} has {tokenizer.vocab_size} pieces but size {size!r} has "
            f"{rows} rows; use a smaller vocabulary or another size"
        )


def _load(path: pathlib.Path) -> sentencepiece.SentencePieceProcessor:
    try:
        pieces = sentencepiece.SentencePieceProcessor(model_proto=path.read_bytes())
    except OSError as error:
        raise UserError(f"model.vocabulary: cannot read {path}: {error.strerror}; name a .model file") from error
    except RuntimeError as error:
        raise UserError(f"model.vocabulary: {path} is not a SentencePiece model; name a .model file") from error
    markers = (pieces.pad_id(), pieces.eos_id(), pieces.bos_id(), pieces.unk_id())
    if markers != (PAD, EOS, BOS, UNK):
        raise UserError(
            f"model.vocabulary: {path} has pad, eos, bos, unk at {markers}, not at {(PAD, EOS, BOS, UNK)}; "
            "use a tokenizer with Gemma's markers"
        )
    return pieces
