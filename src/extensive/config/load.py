"""Configuration: presets checked against the schema, with its defaults filled in.

The schema (schema.yaml, beside this file) is the only owner of defaults. The workflow and the command
line both come through here, so both give the same one-line message for the same mistake.
"""

import copy
import difflib
import functools
import math
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from ase.data import chemical_symbols

from extensive.errors import InputError

EXPONENT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")
# Values that had another name in an earlier version.
RENAMED = {"equilibrated": "charge-equilibration"}
# Formats of texts that the schema names.
FORMATS = jsonschema.FormatChecker(())
# What YAML makes of keys that are no texts.
KINDS = {"int": "a number", "float": "a number", "bool": "true or false", "null": "nothing", "timestamp": "a date"}


def load_schema(path: str | Path | None = None) -> dict[str, Any]:
    """The configuration schema as a mapping."""
    return yaml.safe_load(Path(path).read_text() if path else (files(__package__) / "schema.yaml").read_text())


@FORMATS.checks("chemical symbol")
def _is_element(value: Any) -> bool:
    return not isinstance(value, str) or value in chemical_symbols[1:]


@functools.cache
def _schema() -> dict[str, Any]:
    # Read once: every member of a study is checked by itself.
    return load_schema()


class _Loader(yaml.SafeLoader):
    """YAML whose keys are texts, each given once."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: dict[Any, int] = {}
    for key, _ in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise InputError(f"line {line}: a key is a mapping or a list; keys are texts, quote it")
        if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
            raise InputError(f"line {line}: key '{key.value}' is given twice, first in line {seen[key.value]}")
        seen[key.value] = line
        kind = key.tag.rsplit(":", 1)[-1]
        if kind in KINDS:
            raise InputError(f"line {line}: key '{key.value}' is {KINDS[kind]} to YAML; quote it: \"{key.value}\"")
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def read_yaml(path: str | Path) -> Any:
    """A YAML file; InputError names what is wrong with it: encoding, syntax, keys that are no texts or given twice."""
    try:
        return yaml.load(Path(path).read_text(encoding="utf-8"), _Loader)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 (byte {error.start}); save it as UTF-8") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from error


def load_config(path: str | Path, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    """Read a preset, check it and fill in defaults; InputError names the culprit key."""
    path = Path(path)
    config = with_base(_read_mapping(path), path.parent)
    return with_image_files(complete_config(config, schema, source=str(path)), path.parent)


def _read_mapping(path: Path) -> dict[str, Any]:
    config = read_yaml(path)
    if not isinstance(config, dict):
        raise InputError(f"{path}: expected a mapping of keys to values, got {type(config).__name__}")
    return config


def with_base(config: dict[str, Any], folder: str | Path, seen: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The configuration put over the one that its `base` names, and that over its own base, if it has one.

    A base is looked for in the `folder` of the file that names it, then from the working directory. Raises InputError
    for one that is not there, or that comes back to itself.
    """
    if not isinstance(config.get("base"), str):
        return config
    named = Path(config["base"]).expanduser()
    places = [place for place in (Path(folder) / named, named) if place.is_file()]
    if not places:
        raise InputError(f"key 'base': {named} is neither in {folder} nor in {Path.cwd()}")
    path = places[0].resolve()
    if path in seen:
        raise InputError(f"key 'base': {named} has itself as its base")
    return {**merged(with_base(_read_mapping(path), path.parent, (*seen, path)), config), "base": None}


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A copy of `base` with `changes` put over it, mapping by mapping."""
    result = copy.deepcopy(base)
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def with_image_files(config: dict[str, Any], folder: str | Path) -> dict[str, Any]:
    """The configuration, files of images that are not found from the working directory being those in its `folder`."""
    for model in config["models"].values():
        if model["images"] is not None:
            place = Path(model["images"]).expanduser()
            beside = Path(folder) / place
            model["images"] = str(beside if beside.is_file() and not place.is_file() else place)
    return config


def complete_config(
    config: dict[str, Any], schema: dict[str, Any] | None = None, source: str = "config"
) -> dict[str, Any]:
    """A checked copy of `config` with the schema's defaults; InputError is one line naming the key."""
    schema = schema or _schema()
    config = copy.deepcopy(config)
    _check_keys(config, source)
    _numbers_of_text(config, schema, schema)
    _fill_defaults(config, schema, schema)
    errors = sorted(
        jsonschema.Draft202012Validator(schema, format_checker=FORMATS).iter_errors(config),
        key=lambda error: list(map(str, error.path)),
    )
    if errors:
        raise InputError(f"{source}: {_one_line(errors[0], schema)}")
    _check_finite(config, source)
    _check_dimers(config["structures"]["dimers"], source)
    labels = config["reference"]["labels"]
    if labels["missing"] == "leave-out" and not labels["archive"]:
        raise InputError(
            f"{source}: reference.labels: with archive: false and missing: leave-out there are no labels;"
            " change one of them"
        )
    return config


def _check_dimers(dimers: dict[str, Any], source: str) -> None:
    """Figures and claims name dimers by their dimensions: a second data set would take the first one's place."""
    first: dict[int, str] = {}
    for name, spec in dimers.items():
        other = first.setdefault(spec["dimensions"], name)
        if other != name:
            raise InputError(
                f"{source}: key 'structures.dimers': {other!r} and {name!r} both have dimensions"
                f" {spec['dimensions']}; one data set of each, leave one out"
            )


def _check_keys(value: Any, source: str, where: str = "") -> None:
    """Keys are texts: YAML makes others of `no:` and `2024:`."""
    if isinstance(value, list):
        for index, inner in enumerate(value):
            _check_keys(inner, source, f"{where}.{index}")
    elif isinstance(value, dict):
        for key, inner in value.items():
            place = f"{where}.{key}" if where else str(key)
            if not isinstance(key, str):
                kind = KINDS["bool" if isinstance(key, bool) else "null" if key is None else "int"]
                raise InputError(f"{source}: key '{place}' is {kind} to YAML; quote it")
            _check_keys(inner, source, place)


def _check_finite(value: Any, source: str, where: str = "") -> None:
    """YAML's .nan and .inf are within any limits of the schema, and what is computed with them is no number."""
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{source}: key '{where}': {value} is not a finite number")
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ()):
        _check_finite(inner, source, f"{where}.{_printable(key)}" if where else _printable(key))


def _numbers_of_text(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> Any:
    """`value` with numbers for texts such as 1e-3 and 2e4 where a number belongs: YAML 1.1 leaves them texts."""
    schema = _resolve(schema, root)
    if isinstance(value, dict):
        for key, inner in value.items():
            part = schema.get("properties", {}).get(key, schema.get("additionalProperties"))
            if isinstance(part, dict):
                value[key] = _numbers_of_text(inner, part, root)
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        value[:] = [_numbers_of_text(item, schema["items"], root) for item in value]
    elif isinstance(value, str) and EXPONENT.fullmatch(value.strip()):
        kinds = schema.get("type", [])
        kinds = {kinds} if isinstance(kinds, str) else set(kinds)
        if kinds & {"number", "integer"} and "string" not in kinds:
            number = float(value)
            return number if "number" in kinds or not number.is_integer() else int(number)
    return value


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


def _printable(key: Any) -> str:
    """A line break in a key must not make two lines of one."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in str(key))


def _one_line(error: jsonschema.ValidationError, schema: dict[str, Any]) -> str:
    where = ".".join(map(str, error.absolute_path))
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        known = list(error.schema.get("properties", {}))
        unknown = [key for key in error.instance if key not in known]
        key = unknown[0] if unknown else "?"
        near = difflib.get_close_matches(str(key), known, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(known)}"
        return f"unknown key '{'.'.join(filter(None, [where, _printable(key)]))}'; {hint}"
    if error.validator == "required":
        missing = [key for key in error.validator_value if key not in error.instance]
        return f"key '{'.'.join(filter(None, [where, missing[0]]))}' is missing"
    if error.validator == "enum" and error.instance in RENAMED:
        return f"key '{where}': '{error.instance}' is called '{RENAMED[error.instance]}' now"
    wanted = error.schema.get("description", "") if isinstance(error.schema, dict) else ""
    text = " ".join(error.message.split())
    text = text if len(text) < 200 else text[:200] + "..."
    return f"key '{where or 'config'}': {text}" + (f" ({' '.join(str(wanted).split())})" if wanted else "")
