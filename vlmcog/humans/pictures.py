"""The pictures that people saw, as the RGB PNG files that datasets hold."""

import io
import pathlib

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from vlmcog.errors import UserError

_PNG_END = b"IEND\xaeB`\x82"
_PNG_HEAD = b"\x89PNG"


def read(path: pathlib.Path, *, modes: tuple[str, ...] = ("RGB",), formats: tuple[str, ...] = ("png",)) -> bytes:
    """Returns a picture as an RGB PNG file in the size that it has: its own bytes, if it is one.

    What is transparent is shown on white, as a page shows it, and not in the colour that lies unseen beneath.

    Args:
      path: the file.
      modes: how its colours may be stored, in Pillow's words.
      formats: which kinds of file it may be, in Pillow's words.

    Raises:
      UserError: no such file, not a whole image, of another kind, or with its colours stored otherwise.
    """
    try:
        encoded = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}; restore the picture") from None
    image = _decode(encoded, path, formats)
    if image.mode not in modes:
        raise UserError(f"{path}: a {image.mode} image instead of {' or '.join(modes)}; restore the picture")
    if image.mode == "RGB" and image.format == "PNG":
        return encoded
    return _png(_on_white(image) if image.mode == "RGBA" else image.convert("RGB"))


def decode(png: bytes) -> UInt8[np.ndarray, "h w 3"]:
    """Returns the pixels of what `read` returned."""
    return np.asarray(Image.open(io.BytesIO(png), formats=["png"]))


def _decode(encoded: bytes, path: pathlib.Path, formats: tuple[str, ...]) -> Image.Image:
    kinds = " or ".join(name.upper() for name in formats)
    try:
        Image.open(io.BytesIO(encoded), formats=formats).verify()  # checksums, which decoding passes over
        image = Image.open(io.BytesIO(encoded), formats=formats)
        image.load()
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise UserError(f"{path}: not a whole {kinds} image ({error}); restore the picture") from None
    if encoded.startswith(_PNG_HEAD) and _PNG_END not in encoded:  # Pillow decodes without it
        raise UserError(f"{path}: a PNG image whose end is cut off; restore the picture")
    return image


def _on_white(image: Image.Image) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()
