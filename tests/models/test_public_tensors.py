"""Every real size has the tensors of its public checkpoint, by name and shape; nothing of that size is made."""

import importlib.util
import pathlib

import jax
import pytest
from flax.traverse_util import flatten_dict

from vlmcog.checkpoints import hugging_face
from vlmcog.models import registry
from vlmcog.models.config import ModelConfig

ROOT = pathlib.Path(__file__).parents[2]
NOT_PUBLIC = ("nano", "tiny")


def _public():
    """(family, size, image size): the table of its tensors."""
    tables = {}
    for path in sorted((ROOT / "tests/public_tensors").glob("*.txt")):
        for part in path.read_text().removeprefix("# ").split("\n# "):
            head, _, lines = part.partition("\n")
            size, image_size = head.split()
            tables[path.stem.partition("-")[0], size, int(image_size)] = lines.strip()
    return tables


PUBLIC = _public()


def _table(tensors):
    spec = importlib.util.spec_from_file_location("list_public_tensors", ROOT / "scripts/list_public_tensors.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script.table(tensors).strip()


@pytest.mark.parametrize(("family", "size", "image_size"), PUBLIC)
def test_a_real_size_has_the_tensors_of_its_checkpoint(family, size, image_size):
    model = registry.build(ModelConfig(family=family, size=size, image_size=image_size))
    leaves = flatten_dict(jax.eval_shape(model.init, jax.random.key(0)), sep="/")
    shapes = {piece.name: piece.padded_shape for piece in hugging_face.plan(model.hugging_face, leaves)}
    assert _table(shapes).splitlines() == PUBLIC[family, size, image_size].splitlines()


@pytest.mark.parametrize("family", sorted({family for family, _, _ in PUBLIC}))
def test_no_public_size_is_left_out(family):
    sizes = {size for size in registry.family(family).SIZES if not size.endswith(NOT_PUBLIC)}
    assert sizes == {size for name, size, _ in PUBLIC if name == family}
