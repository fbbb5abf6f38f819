import pytest

from vlmcog.errors import UserError
from vlmcog.models.config import ModelConfig


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size": "tny"}, r"model\.size='tny' is unknown \(did you mean 'tiny'\?\)"),
        ({"family": "gpt"}, r"model\.family='gpt' is unknown; use one of .*paligemma"),
        ({"compute_dtype": "bfloat"}, r"model\.compute_dtype='bfloat' is unknown \(did you mean 'bfloat16'\?\)"),
        ({"size": "nano", "image_size": 70}, r"model\.image_size=70 .* use for example 72"),
        ({"size": "3b"}, r"model\.image_size=64 .* 14-pixel patch"),
        ({"suffix_length": 1}, r"model\.suffix_length=1"),
        ({"dropout": 1.0}, r"model\.dropout=1\.0"),
    ],
)
def test_what_cannot_be_built_is_refused(values, message):
    with pytest.raises(UserError, match=message):
        ModelConfig(**values)
