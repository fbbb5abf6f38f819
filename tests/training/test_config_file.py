import pytest

from vlmcog.errors import UserError
from vlmcog.training import config_file

FILE = """
from vlmcog.training import config as config_lib
from vlmcog.training.config_file import choose

def get_config(arg=""):
    config = config_lib.default()
    config.total_steps = choose(arg, {"short": 300, "long": 900})
    return config
"""


@pytest.fixture
def path(tmp_path):
    (tmp_path / "brief.py").write_text(FILE)
    return str(tmp_path / "brief.py")


def test_file_argument_and_overrides(path):
    assert config_file.load(path).total_steps == 300
    assert config_file.load(f"{path}:long").total_steps == 900
    overrides = [
        "--config.total_steps=500",
        "--config.optimizer.learning_rate=1",
        "--config.data.tasks=red_block_any",
        '--config.data.augment=("shift", "mirror")',
        '--config.optimizer.trainable=(("img/.*", False), (".*", True))',
        "--config.model.scan=True",
        "--config.seed",
        "7",
    ]
    config = config_file.load(f"{path}:long", overrides)
    assert (config.total_steps, config.seed, config.optimizer.learning_rate) == (500, 7, 1.0)
    assert config.data.tasks == ("red_block_any",)
    assert config.data.augment == ("shift", "mirror")
    assert config.optimizer.trainable == (("img/.*", False), (".*", True))
    assert config.model.scan


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["--config.optimizer.learning_rat=1"], "'optimizer.learning_rat' is unknown .did you mean 'optimizer.learn"),
        (["--config.batch_size=1"], "'batch_size' is unknown .did you mean 'data.batch_size'"),
        (["--config.total_steps=soon"], "total_steps.*'soon'"),
        (["--config.optimizer.learning_rate=fast"], "learning_rate.*'fast'"),
        (["--config.model.scan=perhaps"], "scan.*perhaps"),
        (["--config.data.augment=shift, mirror"], "augment"),
        (["--config.total_steps"], "total_steps"),
        (["--totalsteps=3"], "--totalsteps .did you mean '--config.total_steps"),
        (["--wrkdir", "x"], "--wrkdir .did you mean '--workdir"),
        (["stray"], "'stray'"),
    ],
)
def test_mistakes_on_the_command_line_take_one_line(path, overrides, message):
    with pytest.raises(UserError, match=message) as caught:
        config_file.load(path, overrides)
    assert "\n" not in str(caught.value)


def test_an_unknown_argument_is_refused_with_a_suggestion(path):
    with pytest.raises(UserError, match=r"'shot' is unknown .did you mean 'short'"):
        config_file.load(f"{path}:shot")


def test_a_missing_file_is_refused_with_a_suggestion(path):
    with pytest.raises(UserError, match=r"brif.py is not a Python file .did you mean '.*brief.py'"):
        config_file.load(path.replace("brief", "brif"))


def test_mistakes_in_the_file_are_named_too(path, tmp_path):
    (tmp_path / "bad.py").write_text(FILE.replace("config.total_steps =", "config.data.bach_size ="))
    with pytest.raises(UserError, match=r"'data.bach_size' is unknown .did you mean 'data.batch_size'"):
        config_file.load(str(tmp_path / "bad.py"))
