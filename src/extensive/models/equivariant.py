"""Group-equivariant convolutions: symmetries of the square grid by kernels that are shared over mirrored copies.

Cohen and Welling, Group Equivariant Convolutional Networks (ICML 2016), in the regular representation: channels come in
sets of |G|, one for each element g of the group, channel c |G| + g. The kernel from channel (c', g') to (c, g) is
``W[c, g, c', g'] = T_g K[c, c', g^-1 g']`` with ``(T_g K)(d) = K(g^-1 d)``, so that a mirrored image exchanges the
channels of each set and mirrors them. W has |G| times as many entries as there are free weights K. Images and energies
are scalars: their channels are left alone by the group.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from extensive.errors import InputError

MIRROR_X, MIRROR_Y, EXCHANGE = np.array([[[-1, 0], [0, 1]], [[1, 0], [0, -1]], [[0, 1], [1, 0]]])
GENERATORS = {"none": (), "mirrors": (MIRROR_X, MIRROR_Y), "square": (MIRROR_X, MIRROR_Y, EXCHANGE)}


def group_elements(symmetry: str) -> np.ndarray:
    """Matrices (|G|, 2, 2) on (x, y), the identity first; of 'none' that alone."""
    found = [np.eye(2, dtype=int)]
    for matrix in GENERATORS[symmetry]:
        found += [matrix @ other for other in found]
    return np.array(found)


def quotients(group: np.ndarray) -> np.ndarray:
    """(|G|, |G|): the number of g^-1 g'."""
    numbers = {matrix.tobytes(): number for number, matrix in enumerate(group)}
    return np.array([[numbers[np.ascontiguousarray(g.T @ h).tobytes()] for h in group] for g in group])


def kernel_pixels(group: np.ndarray, kernel: int) -> np.ndarray:
    """(|G|, kernel^2): for each pixel d, row by row, the pixel g^-1 d."""
    rows, columns = np.divmod(np.arange(kernel**2), kernel)
    steps = np.stack([2 * columns - kernel + 1, 2 * rows - kernel + 1])  # (2, k^2) | twice those from the centre
    columns, rows = ((np.swapaxes(group, 1, 2) @ steps + kernel - 1) // 2).swapaxes(0, 1)
    return rows * kernel + columns


def pitch_maps(group: np.ndarray) -> np.ndarray:
    """(|G|, 3, 3): the pitch features (along x, along y, shear) of an image that g^-1 turns.

    They are the entries xx, yy, xy of a symmetric matrix S, which becomes g^T S g.
    """
    basis = np.array([[[1, 0], [0, 0]], [[0, 0], [0, 1]], [[0, 1], [1, 0]]])
    rotated = np.einsum("gji,bjk,gkl->gbil", group, basis, group)
    return np.stack([rotated[..., 0, 0], rotated[..., 1, 1], rotated[..., 0, 1]], axis=1).astype(np.float32)


class EquivariantConv(nn.Module):
    """A convolution (no padding) whose `weight` and `bias` are made of fewer free ones; see the module's equation."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int,
        dilation: int,
        symmetry: str,
        scalars: tuple[bool, bool] = (False, False),
    ):
        """`scalars`: whether inputs, outputs are left alone by the group. Scalar outputs are of one pixel's kernel.

        Raises InputError for channels that are not whole sets.
        """
        super().__init__()
        group = group_elements(symmetry)
        for scalar, channels in zip(scalars, (inputs, outputs), strict=True):
            if not scalar and channels % len(group):
                raise InputError(
                    f"model symmetry: {symmetry!r} makes sets of {len(group)} channels; {channels} is not a multiple"
                )
        self.kernel_size, self.stride, self.dilation = (kernel, kernel), (stride, stride), (dilation, dilation)
        places = kernel_pixels(group, kernel)[:, None]  # (g, 1, k^2) | of scalars
        if scalars[1]:
            places = np.zeros((1, len(group), 1), dtype=int)  # the sum over g'
        elif not scalars[0]:
            places = quotients(group)[:, :, None] * kernel**2 + places
        self.copies = places.shape[:2]
        sets = outputs // self.copies[0], inputs // self.copies[1]
        self.free = nn.Parameter(torch.empty(*sets, int(places.max()) + 1))
        self.free_bias = nn.Parameter(torch.zeros(sets[0]))
        self.register_buffer("places", torch.as_tensor(places.ravel()), persistent=False)

    @property
    def weight(self) -> Tensor:
        """W, (outputs, inputs, k, k)."""
        (sets_out, sets_in), (g, h), (k, _) = self.free.shape[:2], self.copies, self.kernel_size
        spread = self.free.flatten(0, 1).index_select(1, self.places).view(sets_out, sets_in, g, h, k, k)
        return spread.transpose(1, 2).reshape(sets_out * g, sets_in * h, k, k)

    @property
    def bias(self) -> Tensor:
        """(outputs,), the same for all channels of a set."""
        return self.free_bias.repeat_interleave(self.copies[0])

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H', W'), valid."""
        return F.conv2d(x, self.weight, self.bias, self.stride, 0, self.dilation)


class EquivariantLinear(nn.Module):
    """Linear in the pitch features, for channels in sets: the map of each channel is its set's, of rotated features."""

    def __init__(self, features: int, sets: int, symmetry: str):
        super().__init__()
        self.linear = nn.Linear(features, sets)
        self.register_buffer("maps", torch.as_tensor(pitch_maps(group_elements(symmetry))), persistent=False)

    def forward(self, pitch: Tensor) -> Tensor:
        """(..., 3) -> (..., sets |G|)."""
        rotated = torch.einsum("gij,...j->...gi", self.maps, pitch)
        return self.linear(rotated).transpose(-1, -2).flatten(-2)
