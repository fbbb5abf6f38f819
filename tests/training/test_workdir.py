import pytest

from vlmcog.errors import UserError
from vlmcog.training import workdir


def test_a_claimed_workdir_gives_its_config_back(tmp_path, make_config):
    config = make_config(seed=3)
    workdir.check(tmp_path / "run", config)
    assert not (tmp_path / "run").exists()
    workdir.claim(tmp_path / "run", config)
    workdir.check(tmp_path / "run", config)
    assert workdir.read_config(tmp_path / "run") == config


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"seed": 4}, "seed"),
        ({"data": {"batch_size": 24}}, "data.batch_size"),
        ({"model": {"size": "nano"}}, "model.size"),
    ],
)
def test_another_config_is_refused_by_the_key_that_differs(tmp_path, make_config, changes, key):
    workdir.claim(tmp_path, make_config(seed=3))
    before = (tmp_path / "config.json").read_bytes()
    with pytest.raises(UserError, match=rf"holds a run with {key}=.*; use another --workdir") as caught:
        workdir.check(tmp_path, make_config(**{"seed": 3, **changes}))
    assert "\n" not in str(caught.value)
    assert (tmp_path / "config.json").read_bytes() == before


def test_a_run_may_go_on_elsewhere(tmp_path, make_config):
    workdir.claim(tmp_path, make_config())
    workdir.check(tmp_path, make_config(mesh={"data": 2}, data={"data_dir": "/elsewhere", "threads": 8}))


@pytest.mark.parametrize("text", ["", "{", '{"seed": 1, "sed": 2}', '{"seed": "one"}'])
def test_a_damaged_config_is_refused(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError, match=r"config.json|sed|seed"):
        workdir.read_config(tmp_path)


def test_what_is_no_run_is_refused(tmp_path, make_config):
    with pytest.raises(UserError, match="name the --workdir of a training run"):
        workdir.read_config(tmp_path)
    (tmp_path / "checkpoints" / "10").mkdir(parents=True)
    with pytest.raises(UserError, match=r"has checkpoints but no config.json"):
        workdir.check(tmp_path, make_config())
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is a file"):
        workdir.check(tmp_path / "file", make_config())
