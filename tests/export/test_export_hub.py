"""Runs on the hub: pushed, opened by name, and drawing the same."""

from __future__ import annotations

import numpy as np
import pytest

import ganlet
from ganlet.cli import main
from ganlet.errors import ConfigError, EnvironmentProblem, RunError
from ganlet.export import push
from ganlet.export.hub import pack

# huggingface_hub 2.4 uploads files in a way that httpx2 has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

NAME = "hf:somebody/faces"
KEY = ("model", "somebody/faces")


@pytest.fixture
def token(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_token")


def test_a_run_that_was_pushed_draws_the_same_by_its_name(plain_run, hub, token, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert push(plain_run.path, NAME, page=False) == f"{hub.address}/somebody/faces"
    repo = hub.repos[KEY]
    assert len(repo.commits) == 2  # that of the empty repository, and one for all files
    assert not repo.private
    assert repo.files.keys() - {".gitattributes"} == {"README.md", "generator.safetensors", "samples.png"}
    expected = ganlet.sample(plain_run.path, 5, seed=3)
    np.testing.assert_array_equal(ganlet.sample(NAME, 5, seed=3), expected)
    run = ganlet.open_run(NAME)
    np.testing.assert_array_equal(run.sample(5, seed=3), expected)
    assert run.config.generator == plain_run.config.generator
    assert run.history == []
    state, theirs = ganlet.load(NAME).state_dict(), plain_run.generator.state_dict()
    assert all(state[name].equal(theirs[name]) for name in theirs)
    assert run.lab().path.name == "faces-lab"
    with pytest.raises(RunError, match="needs the folder of a run"):
        run.diagnose()


def test_a_run_opened_by_name_stays_what_it_is(plain_run, hub, token):
    push(plain_run.path, NAME, page=False)
    run = ganlet.open_run(NAME)
    before = run.sample(2)
    push(plain_run.path, NAME, page=False, checkpoint=64)
    np.testing.assert_array_equal(run.sample(2), before)
    assert not np.array_equal(ganlet.sample(NAME, 2), before)


def test_the_card_says_by_which_name_it_is_opened_and_nothing_tells_of_this_machine(plain_run, parcel):
    assert f'ganlet.sample("{NAME}", 16, seed=0)' in parcel.files["README.md"].decode()
    for data in parcel.files.values():
        assert str(plain_run.path.parent).encode() not in data
    assert pack(plain_run.path, NAME, page=False).files == parcel.files


def test_a_folder_of_the_same_layout_is_opened_too(plain_run, parcel, tmp_path):
    for name, data in parcel.files.items():
        (tmp_path / name).write_bytes(data)
    np.testing.assert_array_equal(ganlet.sample(tmp_path, 3), ganlet.sample(plain_run.path, 3))
    np.testing.assert_array_equal(ganlet.open_run(tmp_path).sample(3), ganlet.sample(plain_run.path, 3))


def test_a_page_goes_with_it_where_one_can_be_made(plain_run, monkeypatch):
    def to_web(run, out, **settings):
        out.write_bytes(b"<html>")

    monkeypatch.setattr("ganlet.export.to_web", to_web, raising=False)
    assert pack(plain_run.path, NAME).files["index.html"] == b"<html>"
    assert "index.html" not in pack(plain_run.path, NAME, page=False).files

    def cannot(run, out, **settings):
        raise ConfigError("The page does not know an operator.")

    monkeypatch.setattr("ganlet.export.to_web", cannot)
    assert "index.html" not in pack(plain_run.path, NAME).files


def test_a_private_one_is_shown_to_its_owner_only(plain_run, hub, token, parcel, monkeypatch):
    monkeypatch.setattr("ganlet.export.hub.pack", lambda *arguments, **settings: parcel)
    push(plain_run.path, NAME, private=True, page=False)
    assert hub.repos[KEY].private
    assert len(ganlet.sample(NAME, 2)) == 2
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(RunError, match="does not show it"):
        ganlet.sample(NAME, 2)


def test_names_that_one_cannot_push_to(plain_run, hub, token):
    hub.put("somebody/taken", {"model.bin": b"mine"})
    hub.put("somebody/public", {"generator.safetensors": b"x"})
    for name, error, words in (
        ("hf:other/faces", ConfigError, "belongs to somebody else"),
        ("hf:somebody/taken", RunError, "name is taken"),
        ("hf:somebody/faces@v1", ConfigError, "no revision yet"),
        ("faces", ConfigError, "no name on the hub"),
    ):
        with pytest.raises(error, match=words):
            push(plain_run.path, name, page=False)
    with pytest.raises(RunError, match="everybody sees it"):
        push(plain_run.path, "hf:somebody/public", private=True, page=False)
    assert not [request for request in hub.requests if request.startswith(("PUT", "POST"))]


@pytest.mark.parametrize("token", [None, "hf_wrong"])
def test_without_a_token_nothing_is_pushed(plain_run, hub, token, monkeypatch):
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(EnvironmentProblem, match=r"asks who you are|does not let you") as caught:
        push(plain_run.path, NAME, page=False)
    assert "hf auth login" in caught.value.hint
    assert not hub.repos


@pytest.fixture(scope="session")
def parcel(plain_run):
    return pack(plain_run.path, NAME, page=False)


@pytest.mark.parametrize("where", ["/api/repos/create", "/preupload/", "/objects/batch", "/blobs/", "/commit/"])
def test_an_error_half_way_leaves_nothing_of_the_run(plain_run, hub, token, where, parcel, monkeypatch):
    monkeypatch.setattr("ganlet.export.hub.pack", lambda *arguments, **settings: parcel)
    hub.failing = lambda method, path: 403 if where in path else None
    with pytest.raises(EnvironmentProblem, match="Nothing was pushed") as caught:
        push(plain_run.path, NAME, page=False)
    made = KEY in hub.repos
    assert made == (where != "/api/repos/create") == ("An empty repository was made" in caught.value.what)
    assert not made or hub.repos[KEY].files.keys() == {".gitattributes"}
    hub.failing = lambda method, path: None
    push(plain_run.path, NAME, page=False)
    assert "generator.safetensors" in hub.repos[KEY].files


def command(monkeypatch, capsys, *arguments):
    monkeypatch.setattr("sys.argv", ["ganlet", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code or 0, *capsys.readouterr()


def test_the_command_lists_and_pushes_only_when_told_to(plain_run, hub, token, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, out, err = command(monkeypatch, capsys, "push", plain_run.path, NAME, "--private", "--no-page")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["README.md", "generator.safetensors", "samples.png"]
    assert f"{NAME} --private --no-page --yes" in err
    assert not hub.requests
    code, out, _ = command(monkeypatch, capsys, "push", plain_run.path, NAME, "--no-page", "--yes")
    assert (code, out) == (0, f"{hub.address}/somebody/faces\n")
    code, out, _ = command(monkeypatch, capsys, "sample", NAME, "--num", 4, "--seed", 7)
    assert (code, out) == (0, "sample-7.png\n")
    code, out, _ = command(monkeypatch, capsys, "whence", "sample-7.png", NAME)
    assert code == 0
    assert "the same in every bit" in out
    code, out, _ = command(monkeypatch, capsys, "export", NAME, "--format", "safetensors")
    assert (code, out) == (0, "faces-portable.safetensors\n")


def test_training_cannot_begin_from_a_name(tiny_config, tmp_path):
    with pytest.raises(RunError, match="needs the folder of a run"):
        ganlet.train(tiny_config({"train.init_from": NAME}), tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()
