"""A dataset's card: what it is, how it was made and how to read it, in the Markdown that dataset hosts show."""

import inspect
import json
from collections.abc import Mapping
from typing import Any

from vlmcog.datasets.features import Trial
from vlmcog.datasets.specs import DatasetSpec
from vlmcog.tasks.registry import TASKS

SPDX = {"Apache-2.0": "apache-2.0", "MIT": "mit", "CC-BY-4.0": "cc-by-4.0", "CC0-1.0": "cc0-1.0"}


def card(spec: DatasetSpec, info: Any, checksums: Mapping[str, str], tasks: tuple[str, ...]) -> str:
    """Returns the card of a built set.

    Args:
      spec: the set.
      info: its `tfds.core.DatasetInfo`.
      checksums: the SHA-256 of each file by its name.
      tasks: the tasks it asks.
    """
    license_name = info.redistribution_info.license or "unknown"
    counts = {name: split.num_examples for name, split in info.splits.items()}
    parts = [
        _front_matter(spec, license_name, sum(counts.values()), tasks),
        f"# {spec}\n\n{' '.join(info.description.split())}",
        "## Splits\n\n" + _table(("split", "trials"), counts.items()),
        "## Questions\n\n" + _table(("task", "question", "answers"), map(_question, tasks)),
        f"## Reading it\n\n{_reading(spec)}",
        "## Fields\n\n" + _fields(),
        f"## How it was made\n\n```json\n{json.dumps(_making(spec, info), indent=2)}\n```",
        "## Files\n\n`sha256sum -c SHA256SUMS` checks them.\n\n" + _table(("file", "SHA-256"), checksums.items()),
        f"## Licence\n\n{license_name}. Homepage: {info.homepage}",
        f"## Citation\n\n```bibtex\n{info.citation.strip()}\n```",
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(spec: DatasetSpec, license_name: str, trials: int, tasks: tuple[str, ...]) -> str:
    domains = sorted({TASKS[task].domain.replace("_", "-") for task in tasks})
    known = SPDX.get(license_name)
    licence = f"license: {known}" if known else f"license: other\nlicense_name: {json.dumps(license_name)}"
    return (
        f"---\npretty_name: {json.dumps(str(spec))}\n{licence}\nlanguage: [en]\n"
        f"task_categories: [visual-question-answering]\ntags: [{', '.join(domains)}, cognitive-science, tfds]\n"
        f"size_categories: [{_size_category(trials)}]\n---"
    )


def _size_category(trials: int) -> str:
    limits = [(1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M")]
    return next((name for most, name in limits if trials < most), "n>1M")


def _question(task: str) -> tuple[str, str, str]:
    asked = TASKS[task]
    options = asked.answers.options
    ordered = asked.answers.kind in ("count", "rating")
    return task, asked.question, f"{options[0]} to {options[-1]}" if ordered else ", ".join(options)


def _reading(spec: DatasetSpec) -> str:
    return (
        "The folder is a TFDS dataset in array_record files; no TensorFlow is needed.\n\n"
        "```python\nimport tensorflow_datasets as tfds\n\n"
        'source = tfds.builder_from_directory("FOLDER").as_data_source(split="test")\n```\n\n'
        "With vlmcog, and the folder at "
        f"`DATA_DIR/{spec}/VERSION`: `vlmcog.datasets.read.load({str(spec)!r}, 'test', 'DATA_DIR')`."
    )


def _fields() -> str:
    lines = inspect.cleandoc(Trial.__doc__ or "").partition("Attributes:")[2].splitlines()
    fields = " ".join(line.strip() if not _starts_field(line) else f"\n- {line.strip()}" for line in lines)
    return fields.strip()


def _starts_field(line: str) -> bool:
    return line.startswith("  ") and not line.startswith("   ")


def _making(spec: DatasetSpec, info: Any) -> dict[str, Any]:
    made = {"dataset": str(spec), "version": str(info.version), "metadata": dict(info.metadata or {})}
    return made | ({"seed": spec.seed, "look": spec.look} if spec.is_synthetic else {})


def _table(head: tuple[str, ...], rows: Any) -> str:
    lines = [head, ["---"] * len(head), *([str(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
