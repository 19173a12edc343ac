"""Command lines: sources of values, refusals, and ``--help``."""

import dataclasses
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline import cli
from pipeline.config import SECTIONS, Config, option, preset
from pipeline.errors import CorpusError

ROOT = Path(__file__).resolve().parents[1]
ALL = tuple(SECTIONS)


@dataclass(frozen=True)
class ScoreLike:
    """Options of a command that takes files."""

    input: tuple[str, ...] = option((), "files or folders")
    subset: str = option("eval", "subset to work on", choices=("train", "dev", "eval"))
    windows_out: bool = option(False, "one row a window")
    from_: str = option("", "source of the files")
    threads: int = option(2, "threads, 100 % of them busy", least=1)
    threshold: float | None = option(None, "threshold")


def parse(*argv: str, sections=ALL, options=None, default_preset="default"):
    return cli.parse(
        "A command.",
        sections=sections,
        options=options,
        default_preset=default_preset,
        argv=argv,
        prog="command",
    )[:2]


def test_a_command_gets_configuration_options_and_what_was_typed():
    found = []

    @cli.command(sections=("train",), options=ScoreLike, default_preset="demo", with_given=True)
    def main(config, options, given):
        found.append((config, options, given))

    assert main(["--epochs", "3", "--threads", "2", "--subset", ""]) == 0
    assert found == [(preset("demo").replace(epochs=3), ScoreLike(threads=2), {"epochs": "3", "threads": "2"})]
    assert (main.sections, main.options) == (("train",), ScoreLike)


def refusal(capsys, *argv: str, **kwargs) -> str:
    """The one line that a refused command line prints."""
    with pytest.raises(SystemExit) as stop:
        parse(*argv, **kwargs)
    assert stop.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    return printed.err


# Sources of values


def test_nothing_given_is_the_default_preset():
    assert parse() == (Config(), None)
    assert parse(default_preset="demo")[0] == preset("demo")


def test_each_source_is_stronger_than_the_one_before(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("epochs: 7\nlearning_rate: 0.5\n")
    default, demo = Config().train, preset("demo").train
    assert len({default.epochs, demo.epochs, 7, 5}) == 4
    assert parse("--preset", "demo")[0].train.epochs == demo.epochs
    from_file = parse("--preset", "demo", "--config", str(file))[0]
    assert (from_file.train.epochs, from_file.train.learning_rate, from_file.train.patience) == (7, 0.5, demo.patience)
    from_flag = parse("--preset", "demo", "--config", str(file), "--epochs", "5")[0].train
    assert (from_flag.epochs, from_flag.learning_rate) == (5, 0.5)


def test_preset_comes_from_the_flag_then_the_file_then_the_command(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("preset: smoke\n")
    assert parse("--config", str(file), default_preset="demo")[0] == preset("smoke")
    assert parse("--config", str(file), "--preset", "notebook")[0] == preset("notebook")


def test_empty_means_not_given():
    names = cli.option_names(ALL, ScoreLike)
    empty = [word for name in names for word in (f"--{name}", "")]
    assert parse(*empty, options=ScoreLike) == (Config(), ScoreLike())
    assert parse("--preset", "demo", "--epochs", "")[0] == preset("demo")


def test_an_empty_value_of_a_file_is_not_given(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("init:\nleave_out:\nepochs:\n")
    assert parse("--preset", "demo-whisper", "--config", str(file))[0] == preset("demo-whisper")


def test_a_configuration_file_may_hold_options_of_other_sections(tmp_path):
    """One file serves every step of a project, whichever options the step itself takes."""
    file = tmp_path / "mine.yaml"
    file.write_text("epochs: 7\n")
    assert parse("--config", str(file), sections=("corpus",))[0].train.epochs == 7


def test_values_become_their_fields_type():
    config, _ = parse("--epochs", "3", "--learning_rate", "1e-4", "--balance", "False", "--require_gpu", "true")
    assert config == Config().replace(epochs=3, learning_rate=1e-4, balance=False, require_gpu=True)


def test_an_option_without_a_default_is_none_until_given():
    assert parse(options=ScoreLike)[1].threshold is None
    assert parse("--threshold", "-3", options=ScoreLike)[1].threshold == -3.0


def test_a_flag_without_a_value_is_true():
    assert parse("--windows_out", "--threads", "3", options=ScoreLike)[1] == ScoreLike(windows_out=True, threads=3)
    assert not parse("--windows_out", "false", options=ScoreLike)[1].windows_out


def test_an_option_may_have_the_name_of_a_keyword():
    assert parse("--from", "here", options=ScoreLike)[1].from_ == "here"


def test_own_options_and_positional_values():
    _, own = parse("a.wav", "b c.wav", "--subset", "dev", "--threads", "4", sections=(), options=ScoreLike)
    assert own == ScoreLike(input=("a.wav", "b c.wav"), subset="dev", threads=4)
    assert parse("--input", "a.wav", "--input", "b.wav", options=ScoreLike)[1].input == ("a.wav", "b.wav")


# Refusals


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["--epochs", "many"], "--epochs 'many': expected int"),
        (["--epochs", "2.5"], "--epochs '2.5': expected int"),
        (["--clip_s", "long"], "--clip_s 'long': expected number"),
        (["--balance", "yes"], "--balance 'yes': expected true or false"),
        (["--crop", "middle"], "--crop 'middle': choose one of random, first"),
        (["--subset", "test"], "--subset 'test': choose one of train, dev, eval"),
        (["--preset", "fast"], "unknown preset 'fast'; choose one of default, logspec, demo, demo-lcnn, smoke, gmm"),
        (["--threads", "0"], "--threads '0': expected 1 or more"),
        (["--split_seed", "-1"], "--split_seed '-1': expected 0 or more"),
        (["--threshold", "high"], "--threshold 'high': expected number"),
        (["--threshold", "nan"], "--threshold 'nan': expected a finite number"),
        (["--learning_rate=-inf"], "--learning_rate '-inf': expected a finite number"),
        (["--epoch", "3"], "unrecognized arguments: --epoch"),
    ],
)
def test_a_wrong_value_is_one_line_with_option_value_and_choices(capsys, argv, expected):
    assert refusal(capsys, *argv, options=ScoreLike).startswith(f"command: error: {expected}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("epoch: 3\n", "unknown option 'epoch'; known: "),
        ("- epochs\n", "expected 'option: value' lines, found list"),
        ("epochs: [1\n", "not YAML"),
        ("epochs: many\n", ".yaml: epochs 'many': expected int"),
        ("epochs: 2.7\n", ".yaml: epochs 2.7: expected int"),
        ("batch_size: true\n", ".yaml: batch_size True: expected int"),
        ("clip_s: true\n", ".yaml: clip_s True: expected number"),
        ("epoch:\n", "unknown option 'epoch'"),
        ("crop: middle\n", ".yaml: crop 'middle': choose one of random, first"),
        ("preset: fast\n", "unknown preset 'fast'"),
    ],
)
def test_a_wrong_configuration_file_is_refused(capsys, tmp_path, text, expected):
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    assert expected in refusal(capsys, "--config", str(file))


def test_an_unknown_option_names_the_configuration_file(capsys, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("epoch: 3\n")
    assert str(file) in refusal(capsys, "--config", str(file))


def test_a_missing_configuration_file_is_refused(capsys, tmp_path):
    assert "No such file" in refusal(capsys, "--config", str(tmp_path / "none.yaml"))


# --help


@pytest.mark.parametrize("section", ALL)
def test_help_of_a_section_lists_every_field(capsys, section):
    with pytest.raises(SystemExit) as stop:
        parse("--help", sections=(section,))
    assert stop.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    for field in dataclasses.fields(SECTIONS[section]):
        assert f"--{field.name} " in shown
    assert SECTIONS[section].__doc__.strip() in shown
    assert "--preset" in shown
    assert "--config" in shown


def test_help_shows_choices_and_the_presets_defaults():
    parser = cli.build_parser("A command.", sections=ALL, options=ScoreLike, default_preset="demo")
    shown = " ".join(parser.format_help().split())
    assert f"(default: {preset('demo').train.epochs})" in shown
    assert "[random, first] (default: random)" in shown
    assert "100 % of them busy (default: 2)" in shown
    assert "files or folders" in shown


def test_option_names_are_those_of_the_help():
    names = cli.option_names(("audio",), ScoreLike)
    assert names == [
        "input",
        "subset",
        "windows_out",
        "from",
        "threads",
        "threshold",
        "preset",
        "config",
        "min_s",
        "max_s",
        "silence_dbfs",
    ]
    assert cli.option_names((), None) == []


# Ends of commands


def test_run_prints_a_users_error_as_one_line(capsys):
    def fail() -> int:
        raise CorpusError("folder /none: no utterances found")

    with pytest.raises(SystemExit) as stop:
        cli.run(fail)
    assert stop.value.code == 2
    assert capsys.readouterr().err == "error: folder /none: no utterances found\n"


def test_run_exits_with_the_commands_status():
    for returned, status in ((None, 0), (0, 0), (3, 3)):
        with pytest.raises(SystemExit) as stop:
            cli.run(lambda returned=returned: returned)
        assert stop.value.code == status


def test_run_names_the_remedy_for_a_place_that_cannot_be_used(capsys, tmp_path):
    (tmp_path / "file").touch()
    for place, reason in (
        (tmp_path, "Is a directory; a file is in place of a folder"),
        (tmp_path / "file" / "inner", "Not a directory; a file is in place of a folder"),
        (tmp_path / ("n" * 300), "File name too long; shorten it"),
    ):
        with pytest.raises(SystemExit) as stop:
            cli.run(place.read_text)
        assert stop.value.code == 2
        assert capsys.readouterr().err.startswith(f"error: {place}: {reason}")


def test_a_reader_that_has_gone_ends_a_command_quietly():
    code = "from pipeline import cli; cli.run(lambda: print('line\\n' * 50000))"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"line\n"
        process.stdout.close()
        assert (process.stderr.read(), process.wait(20)) == (b"", 141)


def test_run_keeps_the_traceback_of_a_bug():
    with pytest.raises(ZeroDivisionError):
        cli.run(lambda: 1 // 0)


def test_command_lines_are_read_without_heavy_imports():
    """``--help`` answers at once: reading a command line imports no TensorFlow, MLflow or pandas."""
    code = "import sys; import pipeline.cli; print(sorted({'tensorflow', 'mlflow', 'pandas'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
