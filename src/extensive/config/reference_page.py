"""config/README.md, made from the schema: `python -m extensive.config.reference_page > config/README.md`."""

import json
from collections.abc import Iterator
from typing import Any

from extensive.config.load import load_schema

HEADER = """# Configuration keys

Made from `src/extensive/config/schema.yaml` by `python -m extensive.config.reference_page`; not edited by hand.
Lengths in Angstrom, energies in eV, times in seconds unless the name says otherwise.
`config.yaml` is the default preset, `smoke.yaml` runs every stage in minutes, `paper.yaml` computes all from
scratch on a cluster. Name a preset with `--configfile config/smoke.yaml`, or change a single key with
`--config seed=7`. A file of your own may name a preset as its `base` and say only what it changes, as
`larger-dft.yaml` does.

| key | type | default | meaning |
|---|---|---|---|
"""


def rows(schema: dict[str, Any], root: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Table rows of all keys below `schema`, in the schema's order."""
    for key, part in schema.get("properties", {}).items():
        yield from _row(f"{prefix}{key}", part, root)
    others = schema.get("additionalProperties")
    if isinstance(others, dict):
        yield from _row(f"{prefix}&lt;name&gt;", others, root)


def _row(name: str, part: dict[str, Any], root: dict[str, Any]) -> Iterator[str]:
    described = part.get("description")
    while "$ref" in part:
        target: Any = root
        for step in part["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        part = {**target, **{key: value for key, value in part.items() if key != "$ref"}}
    kinds = part.get("type", "")
    kind = " or ".join(kinds) if isinstance(kinds, list) else kinds
    if "enum" in part:
        kind = "one of " + ", ".join(f"`{value}`" for value in part["enum"])
    default = part.get("default")
    shown = f"`{json.dumps(default)}`" if "default" in part and default not in ({},) else ""
    text = " ".join((described or part.get("description", "")).split()).replace("|", "\\|")
    yield f"| `{name}` | {kind} | {shown} | {text} |".replace("`&lt;name&gt;`", "`<name>`").replace(
        "&lt;name&gt;", "<name>"
    )
    if part.get("type") == "object":
        yield from rows(part, root, prefix=f"{name}.")
    items = part.get("items")
    if isinstance(items, dict) and items.get("type") == "object":
        yield from rows(items, root, prefix=f"{name}[].")


def reference(schema: dict[str, Any] | None = None) -> str:
    """The whole page as Markdown."""
    schema = schema or load_schema()
    return HEADER + "\n".join(rows(schema, schema)) + "\n"


if __name__ == "__main__":
    print(reference(), end="")
