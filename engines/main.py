"""``edge-engine``: export, verify, inspect, keygen, sign, build, list, prune."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pydantic_settings import get_subcommand
from rich.console import Console

from edge.commandline import run
from edge.errors import ConfigurationError
from engines.build import build_engines
from engines.entries import list_entries, prune_entries
from engines.keys import make_keys, sign_bundle
from engines.options import Build, Command, Export, Inspect, Keygen, List, Prune, Sign, Verify
from engines.verify import inspect_bundle, verify_bundle


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    return run("edge-engine", Command, args, _dispatch)


def _dispatch(command: Command) -> int:
    chosen = get_subcommand(command, cli_exit_on_error=False)
    return _WORK[type(chosen)](chosen, Console())


def _export(command: Export, console: Console) -> int:
    # Only here: torch takes seconds to import, and a line PC does not have it.
    try:
        from engines.export import export_bundle
    except ImportError as error:
        raise ConfigurationError(
            f"export needs the extra 'train' ({error}); install 'edge-inspect[train]' on the training machine"
        ) from error
    with console.status("exporting: networks, lint, reference frames"):
        manifest = export_bundle(command)
    console.print(
        f"{command.out}: bundle {manifest.name} release {manifest.release}, {len(manifest.classes)} classes, "
        f"{len(manifest.reference)} reference frames; check it with: edge-engine verify {command.out}",
        highlight=False,
        soft_wrap=True,
    )
    return 0


_WORK: dict[Any, Callable[[Any, Console], int]] = {
    Export: _export,
    Verify: verify_bundle,
    Inspect: inspect_bundle,
    Keygen: make_keys,
    Sign: sign_bundle,
    Build: build_engines,
    List: list_entries,
    Prune: prune_entries,
}
