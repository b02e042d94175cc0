"""Configuration: a preset (YAML) goes in, a checked mapping with all defaults comes out.

The lowest room. `schema.yaml` owns keys and defaults, `plan` says what a configuration asks of a machine,
`reference_page` makes config/README.md, and `provenance` says which code a script depends on. Any room may use it; it
uses none.
"""

from extensive.config.load import complete_config, load_config, load_schema, merged

__all__ = ["complete_config", "load_config", "load_schema", "merged"]
