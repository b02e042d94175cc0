"""What figures need of images and networks, computed with torch so that `figures` needs none."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.data import atomic_numbers
from torch import Tensor, nn
from torch.nn import functional as F

from extensive.errors import InputError
from extensive.images.placement import rectangular
from extensive.images.raster import batch_from_atoms, image_shape, rasterize
from extensive.io import atomic_path, read_structures, write_json
from extensive.models import EDNN, Potential, load_model
from extensive.models.equivariant import EquivariantConv
from extensive.models.layers import ResidualBlock

CONVOLUTIONS = (nn.Conv2d, nn.Conv3d, EquivariantConv)


def _write_arrays(path: str | Path, arrays: dict[str, Any]) -> None:
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **arrays)


def first_structure(path: str | Path) -> Atoms:
    """The first structure of a file, in a rectangle; InputError if it holds none, or one that has no rectangle."""
    structures = read_structures(path)
    if not structures:
        raise InputError(f"{path}: holds no structure; a figure needs one")
    return rectangular(structures[0])


def plane_image(atoms: Atoms, pixel_size_A: float, sigma_A: float) -> tuple[np.ndarray, np.ndarray]:
    """Image (H, W) in the papers' form (one channel, weight Z) and cell (Lx, Ly), Angstrom."""
    cell = np.diag(np.asarray(atoms.cell))[:2].copy()
    positions = torch.as_tensor(np.mod(atoms.positions[:, :2], cell))
    image = rasterize(
        positions,
        torch.as_tensor(atoms.numbers),
        torch.as_tensor(cell),
        image_shape(cell, pixel_size_A, 1),
        "Z",
        sigma_A,
    )
    return image[0].numpy(), cell


def write_inputs(files: dict[str, str], path: str | Path, pixel_size_A: float, sigma_A: float) -> None:
    """inputs.npz: for each panel the image of the first structure of its file, its cell and structure_id."""
    arrays: dict[str, Any] = {}
    for panel, file in files.items():
        atoms = first_structure(file)
        image, cell = plane_image(atoms, pixel_size_A, sigma_A)
        arrays[f"{panel}_image"], arrays[f"{panel}_cell"] = image, cell
        arrays[f"{panel}_id"] = str(atoms.info.get("structure_id", ""))
    _write_arrays(path, arrays)


def write_kernel(model: str | Path, structures: str | Path, path: str | Path) -> None:
    """kernel.npz: the first convolution of a CNN on an image, where its strongest filter answers most."""
    _write_arrays(path, kernel_data(load_model(model), first_structure(structures)))


def kernel_data(potential: Potential, atoms: Atoms) -> dict[str, np.ndarray]:
    """Input channel, kernel, output and the numbers at one output pixel, as extensive.figures.kernel."""
    conv = next(module for module in potential.network.modules() if isinstance(module, CONVOLUTIONS))
    seen: dict[str, Tensor] = {}
    handle = conv.register_forward_hook(lambda _, inputs, output: seen.update(x=inputs[0], y=output))
    shape = potential.image_shape(np.diag(atoms.cell))
    try:
        with torch.no_grad():
            potential(batch_from_atoms([atoms]), shape)
    finally:
        handle.remove()
    size, stride = conv.kernel_size[0], conv.stride[0]
    x = F.pad(seen["x"][0], [conv.padding[0]] * 4)  # (C, H + pads, W + pads)
    y = seen["y"][0]
    pad = [(x.shape[axis] - n) // 2 for axis, n in zip((1, 2), shape)]
    # Away from the border, so that the window drawn lies inside the image; the strongest answer there.
    edge = -(-size // stride)
    inner = y[:, edge:-edge, edge:-edge] if min(y.shape[1:]) > 2 * edge else y
    offset = edge if inner is not y else 0
    filter_index, row, column = (int(i) for i in np.unravel_index(int(inner.argmax()), inner.shape))
    row, column = row + offset, column + offset
    window = x[:, row * stride : row * stride + size, column * stride : column * stride + size]
    weight = conv.weight.detach()[filter_index]
    products = (weight * window).sum(dim=(1, 2))
    channel = int(products.abs().argmax())
    return {
        "image": x[channel, pad[0] : pad[0] + shape[0], pad[1] : pad[1] + shape[1]].numpy(),
        "kernel": weight[channel].numpy(),
        "output": y[filter_index].numpy(),
        "cell": np.diag(np.asarray(atoms.cell))[:2],
        "window": window[channel].numpy(),
        "bias": np.float64(conv.bias.detach()[filter_index]),
        "rest": np.float64(products.sum() - products[channel]) if len(products) > 1 else np.float64(0),
        "stride": np.int64(stride),
        "row": np.int64(row),
        "column": np.int64(column),
        "corner": np.array([row * stride - pad[0], column * stride - pad[1]]),
        "filter": np.int64(filter_index),
    }


def write_tiles(model: str | Path, structures: str | Path, path: str | Path, repeat: int = 3) -> None:
    """tiles.npz: a porous sheet (the first structure, repeated), and the EDNN's energy of each tile in eV."""
    atoms = first_structure(structures)
    _write_arrays(path, tiles_data(load_model(model), atoms.repeat((repeat, repeat, 1)), atoms.info))


def tiles_data(potential: Potential, atoms: Atoms, info: dict[str, Any] | None = None) -> dict[str, Any]:
    """Image (H, W), cell, focus, context, tile energies (Ty, Tx) in eV without the elements' references."""
    network, config = potential.network, potential.config
    if not isinstance(network, EDNN):
        raise InputError(f"figure tiles: the model is a {config.network}; it needs an ednn")
    cell = np.diag(np.asarray(atoms.cell))[:2]
    shape = image_shape(cell, config.pixel_size_A, network.focus_px)
    batch = batch_from_atoms([atoms])
    with torch.no_grad():
        images = potential.images(batch, shape)
        energies = network.tile_energies(images, potential.pitch(batch, shape))[0] * potential.energy_scale_eV
    weights = [1.0] if config.channels == "Z" else [atomic_numbers[symbol] for symbol in config.channels]
    return {
        "image": np.tensordot(weights, images[0].numpy(), axes=1),
        "cell": cell,
        "focus_px": network.focus_px,
        "context_px": network.context_px,
        "tile_energies_eV": energies.numpy(),
        "structure_id": str((info or atoms.info).get("structure_id", "")),
    }


def write_networks(models: dict[str, str], path: str | Path) -> None:
    """networks.json: the layer tables of trained models by name."""
    write_json(path, [network_layers(name, load_model(file)) for name, file in models.items()])


def network_layers(name: str, potential: Potential) -> dict[str, Any]:
    """Layers of a network as it runs on one image (EDNN: one tile), read off the modules in order of use."""
    network, config = potential.network, potential.config
    extensive = isinstance(network, EDNN)
    side = network.side_px if extensive else config.image_px
    layers = [_layer("input", (config.image_channels + 2 * config.pitch_channels, *[side] * config.dims))]

    def record(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        parameters = sum(parameter.numel() for parameter in module.parameters())
        kind, kernel, stride, dilation = "dense", 1, 1, 1
        if isinstance(module, CONVOLUTIONS):
            kind, kernel, stride = "conv", module.kernel_size[0], module.stride[0]
        elif isinstance(module, ResidualBlock):
            kind, kernel, dilation = "residual", module.spatial.kernel, module.dilation
        elif layers[-1]["kind"] in ("conv", "residual") and inputs[0].shape[-1] == layers[-1]["channels"]:
            layers.append(_layer("pool", (layers[-1]["channels"],)))
        layers.append(_layer(kind, tuple(output.shape[1:]), kernel, stride, parameters, dilation))

    handles = [module.register_forward_hook(record) for module in _drawn_modules(network)]
    n_pixels = network.focus_px if extensive else side
    image = torch.zeros(1, config.image_channels, *[n_pixels] * config.dims)
    pitch = torch.zeros(1, 2) if config.pitch_channels else None
    try:
        with torch.no_grad():
            output = network.tile_parts(image, pitch, "tiled") if extensive else network(image, pitch)
    finally:
        for handle in handles:
            handle.remove()
    if extensive:  # of energies; with charge equilibration, of charges and of softness too
        layers.append(_layer("sum", (output.shape[1],)))
    title = {"cnn": "CNN", "ednn": "EDNN"}[config.network] + f" '{name}', {config.form} form"
    if extensive:
        title += f", one tile (focus {network.focus_px}, context {network.context_px} px)"
    total = sum(parameter.numel() for parameter in network.parameters())
    return {"name": name, "title": title, "parameters": total, "layers": layers}


def _drawn_modules(module: nn.Module) -> list[nn.Module]:
    """Convolutions, dense layers and residual blocks (whole), without the small linear maps of the pitch."""
    found = []
    for child_name, child in module.named_children():
        if child_name == "film":
            continue
        if isinstance(child, (*CONVOLUTIONS, nn.Linear, ResidualBlock)):
            found.append(child)
        else:
            found += _drawn_modules(child)
    return found


def _layer(
    kind: str, shape: tuple[int, ...], kernel: int = 1, stride: int = 1, parameters: int = 0, dilation: int = 1
) -> dict[str, Any]:
    """A row of the table; `shape` is (channels, [depth,] height, width) or (channels,)."""
    height, width = (shape[-2], shape[-1]) if len(shape) > 2 else (1, 1)
    return {
        "kind": kind,
        "channels": int(shape[0]),
        "height": int(height),
        "width": int(width),
        "kernel": int(kernel),
        "stride": int(stride),
        "dilation": int(dilation),
        "parameters": int(parameters),
    }
