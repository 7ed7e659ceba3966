"""The policy directory: which files are policies and which are tests, and their texts as of one moment."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from guard.filemark import mark_of
from guard.pauses import with_pauses
from guard.policy import PolicyDoc, PolicyError, parse_policy
from guard.wholefile import POLICY_BYTES_MAX, read_newest, why

READS_MAX: Final = 5


def policy_files(directory: Path, *, are_tests: bool = False) -> list[Path]:
    """The policy files of the directory, or the test files. Names with a leading dot are skipped. Raises OSError."""
    named = ((path.name, path) for path in with_pauses(directory.iterdir()))
    found = [(name, path) for name, path in named if name.endswith(".toml") and not name.startswith(".")]
    return [path for name, path in sorted(found) if name.endswith("_test.toml") is are_tests]


def read_texts(directory: Path) -> tuple[dict[str, str], list[PolicyError]]:
    """Every policy file of the directory, read once; `*_test.toml` files are tests, not policies."""
    return _read(directory, are_tests=False)


def read_tests(directory: Path) -> tuple[dict[str, str], list[PolicyError]]:
    """Every file of tests of the directory, read once."""
    return _read(directory, are_tests=True)


def _read(directory: Path, *, are_tests: bool) -> tuple[dict[str, str], list[PolicyError]]:
    texts: dict[str, str] = {}
    errors: list[PolicyError] = []
    try:
        paths = policy_files(directory, are_tests=are_tests)
    except OSError as error:
        return {}, [_unreadable(str(directory), error)]
    for path in with_pauses(paths):
        if not path.name.isprintable():  # a byte that is no UTF-8 is not either: no record and no answer could name it
            shown = ascii(path.name)
            errors.append(PolicyError(shown, None, "", "unreadable", "has a name that cannot be printed", "rename it"))
            continue
        try:
            raw = read_newest(path, bytes_max=POLICY_BYTES_MAX)
            texts[path.name] = raw.decode().replace("\r\n", "\n").replace("\r", "\n")
        except (OSError, UnicodeDecodeError) as error:
            errors.append(_unreadable(path.name, error))
    return texts, errors


def marks_of(directory: Path) -> object:
    """A value that changes whenever a policy file does: the names, with the mark of each."""
    try:
        paths = (*policy_files(directory), *policy_files(directory, are_tests=True))
    except OSError as error:
        return type(error).__name__, error.errno
    return tuple((path.name, mark_of(path)) for path in with_pauses(paths))


class Files(Struct, frozen=True):
    """The texts of policies and of their tests, by name, and what could not be read."""

    texts: dict[str, str] = {}
    tests: dict[str, str] = {}
    errors: tuple[PolicyError, ...] = ()


def read_steadily(directory: Path) -> Files:
    """The files as of one moment: read again if they change meanwhile, so that no old and new texts are mixed."""
    for _ in range(READS_MAX):
        before = marks_of(directory)
        texts, errors = read_texts(directory)
        tests, unreadable = read_tests(directory)
        if marks_of(directory) == before:
            return Files(texts, tests, (*errors, *(error for error in unreadable if error not in errors)))
    message = f"the files changed during each of {READS_MAX} attempts to read them"
    return Files(errors=(PolicyError(str(directory), None, "", "unsteady", message, "reload once they are written"),))


def parse_texts(texts: Mapping[str, str]) -> tuple[list[PolicyDoc], list[PolicyError]]:
    """The documents of these files, by name, and everything that is wrong with the rest."""
    read = [parse_policy(text, file=name) for name, text in with_pauses(texts.items())]
    docs = [doc for doc in read if isinstance(doc, PolicyDoc)]
    return docs, [error for doc in read if isinstance(doc, list) for error in doc]


def read_docs(directory: Path) -> tuple[list[PolicyDoc], list[PolicyError]]:
    """The documents of the directory, by name, and everything that is wrong with the rest of it."""
    texts, unreadable = read_texts(directory)
    docs, wrong = parse_texts(texts)
    return docs, [*unreadable, *wrong]


def _unreadable(file: str, error: Exception) -> PolicyError:
    if isinstance(error, UnicodeDecodeError):
        return PolicyError(file, None, "", "unreadable", f"is not UTF-8: byte {error.start}", "save it as UTF-8")
    return PolicyError(file, None, "", "unreadable", f"cannot be read: {why(error)}", "check path and mode")
