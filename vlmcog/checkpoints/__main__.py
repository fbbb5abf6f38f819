"""The command `python -m vlmcog.checkpoints`: what a checkpoint holds, and the same parameters in another format."""

import argparse
import dataclasses
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict

from vlmcog import command_line
from vlmcog.checkpoints import big_vision, hugging_face, peft, pretrained, safetensors
from vlmcog.errors import UserError
from vlmcog.files import atomic_folder
from vlmcog.models import registry
from vlmcog.models.boundary import Params, VisionLanguageModel
from vlmcog.models.config import DTYPES, ModelConfig
from vlmcog.training import adapters, result
from vlmcog.training import workdir as run
from vlmcog.training.config import TrainConfig

EXAMPLES = """\
examples:
  python -m vlmcog.checkpoints inspect paligemma-3b-pt-224
  python -m vlmcog.checkpoints convert paligemma-3b-pt-224 weights.npz --to big_vision
  python -m vlmcog.checkpoints convert weights.npz out --to huggingface --family paligemma --size 3b --image_size 224
  python -m vlmcog.checkpoints convert paligemma-3b-pt-224 runs/public --to orbax
  python -m vlmcog.checkpoints convert runs/towers exported --to huggingface
  python -m vlmcog.checkpoints convert runs/lora adapters --to peft

SRC is a folder with config.json and safetensors, an .npz in big_vision's format (say --family, --size, --image_size),
or the --workdir of a run. An orbax DST is such a workdir, which `python -m vlmcog.evaluate` takes; it needs a tokenizer
in SRC, or --vocabulary. A run's adapters go to peft alone, and merged to all other formats. DST is whole or absent."""


def main(argv: Sequence[str]) -> None:
    """Reads the command line and does what it says."""
    arguments = _parser().parse_args(argv)
    arguments.act(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m vlmcog.checkpoints",
        description="Looks into checkpoints and converts them.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    inspect = commands.add_parser("inspect", help="print the table of parameters")
    inspect.add_argument("path", type=pathlib.Path, metavar="PATH", help="file, folder or workdir of a run")
    inspect.set_defaults(act=_inspect)
    convert = commands.add_parser("convert", help="write the same parameters in another format")
    convert.add_argument("source", type=pathlib.Path, metavar="SRC", help="what to read")
    convert.add_argument("target", type=pathlib.Path, metavar="DST", help="what to write; must not exist yet")
    convert.add_argument("--to", required=True, choices=sorted(_WRITERS), help="the format of DST")
    convert.add_argument("--family", help="of an .npz, such as paligemma")
    convert.add_argument("--size", help="of an .npz, such as 3b")
    convert.add_argument("--image_size", type=int, help="of an .npz, in pixels")
    convert.add_argument("--vocabulary", help="file of the tokenizer, where SRC has none")
    convert.add_argument("--dtype", choices=DTYPES, help="of DST's parameters (default: SRC's; float32 for others)")
    convert.set_defaults(act=_convert)
    return parser


def _inspect(arguments: argparse.Namespace) -> None:
    rows = _describe(arguments.path)
    width = max((len(name) for name, _, _ in rows), default=0)
    for name, dtype, shape in rows:
        print(f"{name:{width}}  {dtype:8}  {list(shape)}")
    n_parameters = sum(math.prod(shape) for _, _, shape in rows)
    n_bytes = sum(math.prod(shape) * _item_size(dtype) for _, dtype, shape in rows)
    print(f"{len(rows)} tensors, {n_parameters:,} parameters, {n_bytes:,} bytes")


def _describe(path: pathlib.Path) -> list[tuple[str, str, tuple[int, ...]]]:
    """Name, dtype and shape of every parameter; reads none of them."""
    if path.suffix == ".npz":
        return _describe_npz(path)
    if (path / run.CHECKPOINTS).is_dir():
        shapes: dict[str, Any] = flatten_dict(_shapes(registry.build(run.read_config(path).model)), sep="/")
        return [(name, str(leaf.dtype), leaf.shape) for name, leaf in shapes.items()]
    tensors = safetensors.find(path).values()
    return [(tensor.name, str(tensor.dtype), tensor.shape) for tensor in tensors]


def _describe_npz(path: pathlib.Path) -> list[tuple[str, str, tuple[int, ...]]]:
    rows = big_vision.describe(path)
    return [(name, "bfloat16" if dtype.kind == "V" else str(dtype), shape) for name, (dtype, shape) in rows.items()]


def _dtype_of(source: pathlib.Path) -> str:
    """That of a run's or a file's parameters, if they have but one; float32 for those that no model is made of."""
    if _is_run(source):
        return run.read_config(source).model.parameter_dtype
    found = {dtype for _, dtype, _ in _describe(source)}
    return found.pop() if len(found) == 1 and found <= set(DTYPES) else "float32"


def _item_size(dtype: str) -> int:
    return jax.numpy.dtype(dtype).itemsize


def _convert(arguments: argparse.Namespace) -> None:
    if arguments.target.exists():
        raise UserError(f"{arguments.target} exists already; name another DST, or remove it first")
    if not arguments.source.exists():
        raise UserError(f"no checkpoint at {arguments.source}; name a folder, an .npz or the --workdir of a run")
    arguments.dtype = arguments.dtype or _dtype_of(arguments.source)
    config = _config(arguments)
    if arguments.to == "orbax" and not _has_tokenizer(arguments, config):
        raise UserError(
            f"{arguments.source} has no {' or '.join(pretrained.TOKENIZERS)}, without which a run can't read "
            "questions: fetch the model's into it, or name the file as --vocabulary"
        )
    model = registry.build(config)
    _WRITERS[arguments.to](arguments, model)
    print(f"{arguments.target}: {model.name} from {arguments.source}, {arguments.dtype}")


def _is_run(source: pathlib.Path) -> bool:
    return (source / run.CHECKPOINTS).is_dir()


def _has_tokenizer(arguments: argparse.Namespace, config: ModelConfig) -> bool:
    """Whether the model's tokenizer is its own: the one that ships stands in for none, but in a run that learnt it."""
    return bool(config.vocabulary) or _is_run(arguments.source)


def _config(arguments: argparse.Namespace) -> ModelConfig:
    source, vocabulary = arguments.source, arguments.vocabulary
    if _is_run(source):
        if vocabulary:
            raise UserError(f"{source} is a run, which has its tokenizer: leave --vocabulary out")
        return run.read_config(source).model
    if source.suffix == ".npz":
        return _config_of_npz(arguments)
    values = {"parameter_dtype": arguments.dtype} | ({"vocabulary": vocabulary} if vocabulary else {})
    return pretrained.config_of(source if source.is_dir() else source.parent, **values)


def _read(arguments: argparse.Namespace, model: VisionLanguageModel) -> Params:
    source = arguments.source
    if _is_run(source):
        return _as_numpy(result.restore(source, model), arguments.dtype)
    return pretrained.load(source, model, _shapes(model), description=f"reading {source}")


def _as_numpy(params: Any, dtype: str) -> Any:
    return jax.tree.map(lambda leaf: np.asarray(leaf).astype(dtype), params)


def _config_of_npz(arguments: argparse.Namespace) -> ModelConfig:
    if not (arguments.family and arguments.size and arguments.image_size):
        raise UserError(f"{arguments.source} doesn't say what model it is: give --family, --size and --image_size")
    config = ModelConfig(
        family=arguments.family,
        size=arguments.size,
        image_size=arguments.image_size,
        parameter_dtype=arguments.dtype,
        vocabulary=arguments.vocabulary or "",
    )
    _check_in_big_vision(arguments.source, config)
    return config


def _check_in_big_vision(path: pathlib.Path, config: ModelConfig) -> None:
    if not registry.family(config.family).IN_BIG_VISION:
        raise UserError(f"{path}: big_vision has no {config.family}, so no format for one; use --to huggingface")


def _shapes(model: VisionLanguageModel) -> Mapping[str, Any]:
    return jax.eval_shape(model.init, jax.random.key(0))


def _write_hugging_face(arguments: argparse.Namespace, model: VisionLanguageModel) -> None:
    params, target = _read(arguments, model), arguments.target
    with atomic_folder(target) as folder:
        hugging_face.save(folder, model.hugging_face, params, description=f"writing {target}")
        if _has_tokenizer(arguments, model.config):
            pretrained.save_tokenizer(folder, model)


def _write_big_vision(arguments: argparse.Namespace, model: VisionLanguageModel) -> None:
    target = arguments.target
    if target.suffix != ".npz":
        raise UserError(f"{target} must end in .npz, as big_vision's checkpoints do")
    _check_in_big_vision(target, model.config)
    big_vision.save(target, _read(arguments, model), description=f"writing {target}")


def _write_orbax(arguments: argparse.Namespace, model: VisionLanguageModel) -> None:
    """A run of no steps: what evaluate and train take."""
    params = _read(arguments, model)
    config = dataclasses.replace(model.config, parameter_dtype=arguments.dtype)
    with atomic_folder(arguments.target) as folder:
        result.write(folder, TrainConfig(model=config), params)


def _write_peft(arguments: argparse.Namespace, model: VisionLanguageModel) -> None:
    source, layout = arguments.source, model.hugging_face
    config = _adapted(source)
    learnt = adapters.flatten(result.saved(source, model))
    params = flatten_dict(_shapes(model), sep="/") | _as_numpy(learnt, arguments.dtype)
    keeps = peft.plan(layout, config.lora, params).kept
    merged = flatten_dict(_read(arguments, model), sep="/") if keeps else None
    with atomic_folder(arguments.target) as folder:
        peft.save(folder, layout, config.lora, params, base=config.init_from, merged=merged)


def _adapted(source: pathlib.Path) -> TrainConfig:
    """The config of a run that has learnt adapters on something that PEFT could load them on."""
    config = run.read_config(source) if _is_run(source) else None
    if config is None or not config.lora.active:
        raise UserError(f"{source} is no run with adapters (lora.language.rank=8); use --to huggingface")
    if not config.init_from:
        raise UserError(
            f"{source} was trained with no init_from, on weights that no file holds; use --to huggingface, which merges"
        )
    return config


_WRITERS = {
    "huggingface": _write_hugging_face,
    "big_vision": _write_big_vision,
    "orbax": _write_orbax,
    "peft": _write_peft,
}


if __name__ == "__main__":
    command_line.run(main)
