"""The floors of the house: what a room may not know, it may not import."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[1] / "vlmcog"
COMMANDS = {"train", "evaluate", "quickstart", "study"}
STAGES = {"scenes", "tasks", "humans"}
MODELS = {"models", "checkpoints", "training"}
FORBIDDEN = {
    "scenes": MODELS | {"tasks", "humans", "datasets", "evaluation", "report"},
    "tasks": MODELS | {"datasets", "evaluation", "report"},
    "humans": MODELS | {"evaluation", "report"},
    "statistics": MODELS | STAGES | {"datasets", "evaluation", "report"},
    "datasets": MODELS | {"evaluation", "report"},
    "models": STAGES | {"datasets", "evaluation", "report", "training", "checkpoints"},
    "checkpoints": STAGES | {"datasets", "evaluation", "report"},
    "training": STAGES | {"evaluation", "report"},  # of datasets it knows the layout of their features
}

MEETS_BOTH = {"training/device_source.py"}  # draws scenes for a model on its own devices


def _imports(file):
    """What of vlmcog a file imports, anywhere in it: the parts of each dotted name after `vlmcog`."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from (name.split(".")[1:] for name in names if name.startswith("vlmcog."))


@pytest.mark.parametrize("room", sorted(path.name for path in ROOT.iterdir() if (path / "__init__.py").exists()))
def test_a_room_imports_only_what_it_stands_on(room):
    known = set() if room in COMMANDS else FORBIDDEN.get(room, set()) | COMMANDS
    assert FORBIDDEN.keys() <= {path.name for path in ROOT.iterdir()}
    for file in sorted((ROOT / room).rglob("*.py")):
        name = file.relative_to(ROOT).as_posix()
        for first, *rest in _imports(file):
            assert first not in known or name in MEETS_BOTH, f"{name} imports {first}.{'.'.join(rest)}"
            assert "__main__" not in rest, f"{name} imports a command"
