"""Spaces and claims with something wrong in them: their structure, a value, or the text of the file. Seeded."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import yaml

from ablate.analysis.claims import schema as claims
from ablate.search_spaces import space as spaces

EVERYTHING = """\
name: everything
question: Does what a space can say hold together?
design: random
samples: 6
design_seed: 3
seeds: 2
base:
  model: {name: pyconvunet, stages: 3, kernels: [3, 5], groups: [1, 2]}
  data: {name: phantom, count: 10, size: [16, 16]}
  protocol: {epochs: 2, split: {method: kfold, folds: 4}}
factors:
  model.width: {low: 8, high: 16, step: 4}
  protocol.learning_rate: {low: 1.0e-4, high: 1.0e-2, log: true}
  model.block: [plain, bottleneck]
  expansion:
    "1": {model.expansion: 1}
    "2": {model.expansion: 2, model.residual: true}
  augment:
    none: {protocol.augment: []}
    flips: {protocol.augment: [hflip, vflip]}
  data.blur: [0, 1.5]
  protocol.split.fold: [0, 1]
when:
  expansion: {model.block: bottleneck}
constraints: [params <= 1e6, macs <= 5e9]
"""
ONE_FACTOR = """\
name: about_a_reference
question: Is each level worth its cost?
design: one_factor
base:
  model: {name: pyconvunet, stages: 2}
  data: {name: phantom, count: 8, size: [16, 16]}
factors:
  levels:
    "1": {model.kernels.1: [3], model.kernels.2: [3], model.groups.1: [1], model.groups.2: [1]}
    "2": {model.kernels: [3, 5], model.groups: [1, 4]}
  model.width: [16, 32]
  network:
    whole: {model: {name: pyconvunet, width: 32}}
    unet: {model: {name: unet, stages: 2}}
reference: {levels: "2", model.width: "16", network: whole}
"""
LEAVE_ONE_OUT = """\
name: without
question: Which component earns its keep?
design: leave_one_out
base:
  model: {name: unet_plus_plus, width: 4, stages: 3}
  data: {name: phantom, count: 8, size: [16, 16]}
  protocol: {epochs: 1, batch_size: 2}
factors:
  deep supervision: {without: {model.deep_supervision: false}}
  flips: {without: {protocol.augment: []}}
"""
CLAIM = """\
name: mine
statement: The wide network is as good as the narrow one.
subject: {model: unet, width: 6}
against: [{width: 4}]
hypotheses:
  - {kind: fewest, cost: macs}
  - {kind: non_inferior, metric: dice, margin: 0.01, against: [{factor.model.width: "4"}]}
  - {kind: superior, metric: miou}
  - {kind: on_front, cost: params, metric: iou, probability: 0.9}
  - {kind: matched_budget, metric: dice, cost: params, family: {model: unet}, margin: 0.1}
"""

_LONG = "long " * 3000
_SCALARS: list[Any] = [
    *(0, -1, 1, 2, 3, 7, 1000, 2**31, 10**6, 10**9, 10**9 + 1, 10**17, 10**20, 10**400, -(10**30), 0.5, -0.0, 1e-320),
    *(1e308, -1e308, 1e20, float("inf"), float("-inf"), float("nan"), True, False, None, "", " ", "x", "4", "04"),
    *("1e999", "1e-3", "nan", "-inf", "[red]", "[/x]", "[bold", "a\nb", "\x00", "\x1b[2J", "\x07", "\u202eabc"),
    *("\ud800", "é" * 40, "𝔘-net", "name", "unet", "unett", "folder", "phantom", "mni152", "/dev/zero", "..", "~"),
    *(".", "model.", "model..width", ".width", "model.name", "data.root", "a" * 300, _LONG, "2024-01-01", "1:30"),
    *([], {}, [[]], [None], {"a": 1}, {"name": 1}, {"low": 1, "high": 2}, {"low": 2, "high": 1}, {"low": "a"}),
    *({"low": 0, "high": 1, "step": 0}, {"low": 0, "high": 1e300}, {"low": True, "high": False}, [1, "1"], [1, 1]),
    *({"low": 1, "high": 2, "step": 1e-300}, list(range(9)), [[3, 5], [3, 5]], {"name": "unet", "width": 10**9}),
    {"name": "folder", "root": "nowhere/"},
]
_KEYS = [
    *("", "x", "name", "model", "model.width", "model.name", "data", "data.count", "data.root", "data.size", "low"),
    *("protocol", "protocol.split", "protocol.split.folds", "protocol.batch_size", "model.kernels.1", "model."),
    *("protocol.epochs", "when", "reference", "samples", "seeds", "against", "[red]", "[/x]", "a\tb", "ключ"),
    *("\x1b[31m", "<<", "a" * 400, "model.width.of", "model.stages", "model.groups", "data.n_classes", "factors"),
]


class Mutant(NamedTuple):
    """`what` was done to the packaged or made `base`, and the `text` of the file that came of it."""

    base: str
    what: str
    text: bytes


def mutated_spaces(count: int, seed: int) -> Iterator[Mutant]:
    """So many mutants of the packaged spaces, and of small ones that have every feature between them."""
    packaged = {name: path.read_text(encoding="utf-8") for name, path in spaces.packaged().items()}
    own = {"everything": EVERYTHING, "about_a_reference": ONE_FACTOR, "without": LEAVE_ONE_OUT}
    return _mutants([packaged, own], count, seed)


def mutated_claims(count: int, seed: int) -> Iterator[Mutant]:
    """So many mutants of the packaged claims, and of one that has every kind of hypothesis."""
    packaged = {name: path.read_text(encoding="utf-8") for name, path in claims.packaged().items()}
    return _mutants([packaged, *[{"mine": CLAIM}] * 3], count, seed)


def _mutants(sources: list[dict[str, str]], count: int, seed: int) -> Iterator[Mutant]:
    rng = random.Random(seed)
    for _ in range(count):
        base, text = rng.choice(list(rng.choice(sources).items()))
        if rng.random() < 0.25:
            change = rng.choice(_TEXTUAL)
            yield Mutant(base, change.__name__.strip("_"), change(text, rng))
            continue
        tree, done = yaml.safe_load(text), []
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            change_tree = rng.choice(_STRUCTURAL)
            tree = change_tree(tree, rng)
            done.append(change_tree.__name__.strip("_"))
            if change_tree is _alias:  # which may lead back to itself, and ends all walks
                break
        yield Mutant(base, "+".join(done), _dumped(tree))


def _dumped(tree: Any) -> bytes:
    return str(yaml.safe_dump(tree, sort_keys=False, allow_unicode=False, width=100)).encode("utf-8", "surrogatepass")


# Structure and values ------------------------------------------------------------------------------------------------

Place = tuple[Any, Any]
"""A mapping or a list, and the key or index of one of its values."""


def _places(tree: Any) -> list[Place]:
    if isinstance(tree, dict):
        return [place for key, value in tree.items() for place in ((tree, key), *_places(value))]
    if isinstance(tree, list):
        return [place for index, value in enumerate(tree) for place in ((tree, index), *_places(value))]
    return []


def _at_a_place(change: Callable[[Any, Any, random.Random], None]) -> Callable[[Any, random.Random], Any]:
    def changed(tree: Any, rng: random.Random) -> Any:
        places = _places(tree)
        if places:
            change(*rng.choice(places), rng)
        return tree

    changed.__name__ = change.__name__
    return changed


@_at_a_place
def _drop(within: Any, at: Any, rng: random.Random) -> None:
    del within[at]


@_at_a_place
def _duplicate(within: Any, at: Any, rng: random.Random) -> None:
    value = copy.deepcopy(within[at])
    if isinstance(within, list):
        within.insert(at, value)
    else:
        within[f"{at} " if rng.random() < 0.5 else rng.choice(_KEYS)] = value


@_at_a_place
def _retype(within: Any, at: Any, rng: random.Random) -> None:
    value = within[at]
    forms: list[Callable[[], Any]] = [
        lambda: str(value),
        lambda: [value],
        lambda: {"name": value},
        lambda: {str(at): value},
        lambda: list(value) if isinstance(value, dict | str) else [value, value],
        lambda: dict(enumerate(value)) if isinstance(value, list) else None,
        lambda: None,
        lambda: True,
    ]
    within[at] = rng.choice(forms)()


@_at_a_place
def _rename(within: Any, at: Any, rng: random.Random) -> None:
    if isinstance(within, dict):
        renamed = rng.choice([*_KEYS, f"{at}x", 4, 1.5, True, None, rng.choice(list(within))])
        kept = [(renamed if key == at else key, value) for key, value in within.items()]
        within.clear()
        within.update(kept)


@_at_a_place
def _replace(within: Any, at: Any, rng: random.Random) -> None:
    within[at] = copy.deepcopy(rng.choice(_SCALARS))


@_at_a_place
def _add(within: Any, at: Any, rng: random.Random) -> None:
    if isinstance(within, dict):
        within[rng.choice(_KEYS)] = copy.deepcopy(rng.choice(_SCALARS))
    else:
        within.append(copy.deepcopy(rng.choice(_SCALARS)))


@_at_a_place
def _nest(within: Any, at: Any, rng: random.Random) -> None:
    for _ in range(rng.choice((2, 10, 60))):
        within[at] = [within[at]] if rng.random() < 0.5 else {"a": within[at]}


@_at_a_place
def _swell(within: Any, at: Any, rng: random.Random) -> None:
    """Many where there was one."""
    value, many = within[at], rng.choice((9, 50, 400))
    if isinstance(within, list):
        within[at:at] = [value + i if isinstance(value, int) else copy.deepcopy(value) for i in range(many)]
    else:
        within |= {f"{at}{i}": copy.deepcopy(value) for i in range(many)}


@_at_a_place
def _alias(within: Any, at: Any, rng: random.Random) -> None:
    within[at] = within if rng.random() < 0.3 else [within[at]] * 9


def _tune(tree: Any, rng: random.Random) -> Any:
    """Another number for a number, so that what is odd gets further than its type."""
    places = [(within, at) for within, at in _places(tree) if isinstance(within[at], int | float)]
    if places:
        within, at = rng.choice(places)
        numbers = [value for value in _SCALARS if isinstance(value, int | float)]
        within[at] = rng.choice([*numbers, within[at] + 1, within[at] * 2, within[at] - 1, 64, 128, 0.25])
    return tree


def _swap(tree: Any, rng: random.Random) -> Any:
    places = _places(tree)
    if places:
        (one, at), (other, there) = rng.choice(places), rng.choice(places)
        first, second = copy.deepcopy(one[at]), copy.deepcopy(other[there])
        one[at] = second
        if not isinstance(other, list) or there < len(other):
            other[there] = first
    return tree


_STRUCTURAL: list[Callable[[Any, random.Random], Any]] = [
    *(_tune, _tune, _tune, _replace, _replace, _replace, _retype, _retype),
    *(_drop, _duplicate, _rename, _add, _nest, _swell, _alias, _swap),
]

# Text ----------------------------------------------------------------------------------------------------------------


def _flip_bytes(text: str, rng: random.Random) -> bytes:
    content = bytearray(text.encode())
    for _ in range(rng.choice((1, 1, 2, 8))):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return bytes(content)


def _truncate(text: str, rng: random.Random) -> bytes:
    return text.encode()[: rng.randrange(len(text))]


def _tab(text: str, rng: random.Random) -> bytes:
    at = rng.randrange(len(text))
    return (text[:at] + "\t" + text[at:]).encode()


def _repeat_a_line(text: str, rng: random.Random) -> bytes:
    lines = text.splitlines(keepends=True)
    at = rng.randrange(len(lines))
    return "".join([*lines[: at + 1], lines[at] * rng.choice((1, 1, 50)), *lines[at + 1 :]]).encode()


def _indent(text: str, rng: random.Random) -> bytes:
    lines = text.splitlines(keepends=True)
    at = rng.randrange(len(lines))
    lines[at] = " " * rng.randrange(1, 9) + lines[at]
    return "".join(lines).encode()


def _encode(text: str, rng: random.Random) -> bytes:
    return rng.choice([text.encode("utf-16"), b"\xef\xbb\xbf" + text.encode(), "é".encode("latin-1") + text.encode()])


def _insert(text: str, rng: random.Random) -> bytes:
    at, what = rng.randrange(len(text)), rng.choice(_SCALARS)
    put = what if isinstance(what, str) else rng.choice(["[" * 400, "{a: " * 400, "*a", "&a ", "!!binary ", "---\n"])
    return (text[:at] + put + text[at:]).encode("utf-8", "surrogatepass")


_TEXTUAL: list[Callable[[str, random.Random], bytes]] = [
    *(_flip_bytes, _flip_bytes, _truncate, _tab, _repeat_a_line, _indent, _encode, _insert)
]
