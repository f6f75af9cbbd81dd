from __future__ import annotations

from typing import Annotated

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganlet.config import RunConfig, build_config, differences
from ganlet.config.schema import TrainConfig
from ganlet.config.tree import child_model, flatten, group, kinds, merge, paths
from ganlet.errors import ConfigError
from ganlet.networks.settings import GENERATORS, DcganGeneratorConfig, MlpGeneratorConfig
from ganlet.objective.penalties import PENALTIES
from ganlet.objective.settings import ObjectiveConfig
from ganlet.settings import OneOf, Settings

# A preset, as far as other kinds are concerned: nothing in it has its default value.
PRESET = {
    "generator": {
        "kind": "dcgan",
        "latent_size": 7,
        "initial": "xavier",
        "width": 9,
        "upsample": "nearest",
        "norm": "group",
        "optimizer": {"lr": 0.01, "schedule": {"kind": "cosine", "warmup": 50, "final": 0.5}},
        "ema": {"half_life": 11},
    },
    "objective": {"loss": {"kind": "bce", "label_smoothing": 0.1}, "penalties": [{"kind": "r1", "weight": 5.0}]},
}


def test_a_new_kind_keeps_what_every_kind_has_and_drops_the_rest():
    generator = build_config([PRESET, {"generator": {"kind": "mlp"}}]).generator
    assert isinstance(generator, MlpGeneratorConfig)
    assert (generator.latent_size, generator.initial, generator.ema.half_life) == (7, "xavier", 11)
    assert generator.optimizer.lr == 0.01
    assert generator.optimizer.schedule.kind == "cosine"
    # Other kinds have these names too, but with another meaning.
    assert (generator.width, generator.norm) == (MlpGeneratorConfig().width, MlpGeneratorConfig().norm)


def test_settings_beside_a_new_kind_count():
    generator = build_config([PRESET, {"generator": {"kind": "mlp", "latent_size": 8, "width": 3}}]).generator
    assert (generator.latent_size, generator.width) == (8, 3)


def test_a_new_kind_of_schedule_keeps_the_warmup():
    new = {"generator": {"optimizer": {"schedule": {"kind": "multistep", "milestones": [100]}}}}
    schedule = build_config([PRESET, new]).generator.optimizer.schedule
    assert schedule.model_dump() == {"kind": "multistep", "warmup": 50, "milestones": (100,), "factor": 0.5}


def test_the_same_kind_keeps_everything():
    generator = build_config([PRESET, {"generator": {"kind": "dcgan", "width": 3}}]).generator
    assert isinstance(generator, DcganGeneratorConfig)
    assert (generator.width, generator.upsample, generator.norm) == (3, "nearest", "group")


def test_there_and_back_again_starts_from_defaults():
    generator = build_config([PRESET, {"generator": {"kind": "mlp"}}, {"generator": {"kind": "dcgan"}}]).generator
    assert isinstance(generator, DcganGeneratorConfig)
    assert (generator.latent_size, generator.width) == (7, DcganGeneratorConfig().width)


def test_a_new_kind_of_loss_drops_the_smoothing():
    assert build_config([PRESET, {"objective": {"loss": {"kind": "hinge"}}}]).objective.loss.kind == "hinge"
    with pytest.raises(ConfigError, match=r"objective\.loss\.label_smoothing: unknown key; only with kind bce"):
        build_config([PRESET, {"objective": {"loss": {"kind": "hinge", "label_smoothing": 0.1}}}])


def test_a_list_is_replaced_as_a_whole():
    penalties = build_config([PRESET, {"objective": {"penalties": [{"kind": "r2"}]}}]).objective.penalties
    assert [(penalty.kind, penalty.weight) for penalty in penalties] == [("r2", 1.0)]
    assert build_config([PRESET, {"objective": {"penalties": []}}]).objective.penalties == ()


def test_an_item_of_a_list_is_changed_by_its_place():
    change = {"objective": {"penalties": {"0": {"every": 4}}}}
    (penalty,) = build_config([PRESET, change]).objective.penalties
    assert penalty.model_dump() == {"kind": "r1", "weight": 5.0, "every": 4}
    more = {"objective": {"penalties": {"1": {"kind": "r2"}}}}
    assert [penalty.kind for penalty in build_config([PRESET, more]).objective.penalties] == ["r1", "r2"]


class Inner(Settings):
    kind: str


class Fine(Inner):
    kind: str = "fine"
    depth: int = 1


class Finer(Fine):
    kind: str = "finer"


class Coarse(Inner):
    kind: str = "coarse"
    depth: int = 7


INNER: dict[str, type[Inner]] = {"fine": Fine, "finer": Finer, "coarse": Coarse}


class Outer(Settings):
    kind: str


class Plain(Outer):
    kind: str = "plain"


class Nested(Outer):
    kind: str = "nested"
    inner: Annotated[Inner, OneOf(INNER)] = Fine()


OUTER: dict[str, type[Outer]] = {"plain": Plain, "nested": Nested}


class Whole(Settings):
    outer: Annotated[Outer, OneOf(OUTER)] = Plain()


def test_a_new_kind_starts_from_its_defaults_inside_too():
    overlay = {"outer": {"kind": "nested", "inner": {"depth": 3}}}
    merged = merge(Whole().model_dump(), overlay, Whole)
    assert merged == {"outer": {"kind": "nested", "inner": {"kind": "fine", "depth": 3}}}


@pytest.mark.parametrize(("new", "depth"), [("finer", 1), ("coarse", 7)])
def test_a_kind_made_of_another_one_takes_over_no_more_than_any_other(new, depth):
    base = Nested(inner=Fine(depth=3)).model_dump()
    assert merge(base, {"inner": {"kind": new}}, Nested)["inner"] == {"kind": new, "depth": depth}


def test_merging_leaves_its_arguments_alone():
    base, overlay = {"a": {"b": 1, "c": [{"d": 1}]}}, {"a": {"b": 2, "c": {"0": {"d": 2}}}}
    assert merge(base, overlay, None) == {"a": {"b": 2, "c": [{"d": 2}]}}
    assert (base, overlay) == ({"a": {"b": 1, "c": [{"d": 1}]}}, {"a": {"b": 2, "c": {"0": {"d": 2}}}})


TREES = st.recursive(st.integers(), lambda inner: st.dictionaries(st.sampled_from("abcd"), inner, min_size=1))
ROOTS = st.dictionaries(st.sampled_from("abcd"), TREES)


@settings(deadline=None)
@given(ROOTS, ROOTS)
def test_the_overlay_wins_and_the_rest_stays(base, overlay):
    merged, above = flatten(merge(base, overlay, None)), flatten(overlay)
    assert merged.items() >= above.items()
    for path, value in merged.items() - above.items():
        assert flatten(base)[path] == value


@settings(deadline=None)
@given(ROOTS)
def test_flattening_loses_nothing(tree):
    rebuilt: dict = {}
    for path, value in flatten(tree).items():
        *groups, leaf = path.split(".")
        node = rebuilt
        for key in groups:
            node = node.setdefault(key, {})
        node[leaf] = value
    assert rebuilt == tree


def test_lists_of_groups_are_flattened_and_other_lists_are_not():
    assert flatten({"a": [{"b": 1}, {"b": 2}], "c": [1, 2], "d": []}) == {
        "a.0.b": 1,
        "a.1.b": 2,
        "c": [1, 2],
        "d": [],
    }


def test_paths_know_which_kinds_have_them():
    known = paths()
    assert known["seed"] == known["generator.optimizer.lr"] == frozenset()
    assert known["generator.latent_size"] == known["generator.kind"] == GENERATORS.keys()
    assert known["generator.upsample"] == {"dcgan"}
    assert known["objective.penalties.weight"] == PENALTIES.keys()
    assert known["discriminator.optimizer.schedule.milestones"] == {"multistep"}


def test_every_path_of_a_config_is_known():
    config = build_config([PRESET])
    schema = {".".join(part for part in path.split(".") if not part.isdigit()) for path in flatten(config.model_dump())}
    assert schema <= paths().keys()


def test_kinds_are_those_of_the_registry_that_a_field_names():
    fields, of_objective = RunConfig.model_fields, ObjectiveConfig.model_fields
    assert kinds(fields["generator"]) == GENERATORS
    assert kinds(of_objective["penalties"]) == PENALTIES  # those of a list's items
    for field in (fields["seed"], fields["train"], of_objective["passes"], of_objective["top_k"]):
        assert kinds(field) == {}


def test_a_group_is_a_field_that_always_holds_the_same_class():
    fields = RunConfig.model_fields
    assert group(fields["train"]) is TrainConfig
    assert group(fields["seed"]) is group(fields["generator"]) is group(fields["preset"]) is None


def test_the_model_of_a_key_is_chosen_by_its_kind():
    assert child_model(RunConfig, "generator", {"kind": "mlp"}) is MlpGeneratorConfig
    assert child_model(RunConfig, "train", {"batch_size": 3}) is TrainConfig
    for key, values in (
        ("generator", {}),
        ("generator", {"kind": "unheard of"}),
        ("generator", {"kind": ["mlp"]}),
        ("generator", None),
        ("seed", 3),
        ("unheard of", {}),
    ):
        assert child_model(RunConfig, key, values) is None


def test_differences_name_every_path_with_old_and_new():
    old = build_config([{"seed": 1, "objective": {"penalties": [{"kind": "r1"}]}}])
    new = build_config([{"data": {"size": "48x64"}, "objective": {"penalties": [{"kind": "r1", "every": 4}]}}])
    assert differences(old, new) == {
        "data.size": ([32, 32], [48, 64]),
        "objective.penalties.0.every": (1, 4),
        "seed": (1, 0),
    }
    assert differences(old, old) == {}


def test_differences_of_another_kind_name_what_comes_and_what_goes():
    changed = differences(RunConfig(), build_config([{"objective": {"loss": {"kind": "hinge"}}}]))
    assert changed == {
        "objective.loss.kind": ("bce", "hinge"),
        "objective.loss.label_smoothing": (0.0, None),
        "objective.loss.fake_smoothing": (0.0, None),
        "objective.loss.saturating": (False, None),
    }
