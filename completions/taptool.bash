# Completion of taptool for bash.
_taptool() {
    local words=("${COMP_WORDS[@]}")
    # Of the word under the cursor only what is left of it; of a colon or an equal sign, at which
    # bash breaks words, all.
    [[ ${words[COMP_CWORD]} == [:=]* ]] || words[COMP_CWORD]=$2
    mapfile -t COMPREPLY < <(
        _TAPTOOL_COMPLETE=bash _CLAP_COMPLETE_INDEX=$COMP_CWORD taptool -- "${words[@]}" 2>/dev/null
    )
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=/:] ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -o bashdefault -o nosort -F _taptool taptool
