"""Files as people have them (tests/files; their numbers mean nothing): read, or refused with the remedy."""

import shutil
from pathlib import Path

import ase.io
import h5py
import numpy as np
import pytest
import yaml
from own_models import rattled, write_model

from extensive import Calculator, keys
from extensive.cli.app import main
from extensive.cli.checks import check_files
from extensive.config.load import complete_config, load_config
from extensive.errors import InputError
from extensive.io import read_structures, write_structures
from extensive.structures.frame import frame_of
from extensive.structures.labels import LabelKeys, Outliers, look_for_outliers, outliers
from extensive.structures.reading import read_any
from extensive.structures.user_files import dataset_names, files_of, read_labelled
from extensive.training.image_files import read_labelled_images
from extensive.training.reference_energies import reference_energies

FILES = Path(__file__).parent / "files"
SHEETS = [
    "across-the-z-boundary.extxyz",
    "armchair-along-x.extxyz",
    "chiral-cell-graphene.extxyz",
    "forces-without-energy.lammpstrj",
    "hbn.data",
    "hexagonal-120-graphene.vasp",
    "hexagonal-60-hbn.cif",
    "hexagonal-vacancy.xyz",
    "labels-Energy-forces.xyz",
    "labels-REF_energy-and-forces.xyz",
    "labels-dft_energy-dft_forces.xyz",
    "labels-energy-force.xyz",
    "labels-no-pbc-key.xyz",
    "labels-one-energy-per-atom.xyz",
    "labels-with-an-isolated-atom.xyz",
    "magnetic-moments.traj",
    "nearly-orthogonal.extxyz",
    "periodic-along-z.cif",
    "rotated-whole.extxyz",
    "set[1].xyz",
    "vacuum-along-y.extxyz",
]
# What is said of those that are no flat sheets, and of configurations.
REFUSED = {
    "no-cell.xyz": "no cell; a sheet needs its two period vectors",
    "rippled.extxyz": r"spread 1\.200 A along the normal; .* it is a projection",
}
CONFIGURATIONS = {
    "latin1.yaml": "not UTF-8",
    "twice.yaml": "line 2: key 'run' is given twice, first in line 1",
    "names.yaml": "line 4: key '2024' is a number to YAML; quote it",
    "exponents.yaml": None,
}


def test_every_file_is_tested():
    assert sorted(path.name for path in FILES.iterdir()) == sorted([*SHEETS, *REFUSED, *CONFIGURATIONS])


@pytest.fixture(scope="module")
def calculator():
    return Calculator("ednn", device="cpu")


@pytest.mark.parametrize("name", SHEETS)
def test_the_published_network_takes_every_flat_sheet(calculator, name, tmp_path, capsys):
    assert main(["predict", str(FILES / name), str(tmp_path / "out.extxyz"), "--device", "cpu"]) == 0
    (*_, sheet) = ase.io.read(tmp_path / "out.extxyz", index=":")
    given = [atoms for atoms in read_any(FILES / name) if len(atoms) > 1][-1]
    # In the order and the axes of the file: none across the sheet.
    assert sheet.get_chemical_symbols() == given.get_chemical_symbols()
    np.testing.assert_allclose(sheet.positions, given.positions, atol=1e-6)
    normal = frame_of(given).axes[2]
    assert np.abs(sheet.get_forces() @ normal).max() < 1e-6
    assert np.abs(sheet.get_forces()).max() > 1.0
    per_atom = sheet.get_potential_energy() / len(sheet)
    assert -9.1 < per_atom < -8.4
    capsys.readouterr()


@pytest.mark.parametrize(("name", "message"), REFUSED.items())
def test_what_is_no_flat_sheet_is_refused(calculator, name, message):
    (atoms, *_) = read_any(FILES / name)
    with pytest.raises(InputError, match=message):
        calculator.get_potential_energy(atoms)


def test_one_sheet_rotated_is_that_sheet(calculator):
    """The files of one lattice, rotated as a whole or not, give energies alike, whatever their displacements."""
    names = ("nearly-orthogonal.extxyz", "rotated-whole.extxyz", "armchair-along-x.extxyz")
    energies = [calculator.get_potential_energy(read_any(FILES / name)[0]) / 60 for name in names]
    assert np.ptp(energies) < 0.03


# --- formats -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("hexagonal-120-graphene.vasp", "graphene.txt"),
        ("hexagonal-60-hbn.cif", "hbn.dat"),
        ("set[1].xyz", "set.data"),
        ("hbn.data", "hbn.xyz"),
        ("forces-without-energy.lammpstrj", "forces.out"),
        ("magnetic-moments.traj", "moments.bin"),
    ],
)
def test_the_content_says_the_format_where_the_name_misleads(name, other, tmp_path):
    shutil.copy(FILES / name, tmp_path / other)
    found, expected = read_any(tmp_path / other), read_any(FILES / name)
    assert len(found) == len(expected)
    np.testing.assert_allclose(found[0].positions, expected[0].positions)
    np.testing.assert_array_equal(found[0].numbers, expected[0].numbers)


def test_lammps_data_without_elements_says_how_to_convert_it(tmp_path):
    text = (FILES / "hbn.data").read_text()
    atoms = read_any(FILES / "hbn.data")[0]
    assert sorted(set(atoms.get_chemical_symbols())) == ["B", "N"]
    start = text.index("Masses")
    (tmp_path / "hbn.data").write_text(text[:start] + text[text.index("Atoms") :])
    with pytest.raises(InputError, match=r"without Masses, so without elements; convert it: ase\.io\.read"):
        read_any(tmp_path / "hbn.data")
    # Without the style's name, by its columns.
    (tmp_path / "plain.data").write_text(text.replace("Atoms # atomic", "Atoms"))
    assert len(read_any(tmp_path / "plain.data")[0]) == len(atoms)
    dump = (FILES / "forces-without-energy.lammpstrj").read_text().replace(" element", " name")
    (tmp_path / "dump.lammpstrj").write_text(dump)
    with pytest.raises(InputError, match="a LAMMPS dump without elements"):
        read_any(tmp_path / "dump.lammpstrj")


def test_magnetic_moments_are_dropped_with_a_line(capsys):
    (atoms,) = read_any(FILES / "magnetic-moments.traj")
    assert "magnetic moments are dropped" in capsys.readouterr().err
    assert not atoms.has("initial_magmoms")


# --- labels --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("labels-Energy-forces.xyz", "found key 'Energy'; set energy_key: Energy"),
        ("labels-dft_energy-dft_forces.xyz", "found key 'dft_energy'; set energy_key: dft_energy"),
        ("labels-energy-force.xyz", "found column 'force'; set forces_key: force"),
        ("forces-without-energy.lammpstrj", r"no REF_energy \(eV\), energy or free_energy"),
    ],
)
def test_a_label_that_is_not_there_is_refused_naming_what_is(name, message):
    with pytest.raises(InputError, match=message) as caught:
        read_labelled([FILES / name], "mine", with_forces=True)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("labels-Energy-forces.xyz", LabelKeys("Energy")),
        ("labels-dft_energy-dft_forces.xyz", LabelKeys("dft_energy", "dft_forces")),
        ("labels-energy-force.xyz", LabelKeys(None, "force")),
        ("labels-energy-force.xyz", LabelKeys("energy", "force")),
        ("labels-REF_energy-and-forces.xyz", LabelKeys()),
        ("labels-no-pbc-key.xyz", LabelKeys()),
        ("set[1].xyz", LabelKeys()),
    ],
)
def test_labels_are_read_under_their_names(name, named):
    found = read_labelled([FILES / name], "mine", with_forces=True, named=named)
    assert len(found) == 6
    for atoms in found:
        assert -9.3 < atoms.info[keys.REF_ENERGY] / len(atoms) < -9.1
        assert atoms.arrays[keys.REF_FORCES].shape == (48, 3)
        assert atoms.calc is None
        assert np.abs(atoms.arrays[keys.REF_FORCES]).max() > 0.5


def test_a_name_that_is_not_there_is_refused_naming_those_that_are():
    with pytest.raises(InputError, match="energy_key: 'E0' is not there; there are dft_energy"):
        read_labelled([FILES / "labels-dft_energy-dft_forces.xyz"], "mine", named=LabelKeys("E0"))
    with pytest.raises(InputError, match="forces_key: 'f' is not there; there are dft_forces"):
        read_labelled([FILES / "labels-dft_energy-dft_forces.xyz"], "mine", named=LabelKeys("dft_energy", "f"))


def test_energies_of_isolated_atoms_are_those_per_element_if_asked(tmp_path, capsys):
    file, taken = FILES / "labels-with-an-isolated-atom.xyz", LabelKeys(isolated_atoms="reference")
    found = read_labelled([file], "mine", named=taken)
    assert "1 isolated atom, of the energies per element" in capsys.readouterr().err
    write_structures(tmp_path / "again.extxyz", found)
    again = read_structures(tmp_path / "again.extxyz")
    assert reference_energies(again, ["C", "O"]) == {"C": -1.29}  # what no structure has is not known
    again[0].symbols[0] = "B"
    with pytest.raises(InputError, match="there is no isolated B among C"):
        reference_energies(again, ["B", "C"])
    free = next(atoms for atoms in read_any(file) if len(atoms) == 1)
    for energy, words in ((-2.0, "isolated C of -1.29 and of -2 eV"), (None, "an isolated C without an energy")):
        del free.info["REF_energy"]
        free.info |= {} if energy is None else {"REF_energy": energy}
        ase.io.write(tmp_path / "other.extxyz", free)
        with pytest.raises(InputError, match=words):
            read_labelled([file, tmp_path / "other.extxyz"], "mine", named=taken)
    again[0].info[keys.REF_ISOLATED] = '{"C": -2.0}'
    with pytest.raises(InputError, match=r"a free C of -1\.29 eV, elsewhere of -2 eV"):
        reference_energies([*again[:1], *found], ["B", "C"])


def test_isolated_atoms_are_left_out_with_a_line(capsys):
    found = read_labelled([FILES / "labels-with-an-isolated-atom.xyz"], "mine", with_forces=True)
    assert len(found) == 6
    assert "1 isolated atom left out" in capsys.readouterr().err


def test_of_two_energies_the_one_that_forces_derive_from_is_taken(tmp_path, capsys):
    text = (FILES / "labels-no-pbc-key.xyz").read_text()
    start = text.index("free_energy=") + len("free_energy=")
    value = text[start:].split()[0]
    (tmp_path / "both.xyz").write_text(text.replace(f"free_energy={value}", f"free_energy={float(value) - 1.0}"))
    found = read_labelled([tmp_path / "both.xyz"], "mine")
    assert found[0].info[keys.REF_ENERGY] == pytest.approx(float(value) - 1.0)
    assert "free_energy is taken" in capsys.readouterr().err
    assert read_labelled([tmp_path / "both.xyz"], "mine", named=LabelKeys("energy"))[0].info[
        keys.REF_ENERGY
    ] == pytest.approx(float(value))


def test_one_energy_per_atom_is_named_and_hinted(capsys):
    found = read_labelled([FILES / "labels-one-energy-per-atom.xyz"], "mine", with_forces=True)
    lines = outliers(found, 12.0)
    assert lines
    assert all("per atom, where" in line for line in lines)
    look_for_outliers(found, Outliers("warn"))
    assert "extensive: note: mine-0000" in capsys.readouterr().err
    with pytest.raises(InputError, match=r"mine-0000\d: energy .* labels.outliers: stop"):
        look_for_outliers(found, Outliers("stop"))


@pytest.mark.parametrize(("unit", "factor"), [("Hartree", 1 / 27.211386), ("kcal/mol", 23.060548), ("meV", 1000.0)])
def test_an_energy_in_another_unit_is_hinted(unit, factor):
    found = read_labelled([FILES / "labels-no-pbc-key.xyz"], "mine")
    assert not outliers(found, 12.0)
    found[2].info[keys.REF_ENERGY] *= factor
    (line,) = outliers(found, 12.0)
    assert line.startswith("mine-00002")
    assert f"in {unit}?" in line


def test_a_force_far_beyond_the_others_is_named():
    found = read_labelled([FILES / "labels-no-pbc-key.xyz"], "mine", with_forces=True)
    found[4].arrays[keys.REF_FORCES][3] *= 200.0
    (line,) = outliers(found, 12.0)
    assert line.startswith("mine-00004: its largest force is")


def test_composition_is_no_outlier():
    found = read_labelled([FILES / "labels-no-pbc-key.xyz"] * 2, "mine")
    for number, atoms in enumerate(found[6:]):
        atoms.numbers[: 4 * number + 4] = 7
        atoms.info[keys.REF_ENERGY] -= 3.0 * (4 * number + 4)
    assert not outliers(found, 12.0)


def test_predict_prints_errors_of_every_kind_of_label_that_train_takes(tmp_path, capsys):
    out = str(tmp_path / "out.extxyz")
    for name, options in (
        ("labels-REF_energy-and-forces.xyz", []),
        ("labels-no-pbc-key.xyz", []),
        ("labels-Energy-forces.xyz", ["--energy-key", "Energy"]),
        ("labels-dft_energy-dft_forces.xyz", ["--energy-key", "dft_energy", "--forces-key", "dft_forces"]),
        ("labels-energy-force.xyz", ["--forces-key", "force"]),
    ):
        assert main(["predict", str(FILES / name), out, "--device", "cpu", *options]) == 0
        said = capsys.readouterr().out
        assert "mean absolute error of 6 labelled structures" in said
        assert "mean absolute error of the forces of 6 labelled structures" in said
    assert main(["predict", str(FILES / "forces-without-energy.lammpstrj"), out, "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    assert "labelled structures" in said.replace("forces of", "")
    assert "mean absolute error of the forces of 1" in said
    assert "mean absolute error of 1" not in said


# --- configurations and names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "message"), CONFIGURATIONS.items())
def test_configurations_as_people_write_them(name, message):
    if message is None:
        training = load_config(FILES / name)["models"]["ednn"]["training"]
        assert training["learning_rate"] == 1e-3
        assert training["samples"] == 20_000
        assert isinstance(training["samples"], int)
        return
    with pytest.raises(InputError, match=message) as caught:
        load_config(FILES / name)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


def test_keys_that_yaml_changes_are_refused_however_they_come():
    entry = {"family": "graphene", "sampler": "rattle", "count": 4}
    for key, kind in ((2024, "a number"), (False, "true or false"), (None, "nothing")):
        with pytest.raises(InputError, match=f"is {kind} to YAML; quote it"):
            complete_config({"structures": {"datasets": {key: entry}}})


def test_names_with_brackets_and_tildes_and_folders(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    shutil.copy(FILES / "set[1].xyz", tmp_path / "here" / "set[1].xyz")
    shutil.copy(FILES / "set[1].xyz", tmp_path / "there" / "set[1].xyz")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path / "there")
    assert files_of("set[1].xyz") == ["set[1].xyz"]
    assert files_of("~/here/*.xyz") == [str(tmp_path / "here" / "set[1].xyz")]
    assert files_of("*.xyz", tmp_path / "here") == ["set[1].xyz"]
    monkeypatch.chdir(tmp_path)
    assert files_of("set[1].xyz", tmp_path / "here") == [str(tmp_path / "here" / "set[1].xyz")]
    with pytest.raises(InputError, match=r"none.xyz: no such file; looked in \. and .*here"):
        files_of("none.xyz", tmp_path / "here")
    names = dataset_names([tmp_path / "here" / "set[1].xyz", tmp_path / "there" / "set[1].xyz", "labels-B_c.xyz"])
    assert names == ["here-set-1", "there-set-1", "labels-b-c"]
    with pytest.raises(InputError, match="one file twice"):
        dataset_names(["a.xyz", "a.xyz"])


def test_check_opens_the_files_that_a_configuration_names(tmp_path, capsys):
    shutil.copy(FILES / "labels-dft_energy-dft_forces.xyz", tmp_path / "all.xyz")
    dataset = {"files": ["all.xyz"], "labels": {"energy_key": "dft_energy", "forces_key": "dft_forces"}}
    config = {"run": "probe", "structures": {"datasets": {"mine": dataset}}}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(config))
    assert check_files(load_config(tmp_path / "mine.yaml"), tmp_path) == ["mine: 6 labelled structures in 1 files"]
    assert main(["check", str(tmp_path / "mine.yaml")]) == 0
    assert "mine: 6 labelled structures" in capsys.readouterr().out
    del dataset["labels"]
    config["labels"] = {"energy_key": "dft_energy", "forces_key": "dft_forces"}
    assert check_files(complete_config(config), tmp_path)
    del config["labels"]
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(config))
    assert main(["check", str(tmp_path / "mine.yaml")]) == 2
    assert "set energy_key: dft_energy" in capsys.readouterr().err


def test_two_files_of_one_name_are_trained_on_together(tmp_path):
    for folder, seed in (("a", 1), ("b", 2)):
        (tmp_path / folder).mkdir()
        frames = [rattled(seed=10 * seed + i) for i in range(12)]
        for atoms in frames:
            atoms.info["dft"] = -9.0 * len(atoms)
        ase.io.write(tmp_path / folder / "all.extxyz", frames)
    model = {"network": "ednn", "channels": ["C"], "stem": [[8, 4, 2]], "width": 8, "blocks": 1, "head": [8]}
    model |= {"focus_px": 8, "training": {"samples": "2e1", "forces_weight": 0, "validations": 1}}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"run": "mine", "models": {"ednn": model}}))
    files = [str(tmp_path / folder / "all.extxyz") for folder in "ab"]
    out = ["--out", str(tmp_path / "out"), "--device", "cpu"]
    assert main(["train", str(tmp_path / "mine.yaml"), *files, *out, "--energy-key", "dft"]) == 0
    assert (tmp_path / "out" / "ednn.pt").is_file()


def test_images_with_their_channels_last_are_taken_with_a_line(tmp_path, capsys):
    images = np.random.default_rng(0).random((3, 16, 12, 1))
    with h5py.File(tmp_path / "last.h5", "w") as file:
        file["images"], file["energies"] = images, np.zeros(3)
        file.attrs["energy_unit"] = "eV"
    found = read_labelled_images(tmp_path / "last.h5").images
    np.testing.assert_allclose(found, images.transpose(0, 3, 1, 2), rtol=1e-6)
    assert "channels last" in capsys.readouterr().err


def test_a_network_of_one_s_own_takes_the_files_too(tmp_path):
    path = write_model(tmp_path / "own", exchange=False)
    sheet = read_any(FILES / "hexagonal-120-graphene.vasp")[0]
    sheet.calc = Calculator(path, device="cpu")
    assert np.isfinite(sheet.get_potential_energy())
