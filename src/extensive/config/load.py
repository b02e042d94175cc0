"""Configuration: presets checked against the schema, with its defaults filled in.

The schema (schema.yaml, beside this file) is the only owner of defaults. The workflow and the command
line both come through here, so both give the same one-line message for the same mistake.
"""

import copy
import difflib
import functools
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from extensive.errors import InputError


def load_schema(path: str | Path | None = None) -> dict[str, Any]:
    """The configuration schema as a mapping."""
    return yaml.safe_load(Path(path).read_text() if path else (files(__package__) / "schema.yaml").read_text())


@functools.cache
def _schema() -> dict[str, Any]:
    # Read once: every member of a study is checked by itself.
    return load_schema()


def load_config(path: str | Path, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    """Read a preset, check it and fill in defaults; InputError names the culprit key."""
    path = Path(path)
    try:
        config = yaml.safe_load(path.read_text())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from error
    if not isinstance(config, dict):
        raise InputError(f"{path}: expected a mapping of keys to values, got {type(config).__name__}")
    return complete_config(config, schema, source=str(path))


def complete_config(
    config: dict[str, Any], schema: dict[str, Any] | None = None, source: str = "config"
) -> dict[str, Any]:
    """A checked copy of `config` with the schema's defaults; InputError is one line naming the key."""
    schema = schema or _schema()
    config = copy.deepcopy(config)
    _fill_defaults(config, schema, schema)
    errors = sorted(
        jsonschema.Draft202012Validator(schema).iter_errors(config),
        key=lambda error: list(map(str, error.path)),
    )
    if errors:
        raise InputError(f"{source}: {_one_line(errors[0], schema)}")
    return config


def _resolve(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        target: Any = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        # What stands beside the reference (description, default) is more particular than what it refers to.
        schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
    return schema


def _fill_defaults(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> None:
    """Fill defaults into `value` in place, outermost first, so that defaults of defaults are met too."""
    schema = _resolve(schema, root)
    if isinstance(value, dict):
        for key, part in schema.get("properties", {}).items():
            part = _resolve(part, root)
            if key not in value and "default" in part:
                value[key] = copy.deepcopy(part["default"])
            if key in value:
                _fill_defaults(value[key], part, root)
        others = schema.get("additionalProperties")
        if isinstance(others, dict):
            for key in value:
                if key not in schema.get("properties", {}):
                    _fill_defaults(value[key], others, root)
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for item in value:
            _fill_defaults(item, schema["items"], root)


def _one_line(error: jsonschema.ValidationError, schema: dict[str, Any]) -> str:
    where = ".".join(map(str, error.absolute_path))
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        known = list(error.schema.get("properties", {}))
        unknown = [key for key in error.instance if key not in known]
        key = unknown[0] if unknown else "?"
        near = difflib.get_close_matches(str(key), known, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(known)}"
        # A line break in a key must not make two lines of one.
        named = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in str(key))
        return f"unknown key '{'.'.join(filter(None, [where, named]))}'; {hint}"
    if error.validator == "required":
        missing = [key for key in error.validator_value if key not in error.instance]
        return f"key '{'.'.join(filter(None, [where, missing[0]]))}' is missing"
    wanted = error.schema.get("description", "") if isinstance(error.schema, dict) else ""
    text = " ".join(error.message.split())
    text = text if len(text) < 200 else text[:200] + "..."
    return f"key '{where or 'config'}': {text}" + (f" ({' '.join(str(wanted).split())})" if wanted else "")
