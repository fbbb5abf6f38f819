"""Draws the pictures in docs/: `python scripts/draw_pictures.py`, with the extra `mitsuba` installed."""

import pathlib

from PIL import Image

from vlmcog.files import atomic_path
from vlmcog.scenes import pictures
from vlmcog.scenes.looks import LOOKS

_DOCS = pathlib.Path(__file__).parents[1] / "docs"
_STIMULI = (
    ("towers", "cubeworld", (3, 5)),
    ("towers", "wooden", (2, 4)),
    ("pyramids", "cubeworld", (3, 4)),
)


def main():
    rows = [pictures.truths(kind, 4, look=look, sizes=sizes, size=224, columns=4)[0] for kind, look, sizes in _STIMULI]
    _save(_stacked(rows), "stimuli.png")
    _save(pictures.gallery(tuple(LOOKS), ("towers", "pyramids"), seed=0, size=200, columns=6)[0], "looks.png")


def _stacked(rows: list[Image.Image]) -> Image.Image:
    picture = Image.new("RGB", (rows[0].width, sum(row.height for row in rows)))
    top = 0
    for row in rows:
        picture.paste(row, (0, top))
        top += row.height
    return picture


def _save(picture: Image.Image, name: str) -> None:
    with atomic_path(_DOCS / name) as temporary:
        picture.save(temporary, optimize=True)


if __name__ == "__main__":
    main()
