"""Text to token ids and back, by SentencePiece or a `tokenizer.json`; imports no jax."""

import pathlib
from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

import sentencepiece

from vlmcog.errors import UserError

SHIPPED = pathlib.Path(__file__).parent / "assets" / "cubeworld.model"
PAD, EOS, BOS, UNK = range(4)  # in Gemma's and in the one that ships


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
    """Opens a SentencePiece model or a `tokenizer.json`.

    Args:
      path: the file; empty for the small SentencePiece model that ships with the package.
      **markers: the texts of `pad`, `eos` and `bos`, where they aren't Gemma's.

    Raises:
      UserError: the file is missing or damaged or lacks a marker.
    """
    if not path:
        return SentencePieceTokenizer()
    return JsonTokenizer(path, **markers) if path.endswith(".json") else SentencePieceTokenizer(path, **markers)


class SentencePieceTokenizer:
    """A SentencePiece model; a marker that isn't among its pieces is the one that it calls its own.

    SigLIP's names a padding piece of its own but is padded with `</s>`, and Llama's, without one, with `<unk>`: hence
    the texts come first.

    Args:
      path: the `.model` file; empty for the small vocabulary that ships with the package.
      pad: text of the padding marker.
      eos: text of the marker that ends a text.
      bos: text of the marker that begins one.

    Raises:
      UserError: the file is missing, is no SentencePiece model or lacks a marker.
    """

    def __init__(self, path: str = "", *, pad: str = "<pad>", eos: str = "<eos>", bos: str = "<bos>"):
        self.path = pathlib.Path(path) if path else SHIPPED
        self._pieces = _load(self.path)
        self.pad = self._marker(pad, self._pieces.pad_id())
        self.eos = self._marker(eos, self._pieces.eos_id())
        self.bos = self._marker(bos, self._pieces.bos_id())

    @property
    def vocab_size(self) -> int:
        """The number of pieces."""
        return self._pieces.vocab_size()

    def encode(self, text: str) -> list[int]:
        """The ids of `text`, without markers."""
        return self._pieces.encode(text)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids` up to the first eos; other markers, and ids that only the model knows, are left out."""
        return self._pieces.decode([token for token in _before_eos(self, ids) if token < self.vocab_size])

    def _marker(self, text: str, own: int) -> int:
        found = self._pieces.piece_to_id(text)  # of what isn't there, that of unk
        number = found if self._pieces.id_to_piece(found) == text else own
        if number < 0:
            raise _without(self.path, text)
        return number


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
            raise _without(self.path, marker)
        return found


def _without(path: pathlib.Path, marker: str) -> UserError:
    return UserError(f"model.vocabulary: {path} has no marker {marker}; use the tokenizer of this family")


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


def check_rows(tokenizer: Tokenizer, rows: int, size: str, *, n_marks: int = 0) -> None:
    """Refuses a tokenizer with more pieces than a model has rows in its embedding.

    Args:
      tokenizer: of the model.
      rows: of its embedding.
      size: of the model, for the message.
      n_marks: pieces after these that need no row there, such as the image's placeholder in a `tokenizer.json`.

    Raises:
      UserError: it has.
    """
    if tokenizer.vocab_size > rows + n_marks:
        raise UserError(
            f"model.vocabulary: {tokenizer.path} has {tokenizer.vocab_size} pieces but size {size!r} has "
            f"{rows} rows; use a smaller vocabulary or another size"
        )


def _load(path: pathlib.Path) -> sentencepiece.SentencePieceProcessor:
    try:
        return sentencepiece.SentencePieceProcessor(model_proto=path.read_bytes())
    except OSError as error:
        raise UserError(f"model.vocabulary: cannot read {path}: {error.strerror}; name a .model file") from error
    except RuntimeError as error:
        raise UserError(f"model.vocabulary: {path} is not a SentencePiece model; name a .model file") from error
