"""Sockets that were handed over: taken by name, or refused with what is wrong."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from guard.errors import SettingsFault
from guard.serving.activation import inherited

FIRST = 700


@pytest.fixture
def handed() -> Iterator[list[socket.socket]]:
    """Two listening sockets on the descriptors from `FIRST` on."""
    with ExitStack() as stack:
        opened = []
        for place in range(2):
            listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            os.dup2(listening.fileno(), FIRST + place)
            opened.append(listening)
        yield opened
    for place in range(2):
        try:
            os.close(FIRST + place)
        except OSError:
            continue


def given(**variables: str) -> dict[str, str]:
    """The variables of sd_listen_fds(3) for process 7."""
    return {"LISTEN_PID": "7", "LISTEN_FDS": "2", **variables}


@pytest.mark.parametrize(
    ("names", "order"), [("data:ops", ["data", "ops"]), ("ops:data", ["ops", "data"]), ("", ["data", "ops"])]
)
def test_sockets_are_taken_by_their_names(handed: list[socket.socket], names: str, order: list[str]) -> None:
    """By `LISTEN_FDNAMES`, or data first and ops second; no child of the guard's inherits them."""
    found = inherited(given(LISTEN_FDNAMES=names), pid=7, first_fd=FIRST)

    assert list(found) == order
    for listening, name in zip(handed, order, strict=True):
        assert found[name].getsockname() == listening.getsockname()
        assert fcntl.fcntl(found[name].fileno(), fcntl.F_GETFD) & fcntl.FD_CLOEXEC
        found[name].close()


@pytest.mark.parametrize("environ", [{}, {"LISTEN_PID": "8", "LISTEN_FDS": "2"}, {"LISTEN_PID": "7"}])
def test_variables_of_another_process_are_none_of_ours(environ: dict[str, str]) -> None:
    """Without the variables, or with those of a parent, the guard opens its own."""
    assert inherited(environ, pid=7) == {}


@pytest.mark.parametrize("names", ["data:data", "data:metrics", "data", "data:ops:more"])
def test_names_that_fit_no_listener_are_refused(handed: list[socket.socket], names: str) -> None:
    """Each listener once and no other name: a socket nobody serves would leave its callers waiting."""
    assert handed
    with pytest.raises(SettingsFault) as caught:
        inherited(given(LISTEN_FDNAMES=names), pid=7, first_fd=FIRST)
    assert caught.value.errors[0].startswith("LISTEN_FDNAMES: ")


def test_more_sockets_than_listeners_are_refused() -> None:
    """So is a count that is none."""
    for count in ("3", "x"):
        with pytest.raises(SettingsFault, match="LISTEN_FDS"):
            inherited({"LISTEN_PID": "7", "LISTEN_FDS": count}, pid=7)


def test_a_descriptor_that_is_no_listening_socket_is_refused() -> None:
    """A file, nothing at all, and a socket that does not listen."""
    place = os.open(os.devnull, os.O_RDONLY)
    with pytest.raises(SettingsFault, match="is no socket"):
        inherited({"LISTEN_PID": "7", "LISTEN_FDS": "1"}, pid=7, first_fd=place)
    os.close(place)
    with pytest.raises(SettingsFault, match="is no socket"):
        inherited({"LISTEN_PID": "7", "LISTEN_FDS": "1"}, pid=7, first_fd=place)
    with socket.socket() as idle, pytest.raises(SettingsFault, match="no listening stream socket"):
        inherited({"LISTEN_PID": "7", "LISTEN_FDS": "1"}, pid=7, first_fd=idle.fileno())
