"""What every TFDS builder here shares: one layout of trials, and a file format that needs no TensorFlow."""

from typing import Any

import tensorflow_datasets as tfds

from vlmcog.datasets.features import features

FILE_FORMAT = "array_record"


class TrialBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Writes trials as array_record; a subclass has a card (the constants below) and generates the examples."""

    DESCRIPTION: str
    CITATION: str
    HOMEPAGE: str
    LICENSE: str

    def __init__(self, *, file_format: str | None = None, **kwargs: Any):
        super().__init__(file_format=file_format or FILE_FORMAT, **kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.DESCRIPTION,
            features=features(),
            homepage=self.HOMEPAGE,
            citation=self.CITATION,
            license=self.LICENSE,
            metadata=tfds.core.MetadataDict(),
        )

    def _note(self, name: str, value: Any) -> None:
        """Keeps a fact about the making of the set in its metadata."""
        assert isinstance(self.info.metadata, tfds.core.MetadataDict)
        self.info.metadata[name] = value
