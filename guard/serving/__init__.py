"""The server process: what `guard serve` turns into once its command line has been read.

A server has no use for the libraries of a command line (typer, rich, what they import) and the other commands' modules,
which would stay in its memory as long as it runs. So the command reads flags and files, reports every error, and then
executes this package in its own place (`exec`): process id, descriptors, environment and limits stay as they are.
"""
