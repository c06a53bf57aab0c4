"""Every network of this project keeps the contract that users' networks are held to, at the least width it has."""

from suites import suites

from ablate.cost.built import build_on_meta
from ablate.errors import InputError
from ablate.kinds import KINDS, find
from ablate.models.network import network
from ablate.testing import NetworkContract


def least(name: str) -> dict[str, int]:
    known = find(KINDS["network"], name).target.model_fields
    settings = {"stages": 3} if "stages" in known else {}
    for width in (4, 8, 16, 32) if "width" in known else ():
        try:
            build_on_meta(network(name, **settings, width=width), 1, 1)
        except InputError:
            continue
        return settings | {"width": width}
    return settings


globals().update(suites(NetworkContract, least))
