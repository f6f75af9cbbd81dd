from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ganlet.config import RunConfig, build_config, dump_yaml, files, parse_override, parse_yaml, presets, validate
from ganlet.config.tree import paths
from ganlet.errors import ConfigError
from ganlet.networks.settings import GENERATORS
from ganlet.objective.losses import LOSSES, Hinge
from ganlet.objective.penalties import PENALTIES
from ganlet.workflows.configuring import make_config


def one_of(registry: dict) -> str:
    """What is told of the kinds there are."""
    return f"one of {', '.join(sorted(registry))}"


def problems(*layers: dict) -> list[str]:
    """What is said about each wrong setting."""
    with pytest.raises(ConfigError) as caught:
        build_config(layers)
    assert caught.value.exit_code == 2
    return [line.removeprefix("  - ") for line in caught.value.what.splitlines()[1:]]


# Overrides


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("seed=3", {"seed": 3}),
        ("train.batch_size=32", {"train": {"batch_size": 32}}),
        (" generator.optimizer.lr = 1e-4 ", {"generator": {"optimizer": {"lr": 1e-4}}}),
        ("data.size=[48, 64]", {"data": {"size": [48, 64]}}),
        ("data.source=a=b", {"data": {"source": "a=b"}}),
        ("data.source=no", {"data": {"source": "no"}}),
        ("data.background=#00ff00", {"data": {"background": "#00ff00"}}),
        ("data.source=my faces #2", {"data": {"source": "my faces #2"}}),
        ("data.source='my faces #2'", {"data": {"source": "my faces #2"}}),
        ("objective.loss={kind: hinge}", {"objective": {"loss": {"kind": "hinge"}}}),
        ("preset=", {"preset": None}),
    ],
)
def test_an_override_is_a_path_and_a_value(text, tree):
    assert parse_override(text) == tree


@pytest.mark.parametrize("text", ["seed", "=3", "", ".=1", "train..batch_size=3", "train.=3", " =1"])
def test_an_override_without_path_or_value_is_refused(text):
    with pytest.raises(ConfigError, match="must look like key=value") as caught:
        parse_override(text)
    assert caught.value.where == f"--set {text}"


@pytest.mark.parametrize("text", ["seed=[1", "seed=!!int 3", "seed=3\nb: 4", "data.source=\udcff", "seed=*a"])
def test_a_value_that_is_no_yaml_is_refused(text):
    with pytest.raises(ConfigError, match="not a config") as caught:
        parse_override(text)
    assert str(caught.value.where).startswith(f"--set {text}, line")


def test_the_last_layer_lies_on_top():
    config = build_config([{"seed": 1, "train": {"batch_size": 8}}, {"train": {"n_critic": 2}}, {"seed": 2}])
    assert (config.seed, config.train.batch_size, config.train.n_critic) == (2, 8, 2)
    assert config.train.log_every == RunConfig().train.log_every


# Every problem at once, with its path


def test_all_problems_are_told_at_once():
    found = problems(
        {
            "seed": -1,
            "train": {"batch_size": 1, "lgo_every": 3},
            "objective": {"penalties": [{"kind": "r1", "wait": 3}, {"kind": "r2", "weight": 0}]},
            "generator": {"kind": "dgcan"},
        }
    )
    assert sorted(found) == [
        f"generator.kind: 'dgcan' is not known; {one_of(GENERATORS)}; did you mean dcgan?",
        "objective.penalties.0.wait: unknown key; did you mean objective.penalties.0.weight?",
        "objective.penalties.1.weight: greater than 0, got 0",
        "seed: greater than or equal to 0, got -1",
        "train.batch_size: greater than or equal to 2, got 1",
        "train.lgo_every: unknown key; did you mean train.log_every?",
    ]


def test_the_count_is_told_and_what_to_type_next():
    with pytest.raises(ConfigError) as one:
        build_config([{"seed": -1}])
    with pytest.raises(ConfigError) as two:
        build_config([{"seed": -1, "sede": 0}])
    assert one.value.what.startswith("One setting is not possible:\n")
    assert two.value.what.startswith("2 settings are not possible:\n")
    assert two.value.hint == "ganlet list settings"


def test_of_very_many_problems_the_first_are_told_and_the_rest_counted():
    found = problems({f"key{i}": 0 for i in range(1000)})
    assert len(found) == files.MAX_PROBLEMS + 1
    assert found[-1] == f"and {1000 - files.MAX_PROBLEMS} more"


@pytest.mark.parametrize(
    ("tree", "problem"),
    [
        ({"generator": {"widht": 8}}, "generator.widht: unknown key; did you mean generator.width?"),
        (
            {"generator": {"kind": "mlp", "optimizer": {"schedule": {"kind": "cosine", "finl": 1}}}},
            "generator.optimizer.schedule.finl: unknown key; did you mean generator.optimizer.schedule.final?",
        ),
        ({"trian": {}}, "trian: unknown key; did you mean train?"),
        # The same key elsewhere.
        ({"batch_size": 8}, "batch_size: unknown key; did you mean train.batch_size?"),
        ({"lr": 1}, "lr: unknown key; did you mean discriminator.optimizer.lr or generator.optimizer.lr?"),
        (
            {"generator": {"batch_statistics": 1}},
            "generator.batch_statistics: unknown key; did you mean discriminator.batch_statistics?",
        ),
        # A key of another kind.
        (
            {"generator": {"kind": "mlp", "upsample": "nearest"}},
            "generator.upsample: unknown key; only with kind dcgan",
        ),
        (
            {"generator": {"optimizer": {"schedule": {"milestones": [1]}}}},
            "generator.optimizer.schedule.milestones: unknown key; only with kind multistep",
        ),
        # A dotted key in a file.
        ({"train.batch_size": 8}, "train.batch_size: unknown key; indent batch_size under train"),
        ({"optimizer.lr": 1}, "optimizer.lr: unknown key; did you mean generator.optimizer.lr?"),
        ({"zzzzzz": 1}, "zzzzzz: unknown key"),
        ({"": 1}, ": unknown key"),
        # Never the group in which it stands.
        ({"data": {"": 1}}, "data.: unknown key; did you mean data.size?"),
    ],
)
def test_an_unknown_key_names_the_nearest_known_one(tree, problem):
    assert problems(tree) == [problem]


@pytest.mark.parametrize(
    ("tree", "problem"),
    [
        (
            {"objective": {"loss": {"kind": "bc"}}},
            f"objective.loss.kind: 'bc' is not known; {one_of(LOSSES)}; did you mean bce?",
        ),
        (
            {"objective": {"loss": {"kind": None}}},
            f"objective.loss.kind: None is not known; {one_of(LOSSES)}",
        ),
        (
            {"objective": {"penalties": [{"kind": "gp"}]}},
            f"objective.penalties.0.kind: 'gp' is not known; {one_of(PENALTIES)}",
        ),
        (
            {"objective": {"penalties": [{"weight": 1}]}},
            f"objective.penalties.0.kind: must be given; {one_of(PENALTIES)}",
        ),
        (
            {"objective": {"loss": {"kind": ["bce"]}}},
            f"objective.loss.kind: ['bce'] is not known; {one_of(LOSSES)}; did you mean bce?",
        ),
        (
            {"objective": {"penalties": ["r1"]}},
            "objective.penalties.0: keys and values, got 'r1'; did you mean objective.penalties.0.kind=r1?",
        ),
        ({"objective": {"penalties": 3}}, "objective.penalties: a list, got 3"),
        ({"objective": {"penalties": [None]}}, "objective.penalties.0: keys and values, got None"),
        (
            {"objective": {"loss": "bce"}},
            "objective.loss: keys and values, got 'bce'; did you mean objective.loss.kind=bce?",
        ),
        ({"train": []}, "train: keys and values, got []"),
        ({"generator": None}, "generator: keys and values, got None"),
        (
            {"generator": {"optimizer": {"schedule": {"kind": "multistep"}}}},
            "generator.optimizer.schedule.milestones: must be given",
        ),
        (
            {"generator": {"optimizer": {"schedule": {"kind": "multistep", "milestones": []}}}},
            "generator.optimizer.schedule.milestones: at least 1 in the list, got []",
        ),
    ],
)
def test_a_group_of_the_wrong_form_says_what_belongs_there(tree, problem):
    assert problems(tree) == [problem]


@pytest.mark.parametrize(
    ("path", "value", "part"),
    [
        ("seed", True, "neither true nor false, got True"),
        ("seed", 2**32, "less than 4294967296"),
        ("seed", 1.5, "integer"),
        ("seed", "yes", "integer"),
        ("seed", int("9" * 4000), "less than 4294967296"),
        ("data.channels", True, "neither true nor false"),
        ("data.channels", 2, "'auto', 1, 3 or 4, got 2"),
        ("data.source", 3, "string"),
        ("data.flip", "maybe", "boolean"),
        ("data.background", "red", "'#rrggbb', got 'red'"),
        ("generator.optimizer.lr", float("nan"), "finite"),
        ("generator.optimizer.lr", float("inf"), "finite"),
        ("generator.optimizer.lr", "nan", "finite"),
        ("generator.optimizer.lr", False, "greater than 0"),
        ("generator.optimizer.beta1", True, "less than 1"),
        ("generator.optimizer.beta1", False, "neither true nor false"),
        ("objective.loss.label_smoothing", 0.5, "less than 0.5"),
        ("train.batch_size", 1, "greater than or equal to 2"),
        ("train.batch_size", 64.5, "integer"),
        ("train.total_images", "25 weeks", "epochs"),
        ("train.total_images", -1, "from 0"),
        ("train.total_images", True, "whole number"),
        ("train.total_images", 1.5, "whole number"),
        ("train.total_images", float("inf"), "whole number"),
        ("train.total_images", 10**16, "to 10^15"),
        ("train.total_images", f"{10**10} epochs", "epochs"),
        ("data.num_images", 10**18, "less than or equal to"),
        ("schema_version", 0, "greater than or equal to 1"),
        ("schema_version", True, "neither true nor false"),
        ("schema_version", "2", "less than or equal to 1"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_possible(path, value, part):
    tree: dict = {path.split(".")[-1]: value}
    for key in reversed(path.split(".")[:-1]):
        tree = {key: tree}
    (problem,) = problems(tree)
    assert problem.startswith(f"{path}: ")
    assert part in problem
    assert len(problem) < 250


@pytest.mark.parametrize(
    ("tree", "path"),
    [
        ({"objective": {"loss": {"kind": "bce", "bce": {}}}}, "objective.loss.bce"),
        ({"objective": {"penalties": [{"kind": "r1", "r1": {}}]}}, "objective.penalties.0.r1"),
        ({"generator": {"kind": "mlp", "mlp": 3}}, "generator.mlp"),
    ],
)
def test_a_key_that_is_called_like_a_kind_has_its_own_path(tree, path):
    (problem,) = problems(tree)
    assert problem.startswith(f"{path}: unknown key")


def test_an_item_of_a_list_has_its_place_in_the_path():
    schedule = {"kind": "multistep", "milestones": ["1 epoch", "often"]}
    (problem,) = problems({"discriminator": {"optimizer": {"schedule": schedule}}})
    assert problem.startswith("discriminator.optimizer.schedule.milestones.1: ")


def test_a_newer_schema_is_refused():
    with pytest.raises(ConfigError, match="newer ganlet") as caught:
        validate({"schema_version": 2, "something": "unheard of"})
    assert caught.value.got == 2
    assert caught.value.hint == "pip install --upgrade ganlet"


# Round trip


@pytest.mark.parametrize("name", presets.names())
def test_a_dumped_preset_is_read_back(name):
    config = make_config(name)
    text = dump_yaml(config)
    assert validate(parse_yaml(text, "config.yaml")) == config
    assert set(parse_yaml(text, "config.yaml")) == set(RunConfig.model_fields)


def test_a_dump_puts_the_kind_of_a_group_first():
    lines = dump_yaml(RunConfig()).splitlines()
    assert lines[lines.index("generator:") + 1] == "  kind: dcgan"


@settings(deadline=None)
@given(st.text(min_size=1))
@example("no")
@example("1e5")
@example("\ud800")
@example("\x85\u2028\ufeff")
def test_any_name_of_a_source_is_read_back(name):
    config = RunConfig.model_validate({"data": {"source": name}})
    assert validate(parse_yaml(dump_yaml(config), "config.yaml")) == config


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["mlp", "dcgan", "multistep", "cosine", "r1", "2 epochs", "64x48", 10**30, [16, 16], [], ["r1"]]),
    st.lists(st.sampled_from([{"kind": "r1"}, {"kind": "r2", "weight": 2.0}, {"weight": 1}, 3]), max_size=3),
)
KEYS = st.sampled_from([*paths(), "kind", "0", "objective.penalties.0.weight"]) | st.text(max_size=4)


@settings(deadline=None)
@given(st.dictionaries(KEYS, LEAVES | st.dictionaries(KEYS, LEAVES, max_size=2), max_size=5))
@example({"objective.penalties": {"0": {}}})
def test_any_overrides_give_a_config_or_a_config_error(overrides):
    try:
        config = make_config(overrides=overrides)
    except ConfigError:
        return
    assert validate(parse_yaml(dump_yaml(config), "config.yaml")) == config


def test_a_kind_given_without_its_key_is_understood():
    with pytest.raises(ConfigError, match=r"did you mean objective\.loss\.kind=hinge\?"):
        build_config([{"objective": {"loss": "hinge"}}])


def test_a_kind_may_be_given_as_an_object_from_python():
    config = make_config(overrides={"objective.loss": Hinge(), "objective.penalties": [PENALTIES["r1"](weight=3)]})
    assert config == make_config(
        overrides={"objective.loss.kind": "hinge", "objective.penalties": [{"kind": "r1", "weight": 3}]}
    )
    assert validate(parse_yaml(dump_yaml(config), "config.yaml")) == config


def test_an_object_that_is_no_such_kind_is_refused():
    assert problems({"objective": {"loss": PENALTIES["r1"]()}}) == [
        f"objective.loss.kind: 'r1' is not known; {one_of(LOSSES)}"
    ]
    assert problems({"objective": {"loss": RunConfig()}}) == [
        f"objective.loss.kind: None is not known; {one_of(LOSSES)}"
    ]
    (problem,) = problems({"objective": {"loss": LOSSES["bce"](kind="hinge")}})
    assert problem.startswith("objective.loss: ")


def test_a_list_that_is_wrong_is_told_by_its_items_alone():
    with pytest.raises(ConfigError) as caught:
        build_config([{"data": {"labels": "classes", "label_names": [1, "0"]}}])
    assert caught.value.what.splitlines()[1:] == [
        '  - data.label_names.0: a string, such as "1" in quotes, got 1',
    ]
