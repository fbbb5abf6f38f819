"""Text to token ids and back, by SentencePiece or a `tokenizer.json`; imports no jax."""

import pathlib
from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

import sentencepiece

from vlmcog.errors import UserError

SHIPPED = pathlib.Path(__file__).parent / "assets" / "cubeworld.model"
PAD, EOS, BOS, UNK = range(4)


@runtime_checkable
class Tokenizer(Protocol):
    """What a processor needs of a tokenizer; `pad`, `eos` and `bos` are the ids of the markers."""

    path: pathlib.Path
    pad: int
    eos: int
    bos: int

    @property
    def vocab_size(self) -> int:
        """One more than the largest id."""
        ...

    def encode(self, text: str) -> list[int]:
        """The ids of `text`, without markers."""
        ...

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids` up to the first eos; other markers are left out."""
        ...


def open_tokenizer(path: str = "", **markers: str) -> Tokenizer:
    """Opens a SentencePiece model with Gemma's markers, or a `tokenizer.json`.

    Args:
      path: the file; empty for the small SentencePiece model that ships with the package.
      **markers: the texts of `pad`, `eos` and `bos` in a `tokenizer.json`, where they aren't Gemma's.

    Raises:
      UserError: the file is missing or damaged, or numbers its markers otherwise.
    """
    return JsonTokenizer(path, **markers) if path.endswith(".json") else SentencePieceTokenizer(path)


class SentencePieceTokenizer:
    """A SentencePiece model whose first pieces are pad, eos, bos and unk, as in Gemma's.

    Args:
      path: the `.model` file; empty for the small vocabulary that ships with the package.

    Raises:
      UserError: the file is missing, is no SentencePiece model or numbers its markers otherwise.
    """

    pad, eos, bos = PAD, EOS, BOS

    def __init__(self, path: str = ""):
        self.path = pathlib.Path(path) if path else SHIPPED
        self._pieces = _load(self.path)

    @property
    def vocab_size(self) -> int:
        """The number of pieces."""
        return self._pieces.vocab_size()

    def encode(self, text: str) -> list[int]:
        """The ids of `text`, without markers."""
        return self._pieces.encode(text)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids` up to the first eos; other markers are left out."""
        return self._pieces.decode(_before_eos(self, ids))


class JsonTokenizer:
    """A `tokenizer.json`, which says vocabulary, merges and how text is split.

    Args:
      path: the file.
      pad: text of the padding marker.
      eos: text of the marker that ends a text.
      bos: text of the marker that begins one.

    Raises:
      UserError: the file is missing or damaged or lacks a marker, or the package `tokenizers` isn't installed.
    """

    def __init__(self, path: str, *, pad: str = "<pad>", eos: str = "<eos>", bos: str = "<bos>"):
        self.path = pathlib.Path(path)
        self._tokens = _load_json(self.path)
        self.pad, self.eos, self.bos = (self._marker(marker) for marker in (pad, eos, bos))

    @property
    def vocab_size(self) -> int:
        """One more than the largest id."""
        return 1 + max(self._tokens.get_vocab(with_added_tokens=True).values())

    def encode(self, text: str) -> list[int]:
        """The ids of `text`, without markers."""
        return self._tokens.encode(text, add_special_tokens=False).ids

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids` up to the first eos; other markers are left out."""
        return self._tokens.decode(_before_eos(self, ids), skip_special_tokens=True)

    def _marker(self, marker: str) -> int:
        found = self._tokens.token_to_id(marker)
        if found is None:
            raise UserError(f"model.vocabulary: {self.path} has no marker {marker}; use the tokenizer of this family")
        return found


def _before_eos(tokenizer: Tokenizer, ids: Iterable[int]) -> list[int]:
    kept = []
    for token in map(int, ids):
        if token == tokenizer.eos:
            break
        if token not in (tokenizer.pad, tokenizer.bos):
            kept.append(token)
    return kept


def _load_json(path: pathlib.Path) -> Any:
    try:
        import tokenizers  # pyright: ignore[reportMissingImports]  # an extra: only these files need it
    except ImportError as error:
        raise UserError(f"model.vocabulary: {path} needs the package tokenizers; pip install tokenizers") from error
    try:
        return tokenizers.Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"model.vocabulary: cannot read {path}: {error.strerror}; name a tokenizer.json") from error
    except Exception as error:  # tokenizers raises it bare
        raise UserError(f"model.vocabulary: {path} is not a tokenizer.json ({error}); fetch it again") from error


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
