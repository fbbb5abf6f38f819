"""Pictures: an RGB PNG file stays as it is, anything else is shown as a page shows it, and damage is named."""

import io

import numpy as np
import pytest
from PIL import Image

from vlmcog.errors import UserError
from vlmcog.humans import pictures

EVERY = {"modes": ("RGB", "RGBA", "L", "P"), "formats": ("png", "jpeg")}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "picture.png"


def _noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_rgb_png_keeps_its_bytes(path):
    Image.fromarray(_noise(6, 8, 3)).save(path)
    png = pictures.read(path)
    assert png == path.read_bytes()
    np.testing.assert_array_equal(pictures.decode(png), _noise(6, 8, 3))


def test_transparent_pixels_show_a_white_page(path):
    pixels = np.zeros((1, 3, 4), np.uint8)  # black beneath
    pixels[0, :, 3] = 0, 128, 255
    Image.fromarray(pixels).save(path)
    shown = pictures.decode(pictures.read(path, modes=("RGBA",)))
    np.testing.assert_array_equal(shown[0, :, 0], [255, 127, 0])


def test_opaque_pixels_keep_their_colours(path):
    pixels = _noise(6, 8, 4)
    pixels[..., 3] = 255
    Image.fromarray(pixels).save(path)
    np.testing.assert_array_equal(pictures.decode(pictures.read(path, modes=("RGBA",))), pixels[..., :3])


def test_grey_and_palette_pictures_become_rgb(path):
    grey = Image.fromarray(_noise(6, 8))
    for image in (grey, grey.quantize(256)):
        image.save(path)
        np.testing.assert_array_equal(pictures.decode(pictures.read(path, **EVERY)), np.asarray(image.convert("RGB")))


def test_jpeg_is_decoded_once(tmp_path):
    path = tmp_path / "picture.jpg"
    Image.fromarray(_noise(16, 16, 3)).save(path)
    np.testing.assert_array_equal(pictures.decode(pictures.read(path, **EVERY)), np.asarray(Image.open(path)))


def test_other_kinds_are_refused(path):
    Image.fromarray(_noise(6, 8, 4)).save(path)
    with pytest.raises(UserError, match=r"picture.png: a RGBA image instead of RGB"):
        pictures.read(path)
    buffer = io.BytesIO()
    Image.fromarray(_noise(6, 8, 3)).save(buffer, format="jpeg")
    path.write_bytes(buffer.getvalue())
    with pytest.raises(UserError, match="not a whole PNG image"):
        pictures.read(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UserError, match="not a whole PNG or JPEG image"):
        pictures.read(path, **EVERY)


def test_missing_picture_is_named(path):
    with pytest.raises(UserError, match=r"cannot read .*picture\.png"):
        pictures.read(path)
