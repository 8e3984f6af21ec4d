# Completions of gobctl for bash.
_gobctl() {
    local program=gobctl told skip=0 left i
    [[ $1 == */* && -x $1 ]] && program=$1
    mapfile -t told < <("$program" complete-words bash "$COMP_WORDBREAKS" "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
    COMPREPLY=()
    case ${told[0]-} in
    words) COMPREPLY=("${told[@]:1}") ;;
    files) compopt -o default ;;
    dirs) compopt -o dirnames ;;
    command\ *)
        # bash breaks words in more places than at spaces: the command's first word is found by the spaces before it.
        left=${told[0]#command } skip=0
        local line=$COMP_LINE word before
        for ((i = 0; i < COMP_CWORD && left > 0; i++)); do
            word=${COMP_WORDS[i]} before=$line
            line=${line#*"$word"}
            [[ $line == [[:space:]]* ]] && ((left--))
            [[ $line == "$before" && -n $word ]] && break
        done
        skip=$i
        if declare -F _comp_command_offset >/dev/null; then
            _comp_command_offset "$skip"
        elif declare -F _command_offset >/dev/null; then
            _command_offset "$skip"
        elif ((COMP_CWORD == skip)); then
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -c -- "${COMP_WORDS[COMP_CWORD]}" | sort -u)
        else
            compopt -o default
        fi
        ;;
    esac
}
complete -F _gobctl gobctl
