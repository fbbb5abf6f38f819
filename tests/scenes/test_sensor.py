"""What a sensor does, measured on pictures whose change is known."""

import numpy as np
import pytest

from vlmcog.scenes.scene import Sensor
from vlmcog.scenes.sensor import expose

SIZE = 101
GREY = np.full((SIZE, SIZE, 3), 100, np.uint8)


def _linear(image):
    return (image / 255.0) ** 2.2


def _picture(**pixels):
    image = np.zeros((SIZE, SIZE, 3), np.uint8)
    image[tuple(pixels.values())] = 255
    return image


def test_a_perfect_sensor_changes_no_byte():
    image = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    assert expose(image, Sensor(), seed=0) is image
    np.testing.assert_array_equal(expose(image, Sensor(exposure=1 + 1e-9), seed=0), image)


@pytest.mark.parametrize("exposure", [0.5, 2.0])
def test_exposure_scales_light(exposure):
    exposed = expose(GREY, Sensor(exposure=exposure), seed=0)
    np.testing.assert_allclose(_linear(exposed), exposure * _linear(GREY), rtol=0.02)


def test_a_vignette_takes_its_share_of_the_corners_and_none_of_the_centre():
    seen = _linear(expose(GREY, Sensor(vignette=0.4), seed=0)) / _linear(GREY)
    assert seen[SIZE // 2, SIZE // 2] == pytest.approx(1, abs=0.01)
    np.testing.assert_allclose(seen[[0, 0, -1, -1], [0, -1, 0, -1]], 0.6, atol=0.02)


def test_blur_spreads_a_point_by_its_deviation():
    sigma = 20 / 1000 * SIZE
    light = _linear(expose(_picture(row=50, column=slice(None)), Sensor(blur=20.0), seed=0))[:, 50, 0]
    rows = np.arange(SIZE) - 50
    assert light.sum() == pytest.approx(1, abs=0.02)
    assert np.sqrt((light * rows**2).sum() / light.sum()) == pytest.approx(sigma, rel=0.03)


def test_noise_has_its_deviation_and_follows_the_seed():
    one, same, other = (expose(GREY, Sensor(noise=0.1), seed=seed) for seed in (1, 1, 2))
    assert (one / 255.0).std() == pytest.approx(0.1, rel=0.03)
    assert (one / 255.0).mean() == pytest.approx(100 / 255, abs=0.01)
    np.testing.assert_array_equal(one, same)
    assert (one != other).mean() > 0.9


def test_compression_costs_more_at_a_lower_quality():
    image = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    lost = [np.abs(expose(image, Sensor(jpeg_quality=q), seed=0).astype(int) - image).mean() for q in (10, 50, 95)]
    assert lost[0] > lost[1] > lost[2] > 0


@pytest.mark.parametrize(("coefficient", "bows_outward"), [(0.15, True), (-0.1, False)])
def test_a_lens_bends_lines_and_shows_nothing_from_outside(coefficient, bows_outward):
    line = _picture(row=slice(None), column=15)
    seen = expose(line, Sensor(distortion=coefficient), seed=0)[..., 0].astype(float)
    place = (seen * np.arange(SIZE)).sum(-1) / seen.sum(-1)
    assert (place[SIZE // 2] < place[5] - 1) == bows_outward
    np.testing.assert_allclose(place, place[::-1], atol=0.05)
    np.testing.assert_array_equal(expose(GREY, Sensor(distortion=coefficient), seed=0), GREY)
