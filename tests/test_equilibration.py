"""Charge equilibration between tiles: extensive, but no sum over tiles."""

import dataclasses

import pytest
import torch

from extensive.errors import InputError
from extensive.images.raster import batch_from_atoms
from extensive.models import ModelConfig, Potential, build_model
from extensive.models.equilibration import (
    FIRST_SOFTNESS,
    charged,
    energies_at,
    first_offsets,
    shared_potential,
    total_energy,
)
from extensive.training.fit import _grown
from tests.test_models import SMALL, islands, picture, ready, sheet

EQUILIBRATED = dataclasses.replace(SMALL, readout="charge-equilibration")


def test_the_energy_is_the_lowest_that_charges_of_no_sum_can_have():
    """Sites of electronegativity chi and hardness J: minimise sum chi n + J n^2 / 2 over n with sum n = 0."""
    generator = torch.Generator().manual_seed(0)
    chi = torch.randn(6, dtype=torch.float64, generator=generator)
    hardness = 0.5 + torch.rand(6, dtype=torch.float64, generator=generator)
    # Stationary: chi_t + J_t n_t = mu for all t, and sum n = 0; seven linear equations.
    matrix = torch.zeros(7, 7, dtype=torch.float64)
    matrix[:6, :6], matrix[:6, 6], matrix[6, :6] = torch.diag(hardness), -1.0, 1.0
    found = torch.linalg.solve(matrix, torch.cat([-chi, torch.zeros(1, dtype=torch.float64)]))
    charges, mu = found[:6], found[6]
    lowest = (chi * charges + hardness * charges**2 / 2).sum()
    sums = torch.stack([-(chi**2 / hardness / 2).sum(), (chi / hardness).sum(), (1 / hardness).sum()])
    torch.testing.assert_close(total_energy(sums), lowest, rtol=1e-12, atol=0)
    torch.testing.assert_close(shared_potential(sums), mu, rtol=1e-12, atol=0)


def test_charges_and_softness_are_those_of_atoms_and_vacuum_has_none():
    output = torch.randn(2, 7, 4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    atoms = torch.rand(2, 3, 4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    atoms[0, :, 0, 0] = 0.0
    parts = charged(output, atoms)
    assert parts[0, 1:, 0, 0].tolist() == [0.0, 0.0]
    assert parts[1, 2].min() > 0
    torch.testing.assert_close(charged(output, 2 * atoms)[:, 1:], 2 * parts[:, 1:])
    torch.testing.assert_close(parts[:, 0], output[:, 0])
    assert total_energy(torch.zeros(3)) == 0.0  # an image without atoms


def test_what_atoms_begin_with():
    first = first_offsets(("B", "C", "N", "Si"))
    assert first[1:5].tolist() == [-3.0, -2.0, -1.0, 6.0]
    assert torch.nn.functional.softplus(first[5:]).tolist() == pytest.approx([0.05, 0.48, 0.05, 0.58 / 3])
    one = first_offsets("Z")  # one channel for all elements tells nothing of them
    assert one[:2].tolist() == [0.0, 0.0]
    output = first_offsets(("B", "C", "N")).expand(3, -1)[..., None, None]
    of_one_atom = charged(output, torch.eye(3)[..., None, None])
    assert of_one_atom[:, :2].flatten(1).tolist() == [[0.0, -1.0], [0.0, 0.0], [0.0, 1.0]]


def test_at_the_shared_potential_tiles_sum_to_the_energy_and_it_is_stationary():
    generator = torch.Generator().manual_seed(1)
    parts = torch.rand(2, 3, 4, 5, dtype=torch.float64, generator=generator)
    sums = parts.sum(dim=(2, 3))
    mu = shared_potential(sums).requires_grad_()
    total = energies_at(parts, mu[:, None, None]).sum(dim=(1, 2))
    torch.testing.assert_close(total, total_energy(sums), rtol=1e-12, atol=1e-12)
    (slope,) = torch.autograd.grad(total.sum(), mu)
    assert slope.abs().max() < 1e-12


def test_of_one_number_nothing_is_shared():
    sums = torch.tensor([[3.0], [-2.0]])
    assert total_energy(sums).tolist() == [3.0, -2.0]
    assert shared_potential(sums).tolist() == [0.0, 0.0]


@torch.no_grad()
def test_parts_of_a_sheet_know_of_each_other_at_any_distance():
    """Two islands so far apart that no patch sees both: their energies add up to all but what charges share."""
    network = ready(EQUILIBRATED)
    network.standardize.mean.zero_()
    images, pitch = islands(network)
    both, one, two, none = (network.tile_parts(image, pitch).sum(dim=(2, 3)) for image in images)
    torch.testing.assert_close(both - none, (one - none) + (two - none), rtol=1e-11, atol=1e-11)
    energies = [network(image, pitch).item() for image in images]
    assert abs(energies[0] + energies[3] - energies[1] - energies[2]) > 1e-6
    assert energies[0] == pytest.approx(total_energy(one + two - none).item(), rel=1e-11)


@torch.no_grad()
def test_energy_is_extensive():
    network = ready(EQUILIBRATED)
    images, pitch = picture(16, 24)
    energy = network(images, pitch)
    torch.testing.assert_close(network(images.repeat(1, 1, 2, 3), pitch), 6 * energy, rtol=1e-12, atol=1e-12)
    sums = network.tile_parts(images, pitch).sum(dim=(2, 3))
    assert (energy - sums[:, 0]).abs().min() > 1e-6  # and what is shared is a part of it


@pytest.mark.parametrize("more", [{}, {"symmetry": "mirrors", "width": 8, "stem": ((8, 4, 2),), "head": (4,)}])
def test_a_learned_network_is_given_charges(more):
    plain = Potential(ready(dataclasses.replace(SMALL, **more), dtype=torch.float32), dict.fromkeys("BCN", -1.0))
    config = dataclasses.replace(plain.config, readout="charge-equilibration", dilations=(1, 1), inner_widths=(8, 8))
    grown = _grown(plain, config)
    assert grown.config == config
    images, pitch = picture(16, 24, dtype=torch.float32)
    with torch.no_grad():
        parts = grown.network.tile_parts(images, pitch)
        torch.testing.assert_close(parts[:, :1], plain.network.tile_parts(images, pitch), rtol=1e-5, atol=1e-6)
    # Electrons begin as what atoms bring, and surroundings change little of it.
    for symbols, electrons in (("C", 0), ("N", 20), ("B", -20)):
        atoms = sheet(symbols=(symbols,))
        batch, shape = batch_from_atoms([atoms]), grown.image_shape(atoms.cell.lengths())
        with torch.no_grad():
            _, charge, softness = grown.network.tile_parts(grown.images(batch, shape), grown.pitch(batch, shape)).sum(
                dim=(2, 3)
            )[0]
        assert charge.item() == pytest.approx(electrons, abs=2.0)
        assert softness.item() == pytest.approx(20 * FIRST_SOFTNESS[symbols], rel=0.2)


def test_only_a_convolutional_ednn_has_charges():
    with pytest.raises(InputError, match="readout: 'charge-equilibration'; only an ednn"):
        dataclasses.replace(EQUILIBRATED, form="mlp", context_px=4)
    with pytest.raises(InputError, match="readout: 'charges'"):
        build_model(ModelConfig("ednn", "convolutional", readout="charges"))
