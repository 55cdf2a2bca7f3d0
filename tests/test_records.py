"""The pages' numbers, the configurations' settings, and the records that both come from."""

import dataclasses
import json
import re
from pathlib import Path

import pytest

from scripts.numbers import __main__ as numbers
from scripts.numbers import blocks as numbers_blocks
from scripts.numbers import claims, facenet, pages, records, runs
from scripts.numbers.claim import Claim
from siamese_jax import load_config
from siamese_jax.errors import InputError

ROOT = Path(__file__).parent.parent
RECORDS = ROOT / "docs" / "records"
CONFIG_OF = {
    "transfer": "tune_ravdess_whisper", "transfer_is09": "tune_ravdess_is09", "transfer_emodb": "tune_emodb_whisper",
    "transfer_emodb_is09": "tune_emodb_is09",
}  # fmt: skip


@pytest.fixture(scope="module")
def made():
    return {name: make() for name, make in numbers_blocks.blocks().items()}


def test_pages_agree_with_their_records():
    assert numbers.check() == []


def changed(page, start, end):
    """The page with the first digit between two places changed."""
    digit = re.compile(r"\d").search(page, start, end)
    return page[: digit.start()] + str((int(digit[0]) + 1) % 10) + page[digit.end() :]


@pytest.mark.parametrize("name", claims.by_page())
def test_a_changed_digit_of_any_table_is_noticed(name, made):
    page = (ROOT / name).read_text(encoding="utf-8")
    blocks = list(pages.BLOCK.finditer(page))
    for block in blocks:
        found = list(pages.problems(changed(page, block.start("name") + 40, block.end()), made, [], whole=False))
        assert found == [f"the table {block['name']} differs from its record"]


@pytest.mark.parametrize("name", claims.by_page())
def test_a_changed_digit_of_any_claim_is_noticed(name):
    text = pages.prose((ROOT / name).read_text(encoding="utf-8"))
    for claim in [claim for claim in claims.by_page()[name] if re.search(r"\d", claim.text)]:
        found = claim.pattern.search(text)
        assert not claim.pattern.search(changed(found[0], 0, len(found[0]))), claim.text


def test_a_changed_digit_of_a_page_fails_the_check(made):
    page, of_page = (ROOT / "README.md").read_text(encoding="utf-8"), claims.by_page()["README.md"]
    assert list(pages.problems(page, made, of_page)) == []
    for start in (page.index("<!-- summary -->") + 200, page.index("the last row is"), page.index("over 200 draws")):
        assert list(pages.problems(changed(page, start, len(page)), made, of_page))


@pytest.mark.parametrize(
    ("text", "n_numbers"),
    [("It gains 3.4 points.", 1), ("From 1,000 to 2,304 columns", 2), ("is09, eNTERFACE'05, float16, H100", 0),
     ("`--draws=200`", 0), ("```sh\nrun --draws=200\n```\n", 0), ("[results](results.md#table-1)", 0),
     ("    siamese-jax --n=8\n", 0), ("| a | 4.5 [4.1, 4.9] |", 3), ("-0.3 points, +1.2", 2)],
)  # fmt: skip
def test_a_number_outside_code_needs_a_source(text, n_numbers):
    assert len(list(pages.problems(text, {}, []))) == n_numbers


def test_a_claim_accounts_for_its_numbers_across_line_breaks_only_as_a_whole():
    claim = Claim("gains 1.0 to 2.0 points")
    assert list(pages.problems("It gains 1.0 to\n2.0 points.", {}, [claim])) == []
    assert len(list(pages.problems("It gains 11.0 to 2.0 points.", {}, [claim]))) == 3
    assert len(list(pages.problems("It gains 1.0 to 2.05 points.", {}, [claim]))) == 3


def test_a_table_without_a_record_and_a_name_without_a_place_are_named():
    assert list(pages.problems("<!-- lost -->\n1\n<!-- end of lost -->\n", {}, [])) == ["the table lost has no record"]
    assert list(pages.problems("", {}, [Claim("Table 9")])) == ["lacks the text 'Table 9'"]


def test_a_text_that_the_records_do_not_bear_out_is_named():
    found = list(pages.problems("It is the best.", {}, [Claim("It is the best.", true=False)]))
    assert found == ["the records do not bear out 'It is the best.'"]


def test_a_record_is_read_as_it_was_written(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "FOLDER", tmp_path)
    table = records.Table.of([{"uar": 40.123456789, "n": 3, "of": None, "seconds": 2.0}], without=("seconds",))
    record = records.Record.made("siamese-jax x", {"rows": table}, note="n")
    records.write("some", record)
    assert records.parse((tmp_path / "some.json").read_text()) == record
    assert table.dicts() == [{"uar": 40.12345679, "n": 3, "of": None}]


def test_the_check_looks_at_every_page_table_and_number_and_exits_with_one(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(records, "ROOT", tmp_path)
    monkeypatch.setattr(claims, "WHOLE", ("whole.md",))
    (tmp_path / "whole.md").write_text("<!-- a -->\n\n| 1 |\n\n<!-- end of a -->\nIt gains 3.4 points of 7.\n")
    (tmp_path / "part.md").write_text("<!-- b -->\n\n| 2 |\n\n<!-- end of b -->\nIt gains 3.4 points of 7.\n")
    made = {"a": "| 1 |\n", "b": "| 2 |\n"}
    said = {"whole.md": [Claim("gains 3.4 points"), Claim("of 7")], "part.md": [Claim("gains 3.4 points")]}
    for changes, problem in (
        ({}, None),
        ({"a": "| 3 |\n"}, "whole.md: the table a differs from its record"),
        ({"b": "| 3 |\n"}, "part.md: the table b differs from its record"),
        ({"c": "| 4 |\n"}, "no page has the table c"),
        ({"whole.md": said["whole.md"][:1]}, "whole.md: line 6: nothing accounts for 7 in "),
        ({"part.md": [Claim("gains 3.5 points")]}, "part.md: lacks the text 'gains 3.5 points'"),
        ({"part.md": [Claim("of 7", true=False)]}, "part.md: the records do not bear out 'of 7'"),
    ):
        tables = {**made, **{name: text for name, text in changes.items() if isinstance(text, str)}}
        of_pages = {**said, **{name: text for name, text in changes.items() if isinstance(text, list)}}
        makers = {name: lambda text=text: text for name, text in tables.items()}
        monkeypatch.setattr(numbers_blocks, "blocks", lambda makers=makers: makers)
        monkeypatch.setattr(claims, "by_page", lambda of_pages=of_pages: of_pages)
        monkeypatch.setattr("sys.argv", ["numbers", "--check"])
        assert numbers.main() == (0 if problem is None else 1)
        printed = capsys.readouterr().out.splitlines()
        assert [line[: len(problem)] for line in printed] == [problem] if problem else printed == []


@pytest.mark.parametrize(
    ("group", "name"),
    [("network", "heads"), ("training", "source_steps"), ("transfer", "transfer_c"), ("report", "level")],
)
def test_a_run_with_one_other_setting_of_any_group_is_no_record(tmp_path, group, name):
    command = runs.RUNS["paired"].command
    given = dataclasses.asdict(records.experiment(command))
    (tmp_path / "config.json").write_text(json.dumps(given))
    runs.check(tmp_path, command)
    given[group][name] = -1
    (tmp_path / "config.json").write_text(json.dumps(given))
    with pytest.raises(InputError, match=rf"{group}\.{name} is -1; expected "):
        runs.check(tmp_path, command)


def test_every_record_comes_from_a_command_that_a_page_shows():
    text = " ".join((ROOT / page).read_text(encoding="utf-8") for page in claims.by_page())
    shown = " ".join(text.replace("\\\n", " ").split())
    for name in {*runs.RUNS, *numbers_blocks.PRINTED}:
        record = records.read(name)
        assert " ".join(record.command.split()) in shown or name == "reproduce", name
        assert record.version, name
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", record.date), name
        assert not record.note or f"{record.version} on {record.date}" in record.note or name == "speed", name
        assert name not in runs.RUNS or runs.RUNS[name].command == record.command


def test_a_reproduction_keeps_the_rows_that_pages_show(tmp_path):
    row = {"method": "fine_tuning", "frozen": 0, "selection": "cell", "uar_mean": 40.0, "seconds": 1.0, "source": "a"}
    rows = [row, {**row, "frozen": 2}, {**row, "frozen": 2, "selection": "best"}, {**row, "frozen": None}]
    for features in ("is09", "whisper"):
        (tmp_path / features).mkdir()
        (tmp_path / features / "summary.json").write_text(json.dumps(rows))
        (tmp_path / features / "optimism.json").write_text(json.dumps([{"best": 1.0}, {"method": "svm", "best": 2.0}]))
    made = runs.reproduction(tmp_path)
    kept = [(row["features"], row["frozen"], row["selection"]) for row in made["rows"].dicts()]
    assert kept == [(f, *cell) for f in ("is09", "whisper") for cell in ((0, "cell"), (2, "best"), (None, "cell"))]
    assert [row["method"] for row in made["optimism"].dicts()] == ["", "svm"] * 2


def test_a_record_of_a_folder_without_the_run_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["numbers", "--record=transfer_thinned", f"--workdir={tmp_path}"])
    assert numbers.main() == 2
    assert "transfer.json" in capsys.readouterr().err


def test_a_run_with_other_settings_is_no_record(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(records, "FOLDER", tmp_path)
    experiment = dataclasses.asdict(records.experiment(runs.RUNS["paired"].command))
    experiment["protocol"]["n_draws"] = 10
    (tmp_path / "config.json").write_text(json.dumps(experiment))
    assert numbers.record("paired", tmp_path) == 2
    assert "n_draws is 10; expected 200" in capsys.readouterr().err
    assert not (tmp_path / "paired.json").exists()


def test_a_cross_training_with_other_settings_is_no_record(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(records, "FOLDER", tmp_path)
    for name, command in facenet.COMMANDS.items():
        config = records.configuration(command, "facenet")
        config.fine_tuning.margin = 0.25 if name == "facenet_emodb" else config.fine_tuning.margin
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(config.to_json())
        for file in ("summary.json", "differences.json"):
            (tmp_path / name / file).write_text("[]")
    assert numbers.record("facenet", tmp_path) == 2
    message = capsys.readouterr().err
    assert "facenet_emodb" in message
    assert "'margin': 0.25" in message
    assert not (tmp_path / "facenet.json").exists()


@pytest.mark.parametrize("name", CONFIG_OF)
def test_a_configuration_has_the_settings_that_were_chosen_without_its_target(name):
    (record,) = json.loads((RECORDS / f"{CONFIG_OF[name]}.json").read_text(encoding="utf-8"))
    config = load_config(name)
    for field, value in record["chosen"].items():
        own = config.transfer[field]
        assert (own[0] if field == "balance_strength" else own) == value, field
    assert record["target"] == config.data.target
    assert config.data.target not in {transfer["target"] for transfer in record["transfers"]}


def test_records_are_small():
    assert all(path.stat().st_size < 1_000_000 for path in RECORDS.glob("*.json"))
