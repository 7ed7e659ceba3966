"""What holds for all tests: no example has a deadline, since a busy machine would fail what is true."""

from hypothesis import settings

settings.register_profile("untimed", deadline=None, print_blob=True)
settings.load_profile("untimed")
