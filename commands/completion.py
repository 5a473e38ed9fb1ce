"""The command `dped-build completion`."""

import click

# What a shell reads when it starts, or a folder where it looks.
COMPLETION = {
    "bash": """add to ~/.bashrc: eval "$(dped-build completion bash)\"""",
    "zsh": """add to ~/.zshrc, below compinit: eval "$(dped-build completion zsh)\"""",
    "fish": "dped-build completion fish > ~/.config/fish/completions/dped-build.fish",
}


@click.command()
@click.argument("shell", type=click.Choice(list(COMPLETION)))
@click.pass_context
def completion(context: click.Context, *, shell: str) -> None:
    """Print a shell completion script.

    It completes commands, options, choices and file names.

    \b
    Examples:
      eval "$(dped-build completion bash)"
      dped-build completion fish > ~/.config/fish/completions/dped-build.fish
    """
    from click.shell_completion import BashComplete, FishComplete, ZshComplete

    kinds = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}
    whole = context.find_root().command
    script = kinds[shell](whole, {}, "dped-build", "_DPED_BUILD_COMPLETE").source()
    click.echo(f"{script.strip()}\n\n# To install: {COMPLETION[shell]}")
