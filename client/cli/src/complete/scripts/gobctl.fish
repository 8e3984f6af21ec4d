# Completions of gobctl for fish.
function __gobctl_complete
    set -l before (commandline -opc)
    set -l token (commandline -ct)
    set -l program gobctl
    string match -q '*/*' -- "$before[1]"; and test -x "$before[1]"; and set program $before[1]
    set -l told (command $program complete-words fish $before[2..] "$token" 2>/dev/null)
    # A flag before `=` stays.
    set -l flag (string match -r -- '^--[^=]*=' "$token")
    set -l path (string replace -r -- '^--[^=]*=' '' "$token")
    switch "$told[1]"
        case words
            printf '%s\n' $told[2..]
        case files
            string replace -r -- '^' "$flag" (__fish_complete_path "$path")
        case dirs
            string replace -r -- '^' "$flag" (__fish_complete_directories "$path" Directory)
        case 'command *'
            __fish_complete_subcommand --fcs-skip=(string replace 'command ' '' -- $told[1])
    end
end
complete -c gobctl -f -k -a '(__gobctl_complete)'
