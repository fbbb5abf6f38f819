"""Builds without waiting: a stand-in for the renderer, whose pictures depend on the scene's seed alone."""

import zlib

import numpy as np
import pytest

from vlmcog.scenes import render


def draw(scenes, size=224, **_):
    """Returns noise that differs from scene to scene and is the same for the same scene."""
    digests = [zlib.crc32(scene.to_json().encode()) for scene in scenes]
    return np.stack([np.random.default_rng(d).integers(0, 256, (size, size, 3), dtype=np.uint8) for d in digests])


@pytest.fixture
def quick_renderer(monkeypatch):
    monkeypatch.setattr(render, "render", draw)


@pytest.fixture(scope="session")
def quick_render():
    """The stand-in itself, for fixtures that outlive a test."""
    return draw
