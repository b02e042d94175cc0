"""Forces of a sheet of any size: the gradient of each block's energy, added up, in memory bounded by a block's."""

import numpy as np
import torch
from ase import Atoms
from torch import Tensor

from extensive.images.placement import Placed
from extensive.inference.blocks import BlockEngine, Grid, torch_threads
from extensive.inference.sources import AtomsSource
from extensive.inference.stream import stream_energy
from extensive.models.equilibration import energies_at, shared_potential, total_energy


def blockwise_forces(engine: BlockEngine, atoms: Atoms | Placed) -> tuple[float, np.ndarray]:
    """Energy (eV) and forces (N, 3) (eV/Angstrom) of `atoms`.

    E = sum_b E_b, so F_i = -sum_b dE_b / dr_i, where an atom near an edge counts in each block that sees it. Blocks
    with charge equilibration have energies at the potential that all of them share, found first and held.
    """
    frame, placed = engine.laid(atoms)
    source = AtomsSource(placed)
    grid = engine.grid_of(source)
    if grid.whole:
        energy, found = _whole_forces(engine, placed.numbers, source, grid)
    else:
        energy, found = _blockwise(engine, placed.numbers, source, grid)
    if grid.axes is not None:
        found = grid.axes.gradient(found)
    if frame is None:
        return energy / placed.copies, np.column_stack([found, np.zeros(len(found))])
    return energy / placed.copies, frame.back(placed.back(found))


def _blockwise(engine: BlockEngine, numbers: np.ndarray, source: AtomsSource, grid: Grid) -> tuple[float, np.ndarray]:
    """Energy (eV) and forces (N, 2) along rows and columns of pixels."""
    halo_y, halo_x = engine.halo_A(grid)
    pitch_y, pitch_x = grid.pitch_A
    width_A = grid.cell[0]
    sorted_forces = np.zeros((len(numbers), 2))
    sums = torch.zeros((), dtype=torch.float64)
    potential = _shared_potential(engine, source)
    with torch_threads(engine.threads), torch.enable_grad():
        for strip in engine.strips(grid):
            low, high = strip.first * pitch_y - halo_y, strip.last * pitch_y + halo_y
            index, _ = source.indices_between(low, high)
            positions, elements = source.atoms_between(low, high)
            for first, last in engine.columns(grid):
                left, right = first * pitch_x - halo_x, last * pitch_x + halo_x
                chosen, x = _images_between(positions[:, 0], left, right, width_A)
                local = np.stack([x - first * pitch_x, positions[chosen, 1] - strip.first * pitch_y], axis=1)
                channel, weight = engine.channels_of(elements[chosen])
                place = torch.from_numpy(local).to(engine.device).requires_grad_(True)
                shape = (strip.last - strip.first, last - first)
                image = engine.block_image(place, channel, weight, grid, shape)
                patches = grid.network.patches(image).double()
                (gradient,) = torch.autograd.grad(energies_at(patches, potential).sum(), place)
                sums = sums + patches.detach().sum(dim=(0, 2, 3)).cpu()
                np.subtract.at(sorted_forces, index[chosen], gradient.cpu().numpy())
    forces = np.zeros((len(numbers), 2))
    scale = engine.potential.energy_scale_eV
    forces[source.order] = scale * sorted_forces
    return engine.reference_eV(numbers) + scale * float(total_energy(sums)), forces


def _shared_potential(engine: BlockEngine, source: AtomsSource) -> Tensor:
    """The potential (float64 scalar, in units of the network's) of the whole sheet; 0 for a sum over tiles alone."""
    if engine.potential.config.readout != "charge-equilibration":
        return torch.zeros((), dtype=torch.float64, device=engine.device)
    sums = torch.tensor(stream_energy(engine, source).sums_eV, dtype=torch.float64, device=engine.device)
    return shared_potential(sums)


def _whole_forces(
    engine: BlockEngine, numbers: np.ndarray, source: AtomsSource, grid: Grid
) -> tuple[float, np.ndarray]:
    """The same of a small cell, as one image that wraps around itself."""
    with torch_threads(engine.threads), torch.enable_grad():
        place = torch.from_numpy(source.along).to(engine.device).requires_grad_(True)
        energy = engine.whole_cell(place, numbers, grid)
        (gradient,) = torch.autograd.grad(energy, place)
    scale = engine.potential.energy_scale_eV
    return engine.reference_eV(numbers) + scale * float(energy.detach()), -scale * gradient.cpu().numpy()


def _images_between(x: np.ndarray, left: float, right: float, width_A: float) -> tuple[np.ndarray, np.ndarray]:
    """Atoms (as indices) and x of all their periodic images with left <= x < right."""
    chosen, places = [], []
    for image in range(int(np.floor(left / width_A)), int(np.ceil(right / width_A)) + 1):
        shifted = x + image * width_A
        inside = np.flatnonzero((shifted >= left) & (shifted < right))
        chosen.append(inside)
        places.append(shifted[inside])
    return np.concatenate(chosen), np.concatenate(places)
