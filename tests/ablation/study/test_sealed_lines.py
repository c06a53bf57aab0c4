"""A sealed line is JSON still, and never another than was written."""

import json

import pytest

from ablate.study.sealed_lines import seal, unseal

LINE = b'{"number":3,"cell":"0123456789ab"}'


def test_a_line_comes_back_and_is_json_with_its_seal():
    assert unseal(seal(LINE)) == LINE
    assert json.loads(seal(LINE)) == {"seal": json.loads(seal(LINE))["seal"]} | json.loads(LINE)
    assert unseal(LINE) == LINE  # of an earlier version


@pytest.mark.parametrize("bit", range(8))
def test_no_flipped_bit_is_taken_for_the_line(bit):
    whole = seal(LINE)
    for at in range(len(whole)):
        changed = whole[:at] + bytes([whole[at] ^ (1 << bit)]) + whole[at + 1 :]
        try:
            found = unseal(changed)
        except ValueError:
            continue
        # Of the seal itself, damaged, nothing is made: it is what was written, or no seal, and the object has a field
        # too many, or is none.
        assert found in (LINE, changed)
