"""Segment pictures with a network that ablate exported. It needs NumPy, Pillow and what the file runs in, not ablate.

    python segment.py picture.png [more.png …] [-o FOLDER] [--model FILE]

Each picture (PNG, JPEG, TIFF of one page, or an array in NPY) gives a mask of its own size: a PNG, of an array an
array. It is prepared as the network's training images were; `SETTINGS` says how.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SETTINGS: dict[str, Any] = {}

Array = Any
Network = Callable[[Array], Array]
"""Logits (n, classes, H, W) of images (n, channels, H, W), float32 both."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Segment pictures.")
    parser.add_argument("pictures", nargs="+", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("masks"), help="the folder for the masks")
    parser.add_argument("--model", type=Path, default=Path(__file__).parent / str(SETTINGS.get("file", "")))
    options = parser.parse_args()
    try:
        network = load(options.model, SETTINGS["format"])
        options.output.mkdir(parents=True, exist_ok=True)
        for path in options.pictures:
            mask = segment(read(path), network, SETTINGS)
            print(write(options.output / path.stem, mask, SETTINGS, as_array=path.suffix.lower() == ".npy"))
    except (OSError, ValueError) as error:
        sys.exit(f"{Path(sys.argv[0]).name}: {error}")


# Files ---------------------------------------------------------------------------------------------------------------


def load(path: Path, form: str) -> Network:
    if not path.is_file():
        raise ValueError(f"'{path}' is no file: give the exported network with --model")
    if form == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        return lambda images: session.run(None, {"image": images})[0]
    import torch

    if form == "executorch":
        from executorch.runtime import Runtime

        program = Runtime.get().load_program(str(path))
        method = program.load_method("forward")  # of one image
        return lambda images: np.concatenate([method.execute([torch.tensor(one[None])])[0].numpy() for one in images])
    module = torch.jit.load(str(path)) if form == "torchscript" else torch.export.load(str(path)).module()
    with torch.no_grad():
        return lambda images: module(torch.from_numpy(images)).detach().numpy()


def read(path: Path) -> Array:
    """(h, w) or (h, w, channels), upright; without an alpha channel."""
    if path.suffix.lower() == ".npy":
        return np.load(path)
    from PIL import Image, ImageOps

    with Image.open(path) as picture:
        pages = getattr(picture, "n_frames", 1)
        if pages > 1:
            raise ValueError(f"'{path}' has {pages} pages: give one picture a file")
        upright = ImageOps.exif_transpose(picture)
        upright = upright.convert({"P": "RGB", "PA": "RGB", "RGBA": "RGB", "LA": "L"}.get(upright.mode, upright.mode))
        return np.asarray(upright)


def write(stem: Path, mask: Array, settings: dict[str, Any], *, as_array: bool) -> Path:
    """A mask of the classes' values, beside `stem`."""
    values = np.array(settings["values"])
    for name in ("uint8", "uint16"):
        limits = np.iinfo(name)
        if (values == values.astype(int)).all() and limits.min <= values.min() and values.max() <= limits.max:
            values = values.astype(name)
            break
    else:
        as_array = True
    if as_array:
        path = stem.with_name(stem.name + ".npy")
        np.save(path, values[mask])
        return path
    from PIL import Image

    path = stem.with_name(stem.name + ".png")
    Image.fromarray(values[mask]).save(path)
    return path


# From a picture to its classes ----------------------------------------------------------------------------------------


def segment(image: Array, network: Network, settings: dict[str, Any]) -> Array:
    """Class indices (h, w) of an image (h, w) or (h, w, channels)."""
    found = probabilities(image, network, settings)
    if len(found) == 1:
        return (found[0] >= 0.5).astype(np.uint8)
    return found.argmax(axis=0).astype(np.uint8)


def probabilities(image: Array, network: Network, settings: dict[str, Any]) -> Array:
    """(1, h, w) of the foreground, or (classes, h, w), float32."""
    prepared, own = prepare(image, settings), image.shape[:2]
    of_image = by_windows if settings["fit"] == "patches" else whole
    axes = [{"hflip": -1, "vflip": -2}[flip] for flip in settings["flips"]]
    ways = [way for count in range(len(axes) + 1) for way in itertools.combinations(axes, count)]
    total = sum(np.flip(chances(of_image(np.flip(prepared, way), network, settings)), way) for way in ways)
    found = total / len(ways)
    if settings["fit"] == "patches":
        return found
    top, left, height, width = box(own, settings)
    inside = found[:, top : top + height, left : left + width]
    return inside if (height, width) == own else bilinear(inside, own)


def chances(logits: Array) -> Array:
    if len(logits) == 1:
        return 1 / (1 + np.exp(-logits))
    powers = np.exp(logits - logits.max(axis=0))
    return powers / powers.sum(axis=0)


def whole(image: Array, network: Network, settings: dict[str, Any]) -> Array:
    return network(np.ascontiguousarray(image[None], dtype=np.float32))[0]


def by_windows(image: Array, network: Network, settings: dict[str, Any]) -> Array:
    """Logits of an image of any size, from windows that overlap, weighted by a Gaussian about their middles."""
    size, own = settings["size"], image.shape[1:]
    margins = [max(0, side - had) // 2 for side, had in zip(size, own, strict=True)]
    wide = np.empty((len(image), *(max(side, had) for side, had in zip(size, own, strict=True))), dtype=np.float32)
    wide[...] = image.min(axis=(1, 2), keepdims=True)
    here = tuple(slice(margin, margin + had) for margin, had in zip(margins, own, strict=True))
    wide[(slice(None), *here)] = image
    bells = [np.exp(-0.5 * ((np.arange(side) - (side - 1) / 2) / (side / 8)) ** 2) for side in size]
    weight = np.maximum(np.outer(*bells), 1e-3).astype(np.float32)
    total: Array = None
    weights = np.zeros(wide.shape[1:], dtype=np.float32)
    for top, left in itertools.product(
        *(starts(had, side, settings) for had, side in zip(wide.shape[1:], size, strict=True))
    ):
        window = (slice(top, top + size[0]), slice(left, left + size[1]))
        logits = whole(wide[(slice(None), *window)], network, settings)
        if total is None:
            total = np.zeros((len(logits), *wide.shape[1:]), dtype=np.float32)
        total[(slice(None), *window)] += logits * weight
        weights[window] += weight
    return (total / weights)[(slice(None), *here)]


def starts(length: int, side: int, settings: dict[str, Any]) -> list[int]:
    """Where windows begin along an axis; the last one ends with it."""
    step = max(1, int(side * (1 - settings["overlap"])))
    found = [0]
    while found[-1] + side < length:
        found.append(min(found[-1] + step, length - side))
    return found


def prepare(image: Array, settings: dict[str, Any]) -> Array:
    """(channels, H, W) float32 as the network sees it."""
    planes = image if image.ndim == 3 else image[..., None]
    if settings["use_channels"]:
        planes = planes[..., settings["use_channels"]]
    held, wanted = planes.shape[2], settings["channels"]
    if held != wanted and {held, wanted} != {1, 3}:
        raise ValueError(f"the image has {held} channels, and the network was trained on {wanted}")
    given = settings["intensity"] or ([] if wanted in (1, 3) else [{"name": "range"}])
    if given and (wanted, held) == (1, 3):
        planes = planes.mean(axis=2, keepdims=True)
    scaled = np.empty(planes.shape, dtype=np.float64)
    standard = np.zeros(planes.shape[2], dtype=bool)
    for channel in range(planes.shape[2]):
        own = given[channel % len(given)] if given else {"name": "range"}
        values = planes[..., channel] if given else planes
        offset, unit, cut, standard[channel] = scaling(values, own)
        scaled[..., channel] = (planes[..., channel] - offset) / unit
        if cut:
            scaled[..., channel] = scaled[..., channel].clip(0, 1)
    found = np.moveaxis(scaled, -1, 0)
    if wanted == 1:
        found, standard = found.mean(axis=0, keepdims=True), standard[:1]
    fitted = fit(found.astype(np.float32), settings)
    fitted = np.where(standard[:, None, None], fitted, (fitted - np.float32(0.5)) / np.float32(0.5))
    return np.broadcast_to(fitted, (wanted, *fitted.shape[1:]))


def scaling(values: Array, intensity: dict[str, Any]) -> tuple[float, float, bool, bool]:
    """What becomes 0, what is divided by, whether what is outside is cut off, whether that is a z-score."""
    if intensity["name"] == "zscore":
        if values.min() == values.max():
            return float(values.flat[0]), 1.0, False, True
        return float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64)), False, True
    given = "low" in intensity and "high" in intensity
    if not given:
        whole_range = {"uint8": (0.0, 255.0), "bool": (0.0, 1.0)}.get(values.dtype.name)
        low, high = whole_range or (float(values.min()), float(values.max()))
    else:
        low, high = intensity["low"], intensity["high"]
        if intensity["name"] == "percentiles":
            low, high = np.percentile(values.astype(np.float64), (low, high)).tolist()
    return low, (high - low) or 1.0, given, False


def fit(planes: Array, settings: dict[str, Any]) -> Array:
    """(channels, h, w) at the network's size; as it is for windows."""
    if settings["fit"] == "patches":
        return planes
    top, left, height, width = box(planes.shape[1:], settings)
    whole = np.empty((len(planes), *settings["size"]), dtype=np.float32)
    whole[...] = planes.min(axis=(1, 2), keepdims=True)
    whole[:, top : top + height, left : left + width] = [shrunk(plane, (height, width)) for plane in planes]
    return whole


def box(own: tuple[int, ...], settings: dict[str, Any]) -> tuple[int, int, int, int]:
    """Top, left, height and width of an image of its own size within the network's."""
    size = settings["size"]
    if settings["fit"] != "pad":
        return 0, 0, size[0], size[1]
    factor = min(size[0] / own[0], size[1] / own[1])
    height, width = (min(most, max(1, round(side * factor))) for side, most in zip(own, size, strict=True))
    return (size[0] - height) // 2, (size[1] - width) // 2, height, width


def shrunk(plane: Array, size: tuple[int, int]) -> Array:
    """(h, w) to (H, W): bilinear, with antialiasing where it shrinks."""
    if plane.shape == size:
        return plane
    from PIL import Image

    return np.asarray(Image.fromarray(plane).resize(size[::-1], Image.Resampling.BILINEAR))


def bilinear(planes: Array, size: tuple[int, int]) -> Array:
    """(n, H, W) to (n, h, w) without antialiasing."""
    for axis, new in ((1, size[0]), (2, size[1])):
        old = planes.shape[axis]
        at = ((np.arange(new) + 0.5) * (old / new) - 0.5).clip(0, old - 1)
        below = at.astype(int)
        above = np.minimum(below + 1, old - 1)
        part = (at - below).astype(np.float32).reshape([-1 if axis == which else 1 for which in range(3)])
        planes = planes.take(below, axis) * (1 - part) + planes.take(above, axis) * part
    return planes


if __name__ == "__main__":
    main()
