"""The raster of inference: Gaussian windows scattered into an image, without autograd.

The same image as extensive.images.raster, which stays the owner of the formula (a test holds the two together):

    I_c(x, y) = sum_j w_jc exp(-((x - x_j)^2 + (y - y_j)^2) / (2 sigma^2))

An atom touches about 12 x 12 pixels, and the Gaussian is separable, so an atom costs 24 exponentials, 144
products and 144 additions. `scatter_add_` was the fastest of the ways measured to do the additions
(numpy.add.at 1.2, index_add_ 1.1-1.3, numpy.bincount 1.8, a batched matrix product over blocks 8 times its
time).
"""

import math

import torch

from extensive.images.raster import EXACT_TRUNCATION_SIGMA, TRUNCATION_SIGMA


def window_half(sigma_A: float, pitch_A: float, dtype: torch.dtype = torch.float32, cosine: float = 0.0) -> int:
    """Pixels on either side of an atom that its window covers; wider for float64, as in extensive.images.raster.

    `cosine`: of the angle between rows and columns of sheared pixels.
    """
    cutoff = EXACT_TRUNCATION_SIGMA if dtype == torch.float64 else TRUNCATION_SIGMA
    return math.ceil(cutoff * sigma_A / (pitch_A * math.sqrt(1.0 - cosine**2)))


def _axis_windows(
    x: torch.Tensor, pitch_A: float, sigma_A: float, dtype: torch.dtype, cosine: float = 0.0
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """First pixel of each atom's window (N,) int64, the window's Gaussian values (N, w) along one axis, and distances
    (N, w) in pixels.

    The place within a pixel is found in float64, so that an atom's image is the same wherever the origin is.
    """
    half = window_half(sigma_A, pitch_A, dtype, cosine)
    scaled = x / pitch_A
    first = torch.floor(scaled.detach()) - (half - 1)
    offsets = torch.arange(2 * half, dtype=dtype, device=x.device)
    distance = (scaled - first).to(dtype)[:, None] - offsets
    return first.long(), torch.exp(distance.square() * (-0.5 * (pitch_A / sigma_A) ** 2)), distance


def _products(
    windows_x: tuple[torch.Tensor, torch.Tensor], windows_y: tuple[torch.Tensor, torch.Tensor], factor: float
) -> torch.Tensor:
    """Values (N, wy, wx) of windows given as (values, distances in pixels) along rows and along columns.

    `factor` (pitch_x pitch_y cosine / sigma^2): |r|^2 = x^2 + y^2 + 2 x y cosine between sheared rows and columns.
    """
    (gx, dx), (gy, dy) = windows_x, windows_y
    values = gy[:, :, None] * gx[:, None, :]
    return values if factor == 0.0 else values * torch.exp(-factor * dy[:, :, None] * dx[:, None, :])


def scatter_open(
    positions: torch.Tensor,
    channels: torch.Tensor,
    weights: torch.Tensor | None,
    shape: tuple[int, int],
    pitch_A: tuple[float, float],
    sigma_A: float,
    n_channels: int,
    dtype: torch.dtype,
    cosine: float = 0.0,
) -> torch.Tensor:
    """Image (H, W, C) of atoms in an open window whose pixel (0, 0) is at the origin.

    positions (N, 2) float64, Angstrom, as x, y relative to that pixel; atoms outside may be among them, and
    those whose windows reach in count. channels (N,) int64; weights (N,) or None for 1. pitch_A is (along y,
    along x), like `shape`. `cosine`: of the angle between rows and columns, where x, y lie along these.
    """
    height, width = shape
    half_y, half_x = (window_half(sigma_A, pitch, dtype, cosine) for pitch in pitch_A)
    # A guard as wide as a window on every side, so that no window is ever clipped in the inner loop.
    full_h, full_w = height + 4 * half_y, width + 4 * half_x
    x, gx, dx = _axis_windows(positions[:, 0], pitch_A[1], sigma_A, dtype, cosine)
    y, gy, dy = _axis_windows(positions[:, 1], pitch_A[0], sigma_A, dtype, cosine)
    factor = cosine * pitch_A[0] * pitch_A[1] / sigma_A**2
    inside = (x >= -2 * half_x) & (x < width) & (y >= -2 * half_y) & (y < height)
    if not bool(inside.all()):
        x, y, gx, gy, channels = x[inside], y[inside], gx[inside], gy[inside], channels[inside]
        dx, dy = dx[inside], dy[inside]
        weights = None if weights is None else weights[inside]
    if weights is not None:
        gy = gy * weights[:, None]
    base = ((y + 2 * half_y) * full_w + (x + 2 * half_x)) * n_channels + channels
    rows = torch.arange(2 * half_y, device=base.device) * (full_w * n_channels)
    columns = torch.arange(2 * half_x, device=base.device) * n_channels
    pattern = (rows[:, None] + columns).view(-1)
    image = torch.zeros(full_h * full_w * n_channels, dtype=dtype, device=positions.device)
    index = (base[:, None] + pattern).view(-1)
    image.scatter_add_(0, index, _products((gx, dx), (gy, dy), factor).view(-1))  # differentiable in the values
    image = image.view(full_h, full_w, n_channels)
    return image[2 * half_y : full_h - 2 * half_y, 2 * half_x : full_w - 2 * half_x]


def scatter_periodic(
    positions: torch.Tensor,
    channels: torch.Tensor,
    weights: torch.Tensor | None,
    shape: tuple[int, int],
    pitch_A: tuple[float, float],
    sigma_A: float,
    n_channels: int,
    dtype: torch.dtype,
    cosine: float = 0.0,
    twist: int = 0,
) -> torch.Tensor:
    """Image (H, W, C) of one whole periodic cell; arguments as in `scatter_open`, positions anywhere.

    `twist`: how many pixels further along a row the next period up begins; see `images.oblique.Torus`.
    """
    height, width = shape
    x, gx, dx = _axis_windows(positions[:, 0], pitch_A[1], sigma_A, dtype, cosine)
    y, gy, dy = _axis_windows(positions[:, 1], pitch_A[0], sigma_A, dtype, cosine)
    factor = cosine * pitch_A[0] * pitch_A[1] / sigma_A**2
    if weights is not None:
        gy = gy * weights[:, None]
    # Windows wrap around, more than once if the cell is narrower than a window: all images are summed.
    columns = x[:, None] + torch.arange(gx.shape[1], device=x.device)
    rows = y[:, None] + torch.arange(gy.shape[1], device=y.device)
    if twist:
        turns = torch.div(rows, height, rounding_mode="floor")
        columns = (columns[:, None, :] - (turns * twist)[:, :, None]).remainder_(width).mul_(n_channels)
    else:
        columns = columns.remainder_(width).mul_(n_channels)[:, None, :]
    rows = rows.remainder_(height).mul_(width * n_channels).add_(channels[:, None])
    image = torch.zeros(height * width * n_channels, dtype=dtype, device=positions.device)
    index = (rows[:, :, None] + columns).view(-1)
    image.scatter_add_(0, index, _products((gx, dx), (gy, dy), factor).view(-1))
    return image.view(height, width, n_channels)
