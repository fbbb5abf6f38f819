"""Croissant metadata (http://mlcommons.org/croissant/1.0): a set's files, fields, licence and citation as JSON-LD."""

import datetime
from collections.abc import Mapping
from typing import Any

from vlmcog.datasets.specs import DatasetSpec

CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
ARRAY_RECORD = "application/x-array-record"
TYPES = {"answer": "sc:Integer", "n_blocks": "sc:Integer", "image": "sc:ImageObject"} | dict.fromkeys(
    ("height", "margin", "top_offset", "confidence"), "sc:Float"
)
PLAIN_FIELDS = (
    "image",
    "item",
    "task",
    "question",
    "options",
    "answer",
    "n_blocks",
    "height",
    "margin",
    "top_offset",
    "confidence",
    "look",
    "split_size",
    "scene",
    "outcome",
)


def croissant(
    spec: DatasetSpec, info: Any, checksums: Mapping[str, str], sizes: Mapping[str, int], made: datetime.date
) -> dict[str, Any]:
    """Returns the metadata of a built set.

    Args:
      spec: the set.
      info: its `tfds.core.DatasetInfo`.
      checksums: the SHA-256 of each file by its name, which is also its address relative to the metadata.
      sizes: bytes of each file.
      made: the day on which the set was made.
    """
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": str(spec).replace("/", "-"),
        "description": " ".join(info.description.split()),
        "url": info.homepage,
        "license": info.redistribution_info.license or "unknown",
        "citeAs": info.citation.strip(),
        "version": str(info.version),
        "datePublished": made.isoformat(),
        "distribution": [
            *(_file(name, checksums[name], sizes[name]) for name in checksums),
            *(_file_set(split, info) for split in info.splits),
        ],
        "recordSet": [_records(split) for split in info.splits],
    }


def _file(name: str, checksum: str, size: int) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "contentUrl": name,
        "contentSize": f"{size} B",
        "encodingFormat": "application/json" if name.endswith(".json") else ARRAY_RECORD,
        "sha256": checksum,
    }


def _file_set(split: str, info: Any) -> dict[str, Any]:
    names = [path.name for path in info.splits[split].filepaths]
    return {
        "@type": "cr:FileSet",
        "@id": f"{split}-files",
        "name": f"{split}-files",
        "containedIn": [{"@id": name} for name in names],
        "encodingFormat": ARRAY_RECORD,
        "includes": f"*-{split}.array_record*",
    }


def _records(split: str) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": split,
        "name": split,
        "description": f"The trials of the split {split}.",
        "field": [_field(split, name) for name in PLAIN_FIELDS],
    }


def _field(split: str, name: str) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"{split}/{name}",
        "name": f"{split}/{name}",
        "dataType": TYPES.get(name, "sc:Text"),
        "source": {"fileSet": {"@id": f"{split}-files"}, "extract": {"column": name}},
    } | ({"repeated": True} if name == "options" else {})
