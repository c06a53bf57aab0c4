"""`ablate paper`: the same findings on eighty columns and as one document, in the order of the paper."""

from __future__ import annotations

import json

from ablate.analysis.paper.published import NAMES

DATA = ["kaggleLung", "liver", "ISBICell"]


def run(capsys, *arguments):
    from ablate.runners.cli.paper import paper as command

    command.main(list(map(str, arguments)), standalone_mode=False)
    return capsys.readouterr().out


def test_the_printed_findings_fit_eighty_columns(capsys):
    shown = run(capsys)
    assert max(map(len, shown.splitlines())) <= 80
    assert "\x1b" not in shown
    for expected in (
        "fails  PyConvU-Net on kaggleLung",
        "0.9630 0.9339 !",
        "fails  U-Net on ISBICell",
        "+22.40",
        "0.663",
        "0.734",
        "102.99",
        "github.com/StevenAZy/PyConvU-Net",
    ):
        assert expected in shown
    split, whole = (line.split() for line in shown.splitlines() if line.startswith("all-foreground, "))
    assert split == ["all-foreground,", "split", "of", "6", "0.777", "0.874"]
    assert whole == ["all-foreground,", "all", "30", "0.780", "0.876"]


def test_the_document_has_the_tables_and_the_checks_in_the_papers_order(capsys):
    document = json.loads(run(capsys, "--json"))
    assert list(document) == ["table_1", "table_2", "all_foreground", "table_3", "checks", "code"]
    assert list(document["table_1"]) == list(document["table_2"]) == DATA
    assert document["table_1"]["ISBICell"]["images"] == 30
    assert all(list(rows) == list(NAMES) for rows in document["table_2"].values())
    assert list(document["table_2"]["liver"]["pyconvunet"].items()) == [("miou", 0.7050), ("dice", 0.8227)]
    table = document["table_3"]
    assert list(table) == ["input", "published", "computed"]
    assert list(table["published"]) == list(NAMES)
    assert list(dict.fromkeys(row["model"] for row in table["computed"])) == list(NAMES)
    assert list(table["computed"][0]) == [
        "model", "reading", "params_m", "gmacs", "convolution_gmacs",
        "params_m_difference", "gmacs_difference", "reproduced",
    ]  # fmt: skip
    assert sum(row["reproduced"] for row in table["computed"]) == 5


def test_the_document_says_what_all_foreground_was_scored_on(capsys):
    found = json.loads(run(capsys, "--json"))["all_foreground"]
    assert list(found) == [
        "data", "published_split", "all_masks", "splits", "share_of_splits_above", "measured_here", "source",
    ]  # fmt: skip
    assert list(found["published_split"]) == ["images", "iou", "dice", "eq_1"]
    assert (found["published_split"]["images"], found["all_masks"]["images"]) == (6, 30)
    assert list(found["share_of_splits_above"]) == list(NAMES)
    assert not found["measured_here"]


def test_each_check_of_the_document_says_where_it_is_from(capsys):
    checks = json.loads(run(capsys, "--json"))["checks"]
    assert {check["outcome"] for check in checks} == {"holds", "fails", "not checked"}
    assert all(list(check) == ["name", "subject", "outcome", "found", "reason", "source"] for check in checks)
    assert all(check["source"] for check in checks)
    tables = [2 if "Table 3" not in check["source"] else 3 for check in checks if "Table" in check["source"]]
    assert tables == sorted(tables)
