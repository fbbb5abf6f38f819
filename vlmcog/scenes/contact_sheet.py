"""One picture of many scenes with their truths, for looking before believing."""

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vlmcog.scenes.labelled import LabelledScene
from vlmcog.scenes.render import render

_CAPTION_SHARE = 0.16


def contact_sheet(labelled: Sequence[LabelledScene], *, size: int, columns: int = 6) -> Image.Image:
    """Returns the scenes in rows of `columns`, each `size` pixels wide with its truth below."""
    images = render([one.scene for one in labelled], size, description="rendering")
    caption_height = round(size * _CAPTION_SHARE)
    rows = math.ceil(len(images) / columns)
    sheet = Image.new("RGB", (columns * size, rows * (size + caption_height)), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(0.55 * caption_height)
    for index, (image, one) in enumerate(zip(images, labelled, strict=True)):
        left, top = index % columns * size, index // columns * (size + caption_height)
        sheet.paste(Image.fromarray(np.asarray(image)), (left, top))
        draw.text((left + caption_height // 4, top + size + caption_height // 6), caption(one), "black", font)
    return sheet


def caption(labelled: LabelledScene) -> str:
    """The truth of a scene in a few words."""
    fell, outcome = sum(labelled.outcome.fell), labelled.outcome
    if outcome.removed is not None:
        return f"red away: {fell} of {len(outcome.fell) - 1} fall{'s' if fell == 1 else ''}"
    margin = "" if outcome.margin is None else f", margin {outcome.margin:+.2f}"
    return f"{'falls' if fell else 'stands'}{margin}"
