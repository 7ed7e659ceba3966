"""The `guard` command: one module a group of subcommands."""
