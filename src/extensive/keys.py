"""Names of what travels with a structure, and the units of everything: eV, Angstrom, eV/Angstrom, s."""

# atoms.info of every structure
STRUCTURE_ID = "structure_id"  # "<dataset>-<index:05d>"
DATASET = "dataset"  # "<family>-<sampler>", e.g. "graphene-rattle"
FAMILY = "family"  # "graphene", "hbn-vacancy", ...
SAMPLER = "sampler"  # "pristine" | "rattle" | "md"
PARENT = "parent"  # id of the structure or trajectory that this one descends from
SUPERCELL = "supercell"  # (2,) int | number of cells along the two periods, of 4 atoms where the sheet is a rectangle

# added by the reference stage
REF_ENERGY = "REF_energy"  # eV | force-consistent total energy
REF_FORCES = "REF_forces"  # (num_atoms, 3) eV/Angstrom | in atoms.arrays
REF_STRESS = "REF_stress"  # (6,) eV/Angstrom^3 | of users' own labels, ASE's order and sign, over the cell's volume
REF_ISOLATED = "REF_isolated"  # JSON text | energies of free atoms by element, eV, where a file's are taken
REF_COMPONENTS = "REF_components"  # JSON text | parts of the energy, eV
REF_RECORD = "REF_record"  # JSON text | iterations, seconds, convergence, settings, versions
REF_DIGEST = "REF_digest"  # sha256 of what determines the label

# added by a teacher, with REF_energy and REF_forces that are its means (extensive.teaching)
TEACHER = "teacher"  # which networks, by their weights
TEACHER_ENERGY_STD = "teacher_energy_std_eV"  # eV | standard deviation over networks and shifts
TEACHER_FORCES_STD = "teacher_forces_std"  # (num_atoms, 3) eV/Angstrom | in atoms.arrays

# Sets of structures that a model meets; see training.splits for who belongs where.
TRAIN = "train"
VALIDATION = "validation"
TEST = "test"
INDEPENDENT_MD = "independent-md"
SUPERCELLS = "supercells"
INTERPOLATION = "interpolation"
EXTRAPOLATION = "extrapolation"
HEXAGONAL_CELLS = "hexagonal-cells"
CHIRAL_CELLS = "chiral-cells"
# Of data sets that a teacher labelled, whose energies are no DFT's.
TEACHER_TEST = "teacher-test"
TEACHER_INDEPENDENT_MD = "teacher-independent-md"
SETS = (
    TRAIN,
    VALIDATION,
    TEST,
    INDEPENDENT_MD,
    SUPERCELLS,
    INTERPOLATION,
    EXTRAPOLATION,
    HEXAGONAL_CELLS,
    CHIRAL_CELLS,
    TEACHER_TEST,
    TEACHER_INDEPENDENT_MD,
)
# Cells of other sizes and shapes than those of 60 atoms, for networks that take any.
OTHER_CELLS = (SUPERCELLS, HEXAGONAL_CELLS, CHIRAL_CELLS)

# Columns of every table of predictions
PREDICTION_COLUMNS = (
    "structure_id",
    "family",
    "sampler",
    "n_atoms",
    "energy_dft_eV",
    "energy_predicted_eV",
)
FORCES_COLUMN = "forces_mae_meV_per_A"  # where there are forces: of each structure's in-plane components
ACCURACY_COLUMNS = ("method", "set", "count", "mae_meV_per_atom", FORCES_COLUMN)  # of the baselines' table
# Columns of results/published/timings/*.csv
TIMING_COLUMNS = ("method", "device", "n_cells", "n_atoms", "seconds", "repeats", "cores", "hardware")

ATOMS_PER_CELL = 60  # the papers count system size in cells of 60 atoms
MEV_PER_EV = 1000.0
CHEMICAL_ACCURACY_MEV = 43.36  # 1 kcal/mol

# Row of a table that sums its families up.
ALL_FAMILIES = "all families"
