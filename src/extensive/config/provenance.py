"""Which files of code a script depends on, read off its imports: what makes a rule run again when it is edited.

Nothing is imported or run to find out. An import counts wherever it stands, in a function too, and so does a string
that is the name of a module (`python -m`, `importlib`). Of a package's `__init__` only the import of the name that is
asked for is followed, so that a script depends on what it uses and not on its neighbours. Standard library only.
"""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Import(NamedTuple):
    """`from module import name`, or `import module` and a string that says so, where `name` is None."""

    module: str
    name: str | None
    bound: str | None  # what the file calls it


def code_of(script: str | Path, source: str | Path, package: str, *modules: str) -> list[Path]:
    """Files that a script imports, and those that these import, sorted; without the script itself.

    `source` is the folder that `package` lies in; modules beside the script count too. `modules` are those of the
    package that the script imports by a name that it computes. Raises ValueError for a relative import and for a
    module of the package that does not exist.
    """
    script, found = Path(script), set()
    code = _Code(Path(source), package, script.parent)
    left = [code.existing(module, script) for module in modules]
    left += code.named_in(script)
    while left:
        file = left.pop()
        if file not in found:
            found.add(file)
            # An `__init__` was followed already, for the names that were asked for.
            left += code.named_in(file) if file.name != "__init__.py" else []
    return sorted(found - {script})


class _Code(NamedTuple):
    source: Path
    package: str
    beside: Path

    def named_in(self, file: Path) -> Iterator[Path]:
        """Files that the imports of one file name."""
        for module, name, _ in _imports(file):
            if module.split(".")[0] == self.package:
                yield from self.resolved(module, name, file)
            elif file.parent == self.beside and (self.beside / f"{module}.py").is_file():
                yield self.beside / f"{module}.py"
        for text in _strings(file):
            parts = text.split(".")
            named = parts[0] == self.package and len(parts) > 1 and all(map(str.isidentifier, parts))
            if named and (target := self.file(text)):
                yield target

    def resolved(self, module: str, name: str | None, file: Path) -> Iterator[Path]:
        """Files behind an import: a module or, of a name that an `__init__` passes on, where it comes from too."""
        submodule = self.file(f"{module}.{name}")
        if name is not None and submodule:
            yield submodule
            return
        target = self.existing(module, file)
        yield target
        if target.name == "__init__.py":
            passed_on = [found for found in _imports(target) if found.bound == name]
            for found in passed_on:
                yield from self.resolved(found.module, found.name, target)
            if not passed_on:
                yield from self.named_in(target)

    def file(self, module: str) -> Path | None:
        """File of a module or package; None for what is neither."""
        path = self.source.joinpath(*module.split("."))
        for file in (path.with_name(f"{path.name}.py"), path / "__init__.py"):
            if file.is_file():
                return file
        return None

    def existing(self, module: str, file: Path) -> Path:
        target = self.file(module)
        if target is None:
            raise ValueError(f"{file}: imports {module}, which does not exist")
        return target


@functools.cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(), str(file))


@functools.cache
def _imports(file: Path) -> list[Import]:
    found = []
    for node in ast.walk(_tree(file)):
        if isinstance(node, ast.Import):
            found += [Import(alias.name, None, alias.asname) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level or node.module is None:
                raise ValueError(f"{file}: line {node.lineno} is a relative import; name the module in full")
            found += [Import(node.module, alias.name, alias.asname or alias.name) for alias in node.names]
    return found


@functools.cache
def _strings(file: Path) -> list[str]:
    return [
        node.value for node in ast.walk(_tree(file)) if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
