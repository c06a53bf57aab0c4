"""Cases, parts and strata are what the user says they are; what that leaves open is an error with file and line."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from ablate.data.cases import name_of, with_cases
from ablate.data.load import load_data
from ablate.data.settings import DataSource, Folder, Mni152, Phantom
from ablate.data.source import Sample
from ablate.errors import InputError
from ablate.kinds import KINDS, parse
from ablate.modules import code_from

PLAIN = [f"patient{p}_slice{z}" for p in (1, 2, 10) for z in (1, 2)]
NESTED = [f"patient{p}/slice{z}" for p in (1, 2, 10) for z in (1, 2)]
BLANK = np.zeros((8, 8), np.uint8)


def samples(*names: str, group: str = "") -> list[Sample]:
    return [Sample(name, group or name, BLANK, BLANK) for name in names]


def volume(name: str, count: int = 2) -> list[Sample]:
    return samples(*(f"{name}_z{z:03d}" for z in range(count)), group=name)


def groups(found: list[Sample]) -> list[str]:
    return [one.group for one in found]


def with_table(root: Path, text: str | bytes, **fields: str) -> DataSource:
    (root / "t.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return DataSource(root=root, **{name: "t.csv" if value == "csv" else value for name, value in fields.items()})


# A pattern -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "names", "expected"),
    [
        ("(patient[0-9]+)_", PLAIN, ["patient1"] * 2 + ["patient2"] * 2 + ["patient10"] * 2),
        ("patient[0-9]+", PLAIN, ["patient1"] * 2 + ["patient2"] * 2 + ["patient10"] * 2),
        (r"^patient(\d+)", PLAIN, ["1", "1", "2", "2", "10", "10"]),
        ("slice(?:[0-9]+)$", PLAIN, ["slice1", "slice2"] * 3),
        ("^([^/]+)/", NESTED, ["patient1"] * 2 + ["patient2"] * 2 + ["patient10"] * 2),
        ("^.*(?=_)", ["a_b_1", "a_b_2", "a_c_1"], ["a_b", "a_b", "a_c"]),
        ("^(müller)", [unicodedata.normalize("NFD", "müller_1"), "müller_2"], ["müller"] * 2),
    ],
)
def test_a_pattern_of_names_tells_the_case(pattern: str, names: list[str], expected: list[str]) -> None:
    assert groups(with_cases(samples(*names), DataSource(case=pattern))) == expected


def test_several_volumes_may_be_of_one_patient() -> None:
    found = with_cases([*volume("p1_before"), *volume("p1_after"), *volume("p2_after")], DataSource(case="^p[0-9]+"))
    assert groups(found) == ["p1"] * 4 + ["p2"] * 2
    # An end of a name is the volume's end.
    found = with_cases([*volume("scan_p1"), *volume("scan_p2")], DataSource(case="p[0-9]+$"))
    assert groups(found) == ["p1", "p1", "p2", "p2"]


def test_without_a_description_cases_stay_as_they_are() -> None:
    given = [*volume("scan"), *samples("a")]
    assert with_cases(given, DataSource()) == given
    assert [name_of(one) for one in given] == ["scan", "scan", "a"]


@pytest.mark.parametrize("name", ["other_1", "patient_", "", "Patient1_x"])
def test_an_image_that_does_not_match_is_named(name: str) -> None:
    with pytest.raises(InputError, match=f"image '{name}' tells no case.*data.case"):
        with_cases(samples(*PLAIN, name), DataSource(case="(patient[0-9]+)_"))


def test_a_group_that_matches_nothing_tells_no_case() -> None:
    with pytest.raises(InputError, match="image 'scan' tells no case"):
        with_cases(samples("scan"), DataSource(case="scan(_[0-9]+)?"))


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("case", "(patient", "is no pattern"),
        ("case", "*", "is no pattern"),
        ("case", "(a)(b)", "has 2 groups: expected one"),
        ("case", "../cases.csv", "without a path"),
        ("case", "/etc/cases.csv", "without a path"),
        ("case", "a\\b.csv", "without a path"),
        ("parts", "sub/parts.CSV", "without a path"),
        ("parts", "parts.txt", "expected folder, or the name of a CSV"),
        ("parts", "(train|test)", "expected folder, or the name of a CSV"),
    ],
)
def test_a_description_that_is_none_is_refused_before_anything_is_read(field: str, value: str, expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        DataSource(**{field: value})


# Folders -------------------------------------------------------------------------------------------------------------


def test_the_sub_folder_is_the_case() -> None:
    assert groups(with_cases(samples(*NESTED), DataSource(case="folder")))[::2] == ["patient1", "patient2", "patient10"]
    with pytest.raises(InputError, match="image 'a' is in no sub-folder"):
        with_cases(samples(*NESTED, "a"), DataSource(case="folder"))


@pytest.mark.parametrize(
    "folders", [("train", "val", "test"), ("Training", "Validation", "Testing"), ("training", "valid", "test")]
)
def test_folders_are_the_parts(folders: tuple[str, ...]) -> None:
    found = with_cases(samples(*(f"{part}/{n}" for part in folders for n in "ab")), DataSource(parts="folder"))
    assert [one.part for one in found] == ["train"] * 2 + ["val"] * 2 + ["test"] * 2
    assert groups(found)[0] == f"{folders[0]}/a"


def test_parts_and_cases_may_both_be_folders() -> None:
    names = ["train/p1/a", "train/p1/b", "val/p2/a", "test/p3/a"]
    found = with_cases(samples(*names), DataSource(parts="folder", case="folder"))
    assert groups(found) == ["p1", "p1", "p2", "p3"]
    with pytest.raises(InputError, match=r"case 'p1' is in the parts train \('train/p1/a'\) and test \('test/p1/a'\)"):
        with_cases(samples("train/p1/a", "test/p1/a"), DataSource(parts="folder", case="folder"))
    with pytest.raises(InputError, match="image 'train/a' is in no sub-folder"):
        with_cases(samples("train/a"), DataSource(parts="folder", case="folder"))


@pytest.mark.parametrize("name", ["a", "other/a", "train", "trainings/a"])
def test_an_image_in_no_folder_of_a_part_is_named(name: str) -> None:
    with pytest.raises(InputError, match=f"image '{name}' is in no folder of a part"):
        with_cases(samples("train/a", name), DataSource(parts="folder"))


# Tables --------------------------------------------------------------------------------------------------------------

ROWS = ["patient1_slice1,A", "patient1_slice2,A", "patient2_slice1,B", "patient2_slice2,B", "patient10_slice1,C",
        "patient10_slice2,C"]  # fmt: skip
TABLE = "image,case\n" + "\n".join(ROWS) + "\n"
GOOD = {
    "plain": TABLE,
    "byte order mark": b"\xef\xbb\xbf" + TABLE.encode(),
    "windows lines": TABLE.replace("\n", "\r\n"),
    "no end": TABLE.rstrip(),
    "empty lines": TABLE.replace("\n", "\n\n,\n"),
    "spaces": TABLE.replace(",", " , "),
    "capitals": TABLE.replace("image,case", "Image,CASE"),
    "other order": "image,case\n" + "\n".join(reversed(ROWS)),
    "more columns": "age,image,case\n" + "\n".join(f"7,{row}" for row in ROWS),
    "quoted": 'image,case\n' + "\n".join('"' + row.replace(",", '","') + '"' for row in ROWS),
    "suffixes": TABLE.replace(",A", ".png,A").replace(",B", ".nii.gz,B").replace("image.png", "image"),
    "a dot before": TABLE.replace("patient", "./patient"),
}  # fmt: skip


@pytest.mark.parametrize("form", GOOD)
def test_a_table_tells_cases_however_it_was_saved(form: str, tmp_path: Path) -> None:
    found = with_cases(samples(*PLAIN), with_table(tmp_path, GOOD[form], case="csv"))
    assert groups(found) == list("AABBCC")


BAD = {
    "missing": (TABLE.replace(ROWS[3] + "\n", ""), "has no row for image 'patient2_slice2'"),
    "doubled": (TABLE + ROWS[0], r"line 8: image 'patient1_slice1' is in line 2 already"),
    "doubled otherwise": (TABLE + "patient1_slice1.png,A", r"line 8: image 'patient1_slice1.png' is in line 2"),
    "unknown": (TABLE + "patient3_slice1,A", r"line 8: there is no image 'patient3_slice1', did you mean"),
    "no case": (TABLE.replace("slice2,B", "slice2,"), "line 5: has no case"),
    "no image": (TABLE.replace("patient2_slice2,B", ",B"), "line 5: has no image"),
    "semicolons": (TABLE.replace(",", ";"), "line 1: its columns are not separated by commas"),
    "tabs": (TABLE.replace(",", "\t"), "line 1: its columns are not separated by commas"),
    "no header": ("\n".join(ROWS), "has the columns patient1_slice1, a: expected image and case"),
    "another header": (TABLE.replace("image,", "filename,"), "columns filename, case: expected image and case"),
    "header twice": (TABLE.replace("image,case", "case,case"), "column case is there twice"),
    "a field more": (TABLE.replace("slice2,B", "slice2,B,x"), "line 5: it has 3 fields, and the header 2"),
    "a field less": (TABLE.replace("slice2,B", "slice2"), "line 5: it has 1 fields, and the header 2"),
    "empty": ("", "line 1: it is empty"),
    "header alone": ("image,case\n", "has no row for image 'patient1_slice1'"),
    "utf-16": (TABLE.encode("utf-16"), "is not UTF-8 text"),
    "latin-1": (TABLE.replace("A", "Ä").encode("latin-1"), "is not UTF-8 text"),
    "an open quote": (TABLE + '"patient', "unexpected end of data"),
}


@pytest.mark.parametrize("form", BAD)
def test_a_table_that_does_not_cover_the_images_is_one_line(form: str, tmp_path: Path) -> None:
    text, expected = BAD[form]
    with pytest.raises(InputError, match=expected) as caught:
        with_cases(samples(*PLAIN), with_table(tmp_path, text, case="csv"))
    assert str(tmp_path / "t.csv") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_table_that_is_not_there_or_no_file_is_one_line(tmp_path: Path) -> None:
    source = DataSource(root=tmp_path, case="t.csv")
    with pytest.raises(InputError, match=r"t\.csv' does not exist"):
        with_cases(samples("a"), source)
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(InputError, match=r"t\.csv' cannot be read"):
        with_cases(samples("a"), source)
    with pytest.raises(InputError, match="give --data-dir"):
        with_cases(samples("a"), DataSource(case="t.csv"))


def test_names_match_in_either_unicode_form(tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "müller")
    found = with_cases(samples(decomposed, "größe"), with_table(
        tmp_path, f"image,case\nmüller,1\n{unicodedata.normalize('NFD', 'größe')},2\n", case="csv"
    ))  # fmt: skip
    assert groups(found) == ["1", "2"]


def test_a_table_may_name_images_in_sub_folders_with_or_without_them(tmp_path: Path) -> None:
    text = "image,case\np1/a.png,1\np2\\a.png,2\nb,2\n"
    assert groups(with_cases(samples("p1/a", "p2/a", "p2/b"), with_table(tmp_path, text, case="csv"))) == list("122")
    with pytest.raises(InputError, match="line 2: there is no image 'a'"):
        with_cases(samples("p1/a", "p2/a"), with_table(tmp_path, "image,case\na,1\n", case="csv"))


def test_a_table_may_name_volumes_or_their_slices(tmp_path: Path) -> None:
    given = [*volume("s1"), *volume("s2")]
    assert groups(with_cases(given, with_table(tmp_path, "image,case\ns1.nii.gz,P\ns2,P\n", case="csv"))) == ["P"] * 4
    text = "image,case\ns1_z000,P\ns1_z001,Q\ns2,R\n"
    assert groups(with_cases(given, with_table(tmp_path, text, case="csv"))) == ["P", "Q", "R", "R"]
    with pytest.raises(InputError, match="line 3: image 's1_z000' is in line 2 already"):
        with_cases(given, with_table(tmp_path, "image,case\ns1,P\ns1_z000,P\ns2,P\n", case="csv"))


def test_strata_come_with_the_cases(tmp_path: Path) -> None:
    text = "image,case,stratum\na,1,old\nb,1,old\nc,2,young\n"
    found = with_cases(samples("a", "b", "c"), with_table(tmp_path, text, case="csv"))
    assert [one.stratum for one in found] == ["old", "old", "young"]
    with pytest.raises(InputError, match="line 4: has no stratum"):
        with_cases(samples("a", "b", "c"), with_table(tmp_path, text.replace("young", ""), case="csv"))
    with pytest.raises(InputError, match=r"case '1' is in the strata old .* and new"):
        with_cases(samples("a", "b", "c"), with_table(tmp_path, text.replace("b,1,old", "b,1,new"), case="csv"))


@pytest.mark.parametrize(
    "text",
    [
        "image,part\na,train\nb,Validation\nc,TEST\n",
        "image,part\na,training\nb,valid\nc,testing\n",
        "case,part\nc,test\nb,val\na,train\n",
        "image,case,part\na,x,train\nb,y,val\nc,z,test\n",
    ],
)
def test_a_table_tells_parts(text: str, tmp_path: Path) -> None:
    found = with_cases(samples("a", "b", "c"), with_table(tmp_path, text, parts="csv"))
    assert [one.part for one in found] == ["train", "val", "test"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("image,part\na,train\nb,dev\nc,test\n", "line 3: has the part 'dev': expected train, val or test"),
        ("image,part\na,train\nb,\nc,test\n", "line 3: has no part"),
        ("image,split\na,train\n", "columns image, split: expected image and part"),
        ("case,part\na,train\nb,val\n", "has no row for case 'c'"),
        ("case,part\na,train\nb,val\nc,test\nd,test\n", "line 5: there is no case 'd'"),
        ("case,part\na,train\nb,val\nc,test\nb,val\n", "line 5: case 'b' is in line 3 already"),
    ],
)
def test_parts_that_do_not_cover_the_images_are_one_line(text: str, expected: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=expected):
        with_cases(samples("a", "b", "c"), with_table(tmp_path, text, parts="csv"))


def test_one_table_tells_both_and_a_case_in_two_parts_is_an_error(tmp_path: Path) -> None:
    text = "image,case,part\na,1,train\nb,1,train\nc,2,test\n"
    found = with_cases(samples("a", "b", "c"), with_table(tmp_path, text, case="csv", parts="csv"))
    assert [(one.group, one.part) for one in found] == [("1", "train"), ("1", "train"), ("2", "test")]
    with pytest.raises(InputError, match=r"case '1' is in the parts train \('a'\) and val \('b'\)"):
        with_cases(
            samples("a", "b", "c"),
            with_table(tmp_path, text.replace("b,1,train", "b,1,val"), case="csv", parts="csv"),
        )
    by_case = with_table(tmp_path, "case,part\n1,train\n2,test\n", parts="csv").model_copy(update={"case": "^."})
    found = with_cases(samples("1a", "1b", "2a"), by_case)
    assert [one.part for one in found] == ["train", "train", "test"]


def test_slices_of_a_volume_in_two_parts_are_an_error_without_any_case(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="case 's' is in the parts train"):
        with_cases(volume("s"), with_table(tmp_path, "image,part\ns_z000,train\ns_z001,test\n", parts="csv"))


# In the data set -----------------------------------------------------------------------------------------------------


def test_any_data_set_may_be_described() -> None:
    data = load_data(Phantom(count=6, size=(16, 16), case="phantom_000([0-9])"))
    assert data.groups == ("0", "1", "2", "3", "4", "5")
    data = load_data(Mni152(slices=5, size=(16, 16), case="[a-z]+", spacing=(1.0, 2.0)))
    assert set(data.groups) == {"mni"}
    assert data.spacings == ((1.0, 2.0),) * 5


def test_the_fingerprint_holds_the_description_where_there_is_one(tmp_path: Path) -> None:
    plain = Phantom(count=5, size=(16, 16), root=tmp_path)
    before = load_data(plain).config.fingerprint
    assert before == load_data(Phantom(count=5, size=(16, 16))).config.fingerprint
    names = [f"phantom_{n:04d}" for n in range(5)]
    found = set()
    for parts in (["train", "train", "train", "val", "test"], ["train", "train", "val", "train", "test"]):
        (tmp_path / "t.csv").write_text("image,part\n" + "\n".join(map(",".join, zip(names, parts, strict=True))))
        data = load_data(plain.model_copy(update={"parts": "t.csv"}))
        assert list(data.fixed) == parts
        found.add(data.config.fingerprint)
    assert len(found | {before}) == 3
    with pytest.raises(InputError, match="changed: their fingerprint is"):
        load_data(plain.model_copy(update={"parts": "t.csv", "fingerprint": before}))


FUNCTION = """
import numpy as np

def images(root, case=3, parts=2):
    return [(f"p{n // 2}_{n}", np.full((8, 8), n, np.uint8), np.eye(8, dtype=np.uint8)) for n in range(case * parts)]

def plain():
    return images(None)
"""


def test_a_function_is_described_too_and_its_own_settings_stay_its_own(tmp_path: Path) -> None:
    (tmp_path / "my_cases.py").write_text(FUNCTION)
    with code_from(tmp_path):
        own = load_data(parse(KINDS["data set"], {"name": "my_cases:images", "size": [8, 8], "case": 2}))
        assert own.groups == ("p0_0", "p0_1", "p1_2", "p1_3")
        described = load_data(parse(KINDS["data set"], {"name": "my_cases:plain", "size": [8, 8], "case": "^p."}))
        assert described.groups == ("p0", "p0", "p1", "p1", "p2", "p2")


class Own(DataSource):
    """As from before these settings were every data set's."""

    name: str = "own"
    case: int = 2
    parts: float = 0.5
    spacing: float = 3.0

    def read(self) -> list[Sample]:
        return [Sample(f"{n}", f"{n // self.case}", BLANK, BLANK) for n in range(4)]


def test_a_class_may_have_settings_of_its_own_so_called() -> None:
    data = load_data(Own(size=(8, 8)))
    assert data.groups == ("0", "0", "1", "1")
    assert (data.fixed, data.spacings) == ((), ())


def test_a_table_in_the_folder_of_images(tmp_path: Path) -> None:
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
        for name in "abc":
            np.save(tmp_path / kind / f"{name}.npy", np.eye(8, dtype=np.uint8))
    (tmp_path / "t.csv").write_text("image,case,part\nimages/a.npy,1,train\nb.npy,1,train\nc,2,test\n")
    with pytest.raises(InputError, match=r"line 2: there is no image 'images/a\.npy'"):
        load_data(Folder(root=tmp_path, case="t.csv", parts="t.csv", size=(8, 8)))
    (tmp_path / "t.csv").write_text("image,case,part\na.npy,1,train\nb.npy,1,train\nc,2,test\n")
    data = load_data(Folder(root=tmp_path, case="t.csv", parts="t.csv", size=(8, 8)))
    assert (data.groups, data.fixed) == (("1", "1", "2"), ("train", "train", "test"))
