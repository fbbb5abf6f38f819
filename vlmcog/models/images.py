"""From a picture to the numbers that a vision tower was trained on: resize, crop, scale; imports no jax."""

import dataclasses
from typing import Any, Literal

import numpy as np
import PIL.Image
from jaxtyping import Float

from vlmcog.errors import UserError

_FILTERS = {"bilinear": PIL.Image.Resampling.BILINEAR, "bicubic": PIL.Image.Resampling.BICUBIC}
OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)
OPENAI_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclasses.dataclass(frozen=True)
class ImageRecipe:
    """How a family's images are prepared; the default is big_vision's.

    Attributes:
      resample: the filter, anti-aliased.
      crop: scale the shorter side and cut the middle out; otherwise the whole image is squeezed into the square.
      mean: of red, green, blue in [0, 1], which becomes 0.
      std: of the same, which becomes 1.
    """

    resample: Literal["bilinear", "bicubic"] = "bilinear"
    crop: bool = False
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)

    def square(self, image: np.ndarray, size: int) -> Float[np.ndarray, "size size 3"]:
        """The image as a normalised square.

        Raises:
          UserError: the image is not uint8 [h, w, 3].
        """
        check(image)
        height, width = image.shape[:2]
        if self.crop:
            short = min(height, width)
            height, width = size * height // short, size * width // short
            top, left = (height - size) // 2, (width - size) // 2
            middle = resize(image, (height, width), self.resample)
            return self.scale(middle[top : top + size, left : left + size].astype(np.float32))
        return self.scale(resize(image, (size, size), self.resample).astype(np.float32))

    def scale(self, pixels: Any) -> Any:
        """Normalises float32 pixels from 0 to 255, channels last, of numpy or jax."""
        mean, std = (np.float32(255) * np.array(values, np.float32) for values in (self.mean, self.std))
        ones = (1,) * (pixels.ndim - 1)
        return (pixels - mean.reshape(*ones, 3)) / std.reshape(*ones, 3)


def check(image: np.ndarray) -> None:
    """Raises UserError unless the image is uint8 [h, w, 3]."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] != 3:
        raise UserError(f"an image must be uint8 [h, w, 3], not {image.dtype} {list(image.shape)}; decode it as RGB")


def resize(image: np.ndarray, size: tuple[int, int], resample: Literal["bilinear", "bicubic"]) -> np.ndarray:
    """The uint8 image at (height, width) `size`."""
    height, width = size
    if image.shape[:2] == size:
        return image
    return np.asarray(PIL.Image.fromarray(image).resize((width, height), _FILTERS[resample]))


BIG_VISION = ImageRecipe()
SIGLIP = ImageRecipe(resample="bicubic")
CLIP = ImageRecipe(resample="bicubic", crop=True, mean=OPENAI_MEAN, std=OPENAI_STD)
CLIP_SQUARE = dataclasses.replace(CLIP, crop=False)
