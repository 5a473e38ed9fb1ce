"""The command line: one module a command, the only room that knows click.

A command is options → settings → one call → one summary. `console` holds the options
that commands share, `config_file` their defaults in `dped-build.toml`, `failures` how a
command ends. Heavy imports stand inside the commands: `--help` answers at once.
"""
