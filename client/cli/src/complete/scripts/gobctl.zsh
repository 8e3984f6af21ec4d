#compdef gobctl
# Completions of gobctl for zsh.
_gobctl() {
    local program=gobctl line
    local -a told values shown
    [[ $words[1] == */* && -x ${(Q)words[1]} ]] && program=${(Q)words[1]}
    told=("${(@f)$(command $program complete-words zsh "${(@Q)words[2,CURRENT-1]}" "$PREFIX" 2>/dev/null)}")
    case $told[1] in
    words)
        for line in "${(@)told[2,-1]}"; do
            values+=("${line%%$'\t'*}")
            if [[ -n ${line#*$'\t'} ]]; then
                shown+=("${line%%$'\t'*}  -- ${line#*$'\t'}")
            else
                shown+=("${line%%$'\t'*}")
            fi
        done
        compadd -l -d shown -a -- values
        ;;
    files)
        [[ $PREFIX == --*=* ]] && compset -P '*='
        _files
        ;;
    dirs)
        [[ $PREFIX == --*=* ]] && compset -P '*='
        _files -/
        ;;
    command\ *)
        shift ${told[1]#command } words
        (( CURRENT -= ${told[1]#command } ))
        _normal
        ;;
    esac
}
if [[ $funcstack[1] == _gobctl ]]; then
    _gobctl "$@"
else
    (( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
    compdef _gobctl gobctl
fi
