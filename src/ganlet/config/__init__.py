"""What a run is made of, as plain data. Nothing here imports torch."""

from ganlet.config.checks import without_effect
from ganlet.config.files import (
    build_config,
    dump_yaml,
    parse_override,
    parse_yaml,
    read_run_config,
    read_yaml,
    validate,
)
from ganlet.config.resolve import last_name, portable, portable_tree, relocate, resolve
from ganlet.config.schema import RunConfig
from ganlet.config.tree import differences

__all__ = [
    "RunConfig",
    "build_config",
    "differences",
    "dump_yaml",
    "last_name",
    "parse_override",
    "parse_yaml",
    "portable",
    "portable_tree",
    "read_run_config",
    "read_yaml",
    "relocate",
    "resolve",
    "validate",
    "without_effect",
]
