"""The server as a process of its own kind: what `guard serve` becomes once its command line has been understood.

The libraries of a command line (typer, rich, what these bring) and the modules of the other commands are of no use to a
server, and would stay in its memory for as long as it runs. So the command reads flags and files, tells every error,
and then executes this package in its own place: process id, descriptors, environment and limits stay as they are.
"""
