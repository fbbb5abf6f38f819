"""Made-up pictures (noise) and judgments (random) in the layouts of public releases, to run without them."""

import csv
import io
import pathlib

import numpy as np
import pandas as pd
import rdata
from PIL import Image

TOWERS, TOWER_PEOPLE = ("3", "7", "20", "111"), 5
JENGA_TRIALS, JENGA_PEOPLE = (1, 4, 5, 10), 3  # trial 5 has neither truth nor judgments
CLIPS, CLIP_PEOPLE = (1, 2, 8, 13), 4
AGENT_TRIALS, AGENT_WORKERS = (1, 2, 10), (1117, 1101, 1138)
MODELS = ("FUYU", "OTTER", "ADAPTER", "GPT-4V", "CLAUDE-3")
PHYSION_CLIPS = ("pilot_drop_0001", "pilot_drop_0002", "pilot_tower_Ä_0003")
PHYSION_PEOPLE = 20


def write_multimodal(root: pathlib.Path) -> None:
    """Writes what the four sets of lsbuschoff/multimodal are read from."""
    rng = np.random.default_rng(0)
    (root / "data").mkdir(parents=True)
    for write in (_write_towers, _write_jenga, _write_michotte, _write_agents):
        write(root, rng)


def write_physion(root: pathlib.Path) -> None:
    """Writes what `physion` is read from; its frames are in `root/frames`: a file, a JPEG file, a folder."""
    rng = np.random.default_rng(0)
    labels = [["", "ground truth outcome"], ["unseen_0000", "True"]]
    labels += [[clip, k % 2 == 0] for k, clip in enumerate(PHYSION_CLIPS)]
    write_csv(root / "data/readout_labels.csv", labels)
    shares = [
        ["stim_ID", "correct", "c"],
        *([clip, 0.9 - 0.2 * k, PHYSION_PEOPLE] for k, clip in enumerate(PHYSION_CLIPS)),
    ]
    write_csv(root / "results/csv/humans/human_accuracy-drop_pilot.csv", shares[:3])
    write_csv(
        root / "results/csv/humans/human_accuracy-towers_pilot.csv", [shares[0], shares[3], ["unlabelled", 0.5, 20]]
    )
    first, second, third = PHYSION_CLIPS
    write_picture(root / f"frames/{first}.png", rng, size=(16, 16))
    write_picture(root / f"frames/{second}.jpg", rng, size=(16, 12))
    for frame in range(3):
        write_picture(root / f"frames/{third}/{frame:04d}.png", rng, size=(12, 16))


def write_csv(path: pathlib.Path, rows: list, *, delimiter: str = ",") -> None:
    """Writes rows of cells."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)


def write_picture(path: pathlib.Path, rng: np.random.Generator, *, size: tuple[int, int], mode: str = "RGB") -> None:
    """Writes noise of width x height; an RGBA picture has all degrees of transparency."""
    path.parent.mkdir(parents=True, exist_ok=True)
    width, height = size
    Image.fromarray(rng.integers(0, 256, (height, width, len(mode)), dtype=np.uint8), mode).save(path)


def jenga_table(rng: np.random.Generator, condition: str, most: int) -> pd.DataFrame:
    """The data frame of an .RData file; the picture without a truth has no rows."""
    trials = [trial for trial in JENGA_TRIALS if trial != 5]
    rows = [
        {
            "participant": person,
            "condition": condition,
            "order": str(place + 1),
            "trial": float(trial),
            "response": float(rng.integers(0, most + 1)),
            "nbricks": trial + 6,
            "nfall": float(trial % 3),
            "pfall": 0.5,
        }
        for person in range(2, 2 + JENGA_PEOPLE)
        for place, trial in enumerate(trials)
    ]
    table = pd.DataFrame(rows).astype({"participant": "int32", "nbricks": "int32"})
    return table.assign(**{name: _factor(table[name]) for name in ("condition", "order")})


def _factor(texts: pd.Series) -> pd.Categorical:
    return pd.Categorical(texts.astype(object), categories=pd.Index(sorted(set(texts)), dtype=object))


def write_rdata(path: pathlib.Path, name: str, table: pd.DataFrame) -> None:
    """Writes a data frame as R saves it."""
    rdata.write_rda(path, {name: table})


def _write_towers(root: pathlib.Path, rng: np.random.Generator) -> None:
    results = [["Image", "Experiment", "GT", *MODELS, "", ""]]
    results += [[item, experiment, "White", *["Beige"] * 5, "", ""] for experiment in "12" for item in TOWERS]
    blocks = []
    for index, item in enumerate(TOWERS):
        results.append([item, "3", index % 2, "" if index == 3 else 0, 1, 1, *rng.integers(0, 2, 2), "", ""])
        blocks.append([item, *range(13), 2, 1, 4 * (index > 0), 3 * (index > 1), index % 2])
        write_picture(root / f"eval/images/lerer100/{item}.png", rng, size=(32, 32))
    humans = [["", *range(TOWER_PEOPLE)]]
    humans += [[row, *rng.integers(0, 2, TOWER_PEOPLE).astype(float)] for row in range(len(TOWERS))]
    write_csv(root / "data/LERER_RESULTS_NEW.csv", results)
    write_csv(root / "data/tower_human_data.csv", humans)
    (root / "eval/blocks_metadata.txt").write_text("\n".join(" ".join(map(str, row)) for row in blocks) + "\n\n")


def _write_jenga(root: pathlib.Path, rng: np.random.Generator) -> None:
    results = [["Image", "Experiment", "Condition", "GT", *MODELS]]
    results += [[trial, 1, "counting", trial + 5, 7, 4, 5, 6, 7] for trial in JENGA_TRIALS]
    results += [[trial, 2, "prediction", "" if trial == 5 else trial % 3, trial, 4, 1, 2, 0] for trial in JENGA_TRIALS]
    results += [[trial, 3, "responsibility", "", 10 * trial, 50, "", 0, 100] for trial in JENGA_TRIALS]
    write_csv(root / "data/JENGA_RESULTS_REV2.csv", results, delimiter=";")
    for condition, most in (("prediction", 6), ("responsibility", 100)):
        table = jenga_table(rng, condition, most)
        write_rdata(root / f"data/exp1_{condition}.RData", f"df.exp1.{condition}", table)
    for trial in JENGA_TRIALS:
        path = root / f"eval/images/jenga/initial_trial_{trial}_diff_1_index_{trial}.png"
        write_picture(path, rng, size=(80, 60), mode="RGBA")


def _write_michotte(root: pathlib.Path, rng: np.random.Generator) -> None:
    for name, highest in (("outcome", 120), ("counterfactual", 100)):
        ratings = rng.uniform(0, highest, (CLIP_PEOPLE, len(CLIPS)))
        ratings[0, 0] = highest
        means = ratings.mean(0)
        rows = [["", "Model", "Human", "Ind"]]
        for person, given in enumerate(ratings):
            for mean, rating in zip(means, given, strict=True):
                rows.append([len(rows) - 1, mean, rating, f"{person + 12}.0"])
        write_csv(root / f"dataframes/03_michotte/HUMAN_{name}.csv", rows)
    for clip in CLIPS:
        write_picture(root / f"eval/images/michotte_edit/clip_{clip}.png", rng, size=(100, 75), mode="RGBA")
    results = [["SEQ", "COND", *MODELS], *([clip, "color", *["pink"] * 5] for clip in CLIPS)]
    results += [[clip, "outcome", "" if clip == 1 else 0, 5 * clip, 100, 0, 50 + clip] for clip in CLIPS]
    results += [[clip, "counterfactual", "", 5 * clip, 90, "", 0] for clip in CLIPS]
    write_csv(root / "data/MICHOTTE_RESULTS_REV2.csv", results)


def _write_agents(root: pathlib.Path, rng: np.random.Generator) -> None:
    for name, column in (("intention", "int"), ("counterfactual", "cf")):
        rows = [["workerid", column, "trial"]]
        for worker in AGENT_WORKERS:
            rows.append([worker, int(rng.integers(0, 101)), ""])
            rows += [[worker, int(rng.integers(0, 101)), f"{trial}.0"] for trial in rng.permutation(AGENT_TRIALS)]
        write_csv(root / f"data/agents_{name}.csv", rows)
    for trial in AGENT_TRIALS:
        write_picture(root / f"eval/images/agents/{trial}.png", rng, size=(113, 94), mode="RGBA")
    results = [["SEQ", "COND", *MODELS], *([trial, "Color", *["Red"] * 5] for trial in AGENT_TRIALS)]
    results += [[trial, "Intention", "", 10 * trial, "", 50, 100 - trial] for trial in AGENT_TRIALS]
    results += [[trial, "Counterfactual", 0, 9 * trial, "", 0, 50] for trial in AGENT_TRIALS]
    write_csv(root / "data/AGENTS_RESULTS.csv", results)


def _tiny_png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (2, 2)).save(buffer, format="png")
    return buffer.getvalue()


TINY_PNG = _tiny_png()
