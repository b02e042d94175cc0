"""Configuration: a preset (YAML) goes in, a checked mapping with all defaults comes out.

The lowest room. `schema.yaml` owns keys and defaults, `plan` says what a configuration asks of a machine, and
`reference_page` makes config/README.md. Any room may use it; it uses only errors, io and paths.
"""

from extensive.config.load import complete_config, load_config, load_schema

__all__ = ["complete_config", "load_config", "load_schema"]
