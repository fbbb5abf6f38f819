"""One picture of many scenes with their truths, for looking before believing."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from vlmcog.scenes.labelled import LabelledScene
from vlmcog.scenes.renderers import render

_CAPTION_SHARE = 0.16
_LARGEST_FONT = 0.55
_WIDEST = 0.95


def contact_sheet(
    labelled: Sequence[LabelledScene], *, size: int, columns: int = 6, renderer: str | None = None
) -> Image.Image:
    """Returns the scenes in rows of `columns`, each `size` pixels wide with its truth below.

    `renderer` is the one of `renderers.render`; by default that of each scene's look.
    """
    images = render([one.scene for one in labelled], size, description="rendering", renderer=renderer)
    return sheet(images, [caption(one) for one in labelled], columns=columns)


def sheet(images: UInt8[np.ndarray, "n s s 3"], captions: Sequence[str], *, columns: int) -> Image.Image:
    """Returns images in rows of `columns`, each with its caption below, as large as fits its width."""
    size = images.shape[1]
    caption_height = round(size * _CAPTION_SHARE)
    rows = math.ceil(len(images) / columns)
    picture = Image.new("RGB", (min(columns, len(images)) * size, rows * (size + caption_height)), "white")
    draw = ImageDraw.Draw(picture)
    for index, (image, words) in enumerate(zip(images, captions, strict=True)):
        left, top = index % columns * size, index // columns * (size + caption_height)
        picture.paste(Image.fromarray(np.asarray(image)), (left, top))
        place = (left + size / 2, top + size + caption_height / 2)
        draw.text(place, words, "black", fitting_font(words, size), anchor="mm")
    return picture


def fitting_font(words: str, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The largest font in which the words fit below a picture `size` pixels wide."""
    points = _LARGEST_FONT * round(size * _CAPTION_SHARE)
    while ImageFont.load_default(points).getlength(words) > _WIDEST * size:
        points *= 0.95
    return ImageFont.load_default(points)


def caption(labelled: LabelledScene) -> str:
    """The truth of a scene in a few words."""
    fell, outcome = sum(labelled.outcome.fell), labelled.outcome
    if outcome.removed is not None:
        return f"red away: {fell} of {len(outcome.fell) - 1} fall{'s' if fell == 1 else ''}"
    if outcome.clearances is not None:
        through, alone = ("through" if clearance > 0 else "missed" for clearance in outcome.clearances)
        return f"{through}; {alone} alone"
    margin = "" if outcome.margin is None else f", margin {outcome.margin:+.2f}"
    return f"{'falls' if fell else 'stands'}{margin}"
