"""Every limit of the stream, named with its unit."""

from msgspec import Struct


class StreamBounds(Struct, frozen=True):
    """How many sockets, how many bytes, how long.

    `sockets_per_key_max` counts handshakes under way too; callers without a key share one number. What is written to a
    caller at once is at most `write_bytes` and one frame; of what waited for it `drain_bytes` in a turn of the loop. A
    caller that leaves more than `unsent_bytes_max` unread is cut off, so a socket holds at most that and one write.
    `message_bytes_max` is what a caller's frame may say it has before it is refused unread, `controls_max` how many
    control frames may come between two sweeps, and how many frames of any kind once the socket has ended; of what came
    at once `read_bytes` are read before that is looked at (a quarter megabyte of pings takes 0.2 s). A caller that
    is silent for `ping_every_s` is asked with a ping and has `pong_within_s` to answer. Every `sweep_s` keys are looked
    at again, every `views_every_s` accounts.

    The daemon is asked with a ping every `daemon_ping_every_s`, and given `daemon_close_s` to say goodbye. Between two
    attempts to reach it lie `redial_first_s`, twice as much each time, at most `redial_max_s`. Its stream is let go
    when nobody has needed it for `idle_s`.
    """

    sockets_per_key_max: int = 16
    sockets_max: int = 1024
    write_bytes: int = 1 << 18
    drain_bytes: int = 1 << 16
    unsent_bytes_max: int = 1 << 20
    message_bytes_max: int = 1 << 16
    read_bytes: int = 1 << 11
    controls_max: int = 256
    ping_every_s: float = 20.0
    pong_within_s: float = 10.0
    sweep_s: float = 0.5
    views_every_s: float = 5.0
    daemon_ping_every_s: float = 20.0
    daemon_close_s: float = 0.5
    redial_first_s: float = 0.25
    redial_max_s: float = 15.0
    idle_s: float = 30.0
