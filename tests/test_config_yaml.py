"""Whatever is in a YAML file: its values with their places, or one clear sentence for each problem."""

from pathlib import Path

import pytest

from connector.config.yamlfile import LARGEST, ConfigError, read


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file to be written and read."""
    return tmp_path / "acme.yaml"


def problems(file: Path) -> list[str]:
    """What is wrong with the file, without its folder."""
    with pytest.raises(ConfigError) as raised:
        read(file)
    return [problem.replace(f"{file}", "acme.yaml") for problem in raised.value.problems]


def test_values_are_what_they_look_like(file: Path) -> None:
    """YAML 1.2: `no` is a word, a leading zero is not octal; a byte order mark and CRLF do no harm."""
    file.write_bytes(b"\xef\xbb\xbfa: no\r\nb: 012\r\nc: [true, 1.5, null, '7']\r\nd: {e: 24h}\r\n")
    assert read(file).values == {"a": "no", "b": 12, "c": [True, 1.5, None, "7"], "d": {"e": "24h"}}


def test_every_value_has_its_place(file: Path) -> None:
    """Names and values are found by line and column, counted from one."""
    file.write_text("a:\n  - b: 1\n")
    document = read(file)
    assert document.names["a", 0, "b"] == f"{file}:2:5"
    assert document.places["a", 0, "b"] == f"{file}:2:8"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "acme.yaml:1:1 is empty"),
        (b" \n\n", "acme.yaml:1:1 is empty"),
        (b"# only a comment\n", "acme.yaml:1:1 must hold fields, as in `field: value`"),
        (b"- a\n", "acme.yaml:1:1 must hold fields, as in `field: value`"),
        (b"a: 1\nb:\n\t- c\n", "acme.yaml:3:1 a tab indents this line; only spaces may"),
        (b"a: x\nb: \xe4\n", "acme.yaml:2:1 is not UTF-8 text; save it as UTF-8"),
        (b"a: x\0\n", "acme.yaml:1:1 holds a control character"),
        (b'a: "x\\0"\n', "acme.yaml:1:4 a: holds the control character \\0"),
        (b"a: 1\nb:\n  a: 1\n  a: 2\n", "acme.yaml:4:3 b.a: stands here a second time; keep one"),
        (b"a: !!python/object:os.system x\n", "acme.yaml:1:4 a: tags (a word after !) are not allowed"),
        (b"a: 2026-13-45\n", "acme.yaml:1:4 a: is not a number or date that exists"),
        (b"? [a]\n: 1\n", "acme.yaml:1:3 a field name must be a word"),
        (b"a: " + b"[" * 20_000, "acme.yaml:1:1 is nested too deeply"),
    ],
)
def test_a_bad_file_is_one_clear_sentence(file: Path, content: bytes, problem: str) -> None:
    """No traceback, whatever the bytes are."""
    file.write_bytes(content)
    assert problems(file) == [problem]


@pytest.mark.parametrize(
    "content", ["a: [1\n", "a: b: c\n", "a: 'x\n", "path: {id}/x\n", "a: 1\n---\nb: 2\n", "a: *b\n"]
)
def test_broken_yaml_says_where_and_what_to_try(file: Path, content: str) -> None:
    """The place where YAML ends, and the usual remedy."""
    file.write_text(content)
    (problem,) = problems(file)
    assert problem.startswith("acme.yaml:")
    assert "is not valid YAML" in problem
    assert "need quotes around them" in problem


def test_an_alias_bomb_is_refused_at_once(file: Path) -> None:
    """Ten levels of ten aliases would be ten thousand million values."""
    levels = [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 11)]
    file.write_text("\n".join(["a0: &a0 [x]", *levels]) + "\n")
    assert problems(file)[0] == ("acme.yaml:1:5 a0: anchors and aliases (& and *) are not allowed; write the value out")


def test_a_file_that_is_too_large_is_not_read(file: Path) -> None:
    """A megabyte is more than any configuration."""
    file.write_bytes(b"#" * (LARGEST + 1))
    assert problems(file) == ["acme.yaml: is larger than 1,048,576 bytes, the most that is read"]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Absent, or a folder."""
    assert problems(tmp_path / "absent.yaml") == ["acme.yaml: cannot be read: No such file or directory"]
    assert problems(tmp_path) == ["acme.yaml: cannot be read: it is no regular file; put one there"]


def test_all_problems_of_a_file_are_told_at_once(file: Path) -> None:
    """Nobody has to mend a file one run at a time."""
    file.write_text("a: !x 1\nb: 1\nb: 2\n")
    assert len(problems(file)) == 2
