"""What the pictures of `python -m vlmcog.scenes` show; each comes with a line that says so."""

from collections.abc import Sequence

from PIL import Image

from vlmcog.scenes.contact_sheet import contact_sheet, sheet
from vlmcog.scenes.generate import KINDS, Made, generate, maker
from vlmcog.scenes.renderers import render
from vlmcog.scenes.sweeps import Level, vary

_SHOWN = 2
"""Of each kind, the item in the gallery: a small one, but not the smallest."""


def truths(
    kind: str,
    count: int,
    *,
    look: str,
    sizes: Sequence[int] = (),
    seed: int = 0,
    size: int = 224,
    columns: int = 6,
    renderer: str | None = None,
) -> tuple[Image.Image, str]:
    """Freshly made scenes, each with its truth; `sizes` are all of the kind's where none is named."""
    made = _make(kind, count, look=look, sizes=sizes, seed=seed)
    simulated, rejected = sum(one.simulated for one in made), sum(one.rejected for one in made)
    picture = contact_sheet([one.labelled for one in made], size=size, columns=columns, renderer=renderer)
    return picture, f"{len(made)} scenes; {rejected} of {simulated} simulated were ambiguous"


def gallery(
    looks: Sequence[str], kinds: Sequence[str], *, seed: int, size: int, columns: int, renderer: str | None = None
) -> tuple[Image.Image, str]:
    """The same scene of each kind in each look."""
    make = [maker(kind, seed=seed, split="test", split_size="small", look=look) for look in looks for kind in kinds]
    scenes = [one(_SHOWN).labelled.scene for one in make]
    images = render(scenes, size, description="rendering", renderer=renderer)
    captions = [f"{scene.look}: {scene.kind}" for scene in scenes]
    return sheet(images, captions, columns=columns), f"{len(looks)} looks"


def along(
    factor: str,
    levels: Sequence[Level],
    *,
    kind: str,
    look: str,
    count: int,
    seed: int,
    size: int,
    renderer: str | None = None,
) -> tuple[Image.Image, str]:
    """Scenes, a row for each, with one factor at each of the levels."""
    made = _make(kind, count, look=look, seed=seed)
    scenes = [vary(one.labelled.scene, factor, level) for one in made for level in levels]
    images = render(scenes, size, description="rendering", renderer=renderer)
    captions = [f"{factor.replace('_', ' ')} {level}" for _ in made for level in levels]
    return sheet(images, captions, columns=len(levels)), f"{factor} at {len(levels)} levels"


def _make(kind: str, count: int, *, look: str, seed: int, sizes: Sequence[int] = ()) -> tuple[Made, ...]:
    sizes = tuple(sizes) or tuple(size for sizes in KINDS[kind].sizes.values() for size in sizes)
    return generate(kind, count, seed=seed, split="test", look=look, sizes=sizes)
