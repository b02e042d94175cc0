"""Data sets of sheets: one entry of the configuration in, a reproducible list of structures out."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from ase import Atoms

from extensive import keys
from extensive.errors import InputError
from extensive.structures import cells, defects, heterostructures, lattices, pores, sampling
from extensive.structures.frame import shortest

FAMILIES = (
    "graphene",
    "hbn",
    "heterostructure",
    "graphene-vacancy",
    "graphene-substitution",
    "hbn-vacancy",
    "hbn-antisite",
    "hbn-substitution",
    "stone-wales",
    "porous",
)
POINT_DEFECTS = ("vacancy", "substitution", "antisite")  # how names of families that have them end
SAMPLERS = ("pristine", "rattle", "md")
SHAPES = {"heterostructure": heterostructures.SHAPES, "porous": pores.SHAPES}
MAXIMUM_STRUCTURES = 1_000_000
MAXIMUM_ATOMS = 100_000_000
# In fewer cells the rings of a Stone-Wales defect are not those of 5-7-7-5.
SMALLEST_STONE_WALES_ATOMS = 16
SMALLEST_STONE_WALES_PERIOD = 2.0  # lattice constants


@dataclass(frozen=True)
class DatasetSpec:
    """One entry of structures.datasets; the configuration schema describes the keys and owns the defaults."""

    family: str | list[str]  # a list is cycled through
    sampler: str
    count: int  # structures; for sampler md, trajectories
    cell: cells.Cell  # shape of one cell
    supercell: list[int]  # cells along the two periods
    displacement_A: list[float]  # amplitude drawn within, one per structure
    strain: float  # largest strain of each axis
    strain_min: float  # least strain of the more strained axis
    defects: list[int]  # least and most point defects of a structure
    shapes: list[str]  # domain or pore shapes to cycle through; empty means all
    pore_radius_A: list[float]
    hbn_fraction: list[float]
    set: str
    seed: int | None  # its own, for whoever makes it; see config.plan.seed_of
    md: dict[str, Any]
    teacher: dict[str, Any] | None  # networks that label it in place of DFT; see extensive.teaching
    files: list[str]  # a user's own labelled structures instead of generated ones

    @property
    def families(self) -> list[str]:
        return [self.family] if isinstance(self.family, str) else list(self.family)


def read_spec(name: str, spec: dict[str, Any], lattice_constants: dict[str, float]) -> DatasetSpec | None:
    """Check one entry of structures.datasets before any work; None for one of files, which is not generated.

    InputError names the key, the value and the remedy.
    """
    where = f"structures.datasets.{name}"
    if spec.get("files"):
        _check_own(where, spec)
        return None
    known = [field.name for field in fields(DatasetSpec)]
    for key in spec:
        if key not in known:
            raise InputError(f"{where}.{key}: unknown key; known keys: {', '.join(known)}")
    for key in known:
        if key not in spec:
            raise InputError(f"{where}.{key} is missing; complete the entry with extensive.config.load.complete_config")
    entry = DatasetSpec(**spec)

    def refuse(key: str, remedy: str) -> None:
        raise InputError(f"{where}.{key}: {spec[key]!r} {remedy}")

    if not entry.families or any(family not in FAMILIES for family in entry.families):
        refuse("family", f"is not a family; choose from {', '.join(FAMILIES)}")
    if entry.sampler not in SAMPLERS:
        refuse("sampler", f"is not a sampler; choose from {', '.join(SAMPLERS)}")
    try:
        cells.check_cell(entry.cell)
    except InputError as error:
        raise InputError(f"{where}.cell: {error}") from None
    if len(entry.supercell) != 2 or min(entry.supercell) < 1:
        refuse("supercell", "should be two whole numbers of at least 1")
    atoms = cells.atoms_in(tuple(entry.supercell), entry.cell)
    if not 0 <= entry.count <= MAXIMUM_STRUCTURES or entry.count * atoms > MAXIMUM_ATOMS:
        refuse(
            "count",
            f"should be 0 to {min(MAXIMUM_STRUCTURES, MAXIMUM_ATOMS // atoms)} for {atoms} atoms each",
        )
    has_defects = any(family.endswith(POINT_DEFECTS) for family in entry.families)
    for key, largest in (
        ("displacement_A", 0.25),
        ("pore_radius_A", np.inf),
        ("hbn_fraction", 1.0),
        ("defects", atoms // 4 if has_defects else np.inf),
    ):
        low, high = spec[key]
        if not 0 <= low <= high <= largest:
            refuse(key, f"should be [low, high] with 0 <= low <= high <= {largest:g}")
    if not 0 <= entry.strain_min <= entry.strain <= 0.2:
        refuse("strain", f"should lie between strain_min ({entry.strain_min:g}) and 0.2")
    if entry.teacher and entry.sampler == "md" and entry.md["out_of_plane"]:
        refuse("md", "beside a teacher; networks know flat sheets only, so out_of_plane must be false")
    for family in set(entry.families):
        allowed = SHAPES.get(family, ())
        if family in SHAPES and len(set(entry.families) & set(SHAPES)) == 1:
            for shape in entry.shapes:
                if shape not in allowed:
                    refuse(
                        "shapes",
                        f"names {shape!r}, which {family} does not have; choose from {', '.join(allowed)}",
                    )
        if family == "stone-wales" and _too_small_for_stone_wales(entry, atoms):
            refuse(
                "supercell",
                f"is too small for a Stone-Wales defect; take at least {SMALLEST_STONE_WALES_ATOMS} atoms and"
                f" periods of {SMALLEST_STONE_WALES_PERIOD:g} lattice constants, as [2, 2] rectangular cells",
            )
        if family == "porous":
            _check_pores(entry, lattice_constants, refuse)
    return entry


def _too_small_for_stone_wales(entry: DatasetSpec, atoms: int) -> bool:
    return atoms < SMALLEST_STONE_WALES_ATOMS or _period(entry, 1.0) < SMALLEST_STONE_WALES_PERIOD - 1e-9


def _period(entry: DatasetSpec, lattice_constant: float) -> float:
    """Shortest period of the entry's pristine sheets, Angstrom."""
    vectors = cells.periods_of(tuple(entry.supercell), entry.cell) @ cells.LATTICE * lattice_constant
    return float(np.linalg.norm(shortest(vectors), axis=1).min())


def _check_own(where: str, spec: dict[str, Any]) -> None:
    """Of a user's files only family and sampler may be stated; nothing is generated."""
    family, sampler = spec.get("family", "own"), spec.get("sampler", "rattle")
    if not isinstance(family, str):
        raise InputError(f"{where}.family: {family!r} should be one name, which these files' structures get")
    if sampler not in SAMPLERS:
        raise InputError(f"{where}.sampler: {sampler!r} is not a sampler; choose from {', '.join(SAMPLERS)}")
    if "count" in spec:
        raise InputError(f"{where}.count: {spec['count']!r} beside files; the files say how many, leave it out")


def _check_pores(entry: DatasetSpec, lattice_constants: dict[str, float], refuse) -> None:
    """The widest pore must leave a strand of atoms between itself and its image, the narrowest meet an atom."""
    a = lattice_constants["graphene"]
    bond = lattices.bond_length(a)
    room, least = _period(entry, a) - 1.5 * bond, pores.least_radius(bond)
    shapes = [shape for shape in entry.shapes if shape in pores.SHAPES] or pores.SHAPES
    widest = max(shapes, key=pores.EXTENT_PER_RADIUS.get)
    largest = room / pores.EXTENT_PER_RADIUS[widest]
    if entry.pore_radius_A[1] > largest:
        refuse(
            "pore_radius_A",
            f"is too wide for {widest} pores in supercell {entry.supercell}; at most {largest:.2f}"
            + (f", and a pore takes {least:g}: take a larger supercell" if largest < least else ""),
        )
    if entry.pore_radius_A[0] < least:
        refuse("pore_radius_A", f"is too narrow: pores of less than half a bond may meet no atom; at least {least:g}")


def _ideal(entry: DatasetSpec, family: str, turn: int, constants: dict[str, float], rng: np.random.Generator) -> Atoms:
    """One unstrained, undisplaced sheet of a family, zigzag rows along x; `turn` cycles through the shapes."""
    supercell, cell = tuple(entry.supercell), entry.cell
    a = constants["graphene"]
    count = int(rng.integers(entry.defects[0], entry.defects[1], endpoint=True))
    if family in SHAPES:
        shapes = [shape for shape in entry.shapes if shape in SHAPES[family]] or SHAPES[family]
        shape = shapes[turn % len(shapes)]
        if family == "heterostructure":
            fraction = rng.uniform(*entry.hbn_fraction)
            return heterostructures.heterostructure(supercell, shape, fraction, constants, rng, cell)
        radius = float(rng.uniform(*entry.pore_radius_A))
        return pores.porous(lattices.graphene(supercell, a, cell), shape, radius, lattices.bond_cutoff(a), rng)
    if family == "stone-wales":
        return defects.stone_wales(lattices.graphene(supercell, a, cell), a, rng)
    if family.startswith("graphene"):
        atoms, foreign = lattices.graphene(supercell, a, cell), (5, 7)
    else:
        atoms, foreign = lattices.hbn(supercell, constants["hbn"], cell), (6,)
    if family.endswith("vacancy"):
        return defects.vacancies(atoms, count, rng)
    if family.endswith("substitution"):
        return defects.substitutions(atoms, count, foreign, rng)
    if family.endswith("antisite"):
        return defects.antisites(atoms, count, rng)
    return atoms


def _structure(name: str, entry: DatasetSpec, index: int, seed: int, constants: dict[str, float]) -> Atoms:
    """Structure `index` of a data set."""
    rng = sampling.stream(seed, name, index)
    turn, member = divmod(index, len(entry.families))
    family = entry.families[member]
    unit = rng.uniform(-1, 1, size=2)
    amplitude = float(rng.uniform(*entry.displacement_A))
    if entry.sampler == "pristine":
        # An even scan rather than a random one, the unstrained sheet first if the range has it: an equation
        # of state.
        step = turn + (entry.strain_min > 0)
        unit = 2 * np.array([sampling.van_der_corput(step, base) for base in (2, 3)]) - 1 if step else np.zeros(2)
        amplitude = 0.0
    strain = sampling.draw_strain(unit, entry.strain_min, entry.strain)
    ideal = sampling.strained(lattices.laid_along_x(_ideal(entry, family, turn, constants, rng)), strain)
    atoms = sampling.rounded(sampling.rattled(ideal, amplitude, rng))
    identity = f"{name}-{index:05d}"
    atoms.info.update(
        {
            keys.STRUCTURE_ID: identity,
            keys.DATASET: name,
            keys.FAMILY: family,
            keys.SAMPLER: entry.sampler,
            keys.PARENT: identity,
            keys.SUPERCELL: np.array(entry.supercell),
            "displacement_A": round(amplitude, 6),
            "strain": np.round(strain, 6),
        }
    )
    return atoms


def generate_dataset(
    name: str,
    spec: dict[str, Any],
    seed: int,
    lattice_constants: dict[str, float] = lattices.LATTICE_CONSTANTS_A,
) -> list[Atoms]:
    """All structures of one data set, without labels; the same to the bit for the same arguments.

    `spec` is a completed entry of structures.datasets. Structure i depends on (seed, name, i) and the other
    keys of `spec`, never on `count`. For sampler md these are the starts of the trajectories, one each.
    Raises InputError for an entry that cannot be made, before making any structure.
    """
    entry = read_spec(name, spec, lattice_constants)
    if entry is None:
        raise InputError(f"structures.datasets.{name}.files: these structures are read, not generated")
    return [_structure(name, entry, index, seed, lattice_constants) for index in range(entry.count)]
