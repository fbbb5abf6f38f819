"""The photographs of block towers and people's judgments of them, from the release of Schulze Buschoff et al. (2025).

Read from a checkout of https://github.com/lsbuschoff/multimodal, whole or a sample with the same layout:

    data/LERER_RESULTS_NEW.csv    rows with Experiment 3 hold an image's id and whether the tower fell (GT)
    data/tower_human_data.csv     its k-th row holds every person's answer (1: will fall) to the k-th of those images
    eval/blocks_metadata.txt      a row for each tower: column 1 the id, 15-18 the blocks' colours (0: none), 19 fell
    eval/images/lerer100/ID.png   the photographs
"""

import csv
import dataclasses
import hashlib
import io
import pathlib
from collections.abc import Iterator

import numpy as np
import pandas as pd
from jaxtyping import UInt8
from PIL import Image

from vlmcog.errors import UserError
from vlmcog.humans import judgments
from vlmcog.tasks.towers import TOWER_FALLS

REPOSITORY = "https://github.com/lsbuschoff/multimodal"
RESULTS = "data/LERER_RESULTS_NEW.csv"
HUMANS = "data/tower_human_data.csv"
BLOCKS = "eval/blocks_metadata.txt"
PHOTOS = "eval/images/lerer100"
STABILITY_EXPERIMENT = "3"
DROPPED = (
    f"{RESULTS}: the colour and counting experiments (1, 2) and the models' answers",
    f"{BLOCKS}: everything but the number of blocks",
)

_BINARY = {"0": 0, "0.0": 0, "1": 1, "1.0": 1}
_BLOCK_COLUMNS = 19
_PNG_END = b"IEND\xaeB`\x82"


@dataclasses.dataclass(frozen=True, eq=False)
class Photo:
    """One tower: its id, the photograph (decoded, and as the PNG file), whether it fell (0 or 1), its blocks."""

    item: str
    image: UInt8[np.ndarray, "h w 3"]
    png: bytes
    fell: int
    n_blocks: int


@dataclasses.dataclass(frozen=True, eq=False)
class Release:
    """The towers and the judgment table of everyone who judged them (response 1: will fall)."""

    photos: tuple[Photo, ...]
    judgments: pd.DataFrame

    def digest(self) -> str:
        """Returns a digest of everything read, which tells one release, or sample of it, from another."""
        digest = hashlib.sha256(self.judgments.to_csv(index=False).encode())
        for photo in self.photos:
            digest.update(f"{photo.item} {photo.fell} {photo.n_blocks}".encode() + photo.png)
        return digest.hexdigest()


def read(release: pathlib.Path) -> Release:
    """Reads the towers of a checkout and every judgment of them.

    Raises:
      UserError: anything missing, malformed or inconsistent; names the file, the row, the column and the value.
    """
    for name in (RESULTS, HUMANS, BLOCKS, PHOTOS):
        if not (release / name).exists():
            raise UserError(f"{release}: no {name}; a release is a checkout of {REPOSITORY}")
    truths = _read_truths(release / RESULTS)
    n_blocks = _read_n_blocks(release / BLOCKS, truths)
    table = _read_judgments(release / HUMANS, list(truths))
    photos = []
    for item, fell in truths.items():
        path = release / PHOTOS / f"{item}.png"
        png = _read_photo(path, item)
        photos.append(Photo(item, _decode(png, path), png, fell, n_blocks[item]))
    _refuse_extra_photos(release / PHOTOS, truths)
    return Release(tuple(photos), table)


def _read_truths(path: pathlib.Path) -> dict[str, int]:
    """Returns whether each tower fell, in the file's order, which is that of the rows of the judgments."""
    truths: dict[str, int] = {}
    for line, row in _rows(path, needs=("Image", "Experiment", "GT")):
        if row["Experiment"] != STABILITY_EXPERIMENT:
            continue
        item = row["Image"]
        if not item.isdecimal() or item in truths:
            raise _wrong(path, line, "Image", item, "each tower has one row with a number of its own")
        truths[item] = _binary(row["GT"], path, line, "GT")
    if not truths:
        raise UserError(
            f"{path}: no row of Experiment {STABILITY_EXPERIMENT}, the stability question; restore the file"
        )
    return truths


def _read_judgments(path: pathlib.Path, items: list[str]) -> pd.DataFrame:
    """Returns the long table of a file with a row for each item and a column for each participant."""
    rows = list(_rows(path, needs=("",)))
    if len(rows) != len(items):
        raise UserError(f"{path}: {len(rows)} rows of judgments for the {len(items)} towers of {RESULTS}; restore both")
    answers = []
    for index, (item, (line, row)) in enumerate(zip(items, rows, strict=True)):
        label = row.pop("")
        if label != str(index):
            raise _wrong(path, line, "1", label, f"rows are numbered from 0, so this one is {index}; restore the order")
        answers += [(person, item, _binary(cell, path, line, person)) for person, cell in row.items()]
    table = pd.DataFrame(answers, columns=["participant", "item", "response"])
    return judgments.check(table.assign(task=TOWER_FALLS.name), source=str(path))


def _read_n_blocks(path: pathlib.Path, truths: dict[str, int]) -> dict[str, int]:
    """Returns the number of blocks of each tower; the file says once more whether it fell, and has to agree."""
    n_blocks = {}
    for line, text in enumerate(_read_text(path).splitlines(), 1):
        columns = text.split()
        if columns and len(columns) != _BLOCK_COLUMNS:
            raise UserError(f"{path}, row {line}: {len(columns)} columns instead of {_BLOCK_COLUMNS}; restore the file")
        if columns and columns[0] in truths:
            item, fell = columns[0], truths[columns[0]]
            if columns[-1] != str(fell):
                raise _wrong(path, line, "19", columns[-1], f"{RESULTS} says {fell} for image {item}; restore both")
            n_blocks[item] = sum(colour != "0" for colour in columns[14:18])
    missing = [item for item in truths if item not in n_blocks]
    if missing:
        raise UserError(f"{path}: no row for image {missing[0]} of {RESULTS}; restore the file")
    return n_blocks


def _read_photo(path: pathlib.Path, item: str) -> bytes:
    if not path.is_file():
        raise UserError(f"no photograph {path} for image {item} of {RESULTS}; restore it from {REPOSITORY}")
    return path.read_bytes()


def _decode(png: bytes, path: pathlib.Path) -> UInt8[np.ndarray, "h w 3"]:
    try:
        Image.open(io.BytesIO(png), formats=["png"]).verify()  # checksums, which decoding passes over
        image = Image.open(io.BytesIO(png), formats=["png"])
        pixels = np.asarray(image)
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise UserError(f"{path}: not a whole PNG image ({error}); restore it from {REPOSITORY}") from None
    if _PNG_END not in png:  # Pillow decodes without it
        raise UserError(f"{path}: a PNG image whose end is cut off; restore it from {REPOSITORY}")
    if image.mode != "RGB":
        raise UserError(f"{path}: a {image.mode} image instead of RGB; restore it from {REPOSITORY}")
    return pixels


def _refuse_extra_photos(folder: pathlib.Path, truths: dict[str, int]) -> None:
    extra = sorted(path.name for path in folder.glob("*.png") if path.stem not in truths)
    if extra:
        raise UserError(
            f"{folder}: {extra[0]} has no row of Experiment {STABILITY_EXPERIMENT} in {RESULTS}; restore both"
        )


def _rows(path: pathlib.Path, *, needs: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields each row of a CSV file with its line number; columns can be told apart and no cell is missing."""
    reader = csv.reader(io.StringIO(_read_text(path)))
    header = next(reader, [])
    for column in needs:
        if column not in header:
            raise UserError(f"{path}: no column {column!r} among {header[:4]}...; restore it from {REPOSITORY}")
    for column in {*filter(None, header), *needs}:  # the whole release has several nameless columns that nobody needs
        if header.count(column) > 1:
            raise UserError(f"{path}: two columns are named {column!r}; restore it from {REPOSITORY}")
    for cells in reader:
        if len(cells) != len(header):
            raise UserError(
                f"{path}, row {reader.line_num}: {len(cells)} cells for {len(header)} columns; restore the file"
            )
        yield reader.line_num, dict(zip(header, cells, strict=True))


def _read_text(path: pathlib.Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path}: {error}; restore it from {REPOSITORY}") from None


def _binary(cell: str, path: pathlib.Path, line: int, column: str) -> int:
    if cell not in _BINARY:
        raise _wrong(path, line, column, cell, "it is 1 (falls) or 0 (stands); correct it or restore the file")
    return _BINARY[cell]


def _wrong(path: pathlib.Path, line: int, column: str, value: object, advice: str) -> UserError:
    return UserError(f"{path}, row {line}, column {column}: {value!r}; {advice}")
