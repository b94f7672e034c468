"""``dlrun completion``: tab completion for bash, zsh and fish."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dlrun.cli.arguments import Json
from dlrun.errors import DlrunError, RunError, did_you_mean

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = """\
dlrun completion bash --install  # then open a new shell
source <(dlrun completion bash)  # in this shell only
dlrun completion zsh --install
dlrun completion fish --install"""

REQUEST = "__complete"
"""First argument by which the shell functions below ask for candidates."""

# `=` breaks words in bash, so the words are read from the line itself, and what stands before
# the last break is taken off the candidates again.
_BASH = r"""
_dlrun() {
    local line=${COMP_LINE:0:COMP_POINT} IFS=$'\n' word candidate
    local -a words
    IFS=' ' read -ra words <<< "$line"
    [[ $line == *' ' ]] && words+=("")
    word=${words[-1]}
    local cut=""
    [[ $word == *[=:]* ]] && cut=${word%"${word##*[=:]}"}
    COMPREPLY=()
    while read -r candidate; do
        COMPREPLY+=("${candidate#"$cut"}")
    done < <("${words[0]}" __complete "${words[@]:1}" 2>/dev/null)
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=.] ]]; then
        compopt -o nospace
    fi
}
complete -o default -o bashdefault -F _dlrun dlrun
"""

_ZSH = r"""
#compdef dlrun
_dlrun() {
    local -a candidates open closed
    candidates=(${(f)"$(${words[1]} __complete "${(@)words[2,$CURRENT]}" 2>/dev/null)"})
    open=(${(M)candidates:#*[=.]})
    closed=(${candidates:#*[=.]})
    if (( $#candidates )); then
        (( $#open )) && compadd -S '' -- $open
        (( $#closed )) && compadd -- $closed
    else
        _files
    fi
}
compdef _dlrun dlrun
"""

_FISH = r"""
function __dlrun_candidates
    set -l words (commandline -opc) (commandline -ct)
    $words[1] __complete $words[2..-1] 2>/dev/null
end
complete -c dlrun -a '(__dlrun_candidates)'
"""

_SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def completion(
    shell: Annotated[
        str | None, typer.Argument(metavar="[bash|zsh|fish]", help="The shell; yours by default.", show_default=False)
    ] = None,
    install: Annotated[bool, typer.Option("--install", help="Write it where the shell finds it.")] = False,
    json: Json = False,
) -> None:
    """Print or install tab completion.

    It knows verbs, flags, groups, recipe names and keys.
    """
    from dlrun.cli import render

    name = shell or _own_shell()
    if name not in _SCRIPTS:
        raise DlrunError(
            "unknown-shell", f"`{name}` is not a shell dlrun can complete in.", hint=did_you_mean(name, _SCRIPTS)
        )
    script = _SCRIPTS[name].lstrip()
    target = _install(name, script) if install else None
    if json:
        render.print_json({"shell": name, "file": target, "script": script})
    elif target is None:
        print(script, end="")
    else:
        render.line(f"completion for {name} written to {target}")
        render.next_steps([(f"exec {name}", "start a shell that has it"), ("dlrun train recipe=<TAB>", "try it")])


def _own_shell() -> str:
    import os
    from pathlib import Path

    return Path(os.environ.get("SHELL", "bash")).name


def _install(shell: str, script: str) -> Path:
    from pathlib import Path

    from dlrun.files import write_atomic

    target = (
        Path.home()
        / {
            "bash": ".local/share/bash-completion/completions/dlrun",
            "zsh": ".zfunc/_dlrun",
            "fish": ".config/fish/completions/dlrun.fish",
        }[shell]
    )
    # bash reads the folder above only with the bash-completion package; a line in .bashrc always works.
    start = {
        "bash": (".bashrc", f"source {target}"),
        "zsh": (".zshrc", f"autoload -Uz compinit && compinit\nsource {target}"),
    }
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(target, script.encode())
        if shell in start:
            file, lines = Path.home() / start[shell][0], start[shell][1]
            before = file.read_text("utf-8") if file.exists() else ""
            if str(target) not in before:
                with open(file, "a", encoding="utf-8") as rc:
                    rc.write(f"\n# tab completion of dlrun\n{lines}\n")
    except OSError as error:
        raise RunError("cannot-write", f"`{target}` cannot be written: {error.strerror}.") from None
    return target
