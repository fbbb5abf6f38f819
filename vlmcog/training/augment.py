"""Changes of an image that leave the answer to its question as it is; numpy only."""

import dataclasses
import re
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import UInt8

Image = UInt8[np.ndarray, "h w 3"]

SHIFT = 1 / 16  # of the image's side: enough to blur absolute positions, too little to cut off a block
COLOURS = "red|green|blue|yellow|purple|turquoise|orange|brown|pink|colou?r"


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """A random change of an image, and a pattern of words in a question whose answer it might change."""

    apply: Callable[[np.random.Generator, Image], Image]
    excluded_words: str = ""

    def suits(self, question: str) -> bool:
        """Whether the answer to `question` survives the change."""
        return not self.excluded_words or not re.search(rf"\b({self.excluded_words})\b", question, re.IGNORECASE)


def mirror(rng: np.random.Generator, image: Image) -> Image:
    """Swaps left and right, every other time."""
    return image[:, ::-1] if rng.integers(2) else image


def shift(rng: np.random.Generator, image: Image) -> Image:
    """Moves the image by up to a sixteenth of its sides; what comes in repeats the edge."""
    for axis, side in enumerate(image.shape[:2]):
        most = max(round(side * SHIFT), 1)
        indices = np.arange(side) + rng.integers(-most, most, endpoint=True)
        image = image.take(np.clip(indices, 0, side - 1), axis=axis)
    return image


def recolour(rng: np.random.Generator, image: Image) -> Image:
    """Puts red, green and blue in a random order."""
    return image[..., rng.permutation(3)]


AUGMENTATIONS: dict[str, Augmentation] = {
    "mirror": Augmentation(mirror, excluded_words="left|right"),
    "shift": Augmentation(shift),
    "recolour": Augmentation(recolour, excluded_words=COLOURS),
}


def augment(rng: np.random.Generator, image: Image, question: str, names: Sequence[str]) -> Image:
    """Applies the named augmentations in order, leaving out those that could change the answer to `question`."""
    for name in names:
        if AUGMENTATIONS[name].suits(question):
            image = AUGMENTATIONS[name].apply(rng, image)
    return image
