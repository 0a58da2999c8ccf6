# Ends a PostgreSQL cluster that nobody needs any more, and removes its directory.
#
#   pipe <directory>   when standard input ends: its other end is held by the process that uses it
#   lock <directory>   when nobody has held a lock on the file `users` for some three seconds
#   now  <directory>   at once, and leaves the directory

dir=$2

# The process may be another one of the same number, if the file was left by an earlier boot.
ours() { [ -n "$pid" ] && [ "$(readlink "/proc/$pid/cwd")" = "$dir/data" ]; }

end() {
    pid=
    [ -r "$dir/data/postmaster.pid" ] && read -r pid <"$dir/data/postmaster.pid"
    ours || return 0
    kill -QUIT "$pid"
    # It may have been paused.
    kill -CONT "$pid"
    naps=0
    while ours && [ "$naps" -lt 400 ]; do
        [ "$naps" -eq 200 ] && kill -KILL "$pid"
        sleep 0.05
        naps=$((naps + 1))
    done
}

# More than once: an initdb that lost its starter may still be writing.
remove() {
    for _ in 1 2 3 4 5; do
        rm -rf "$@" && return
        sleep 1
    done
}

case $1 in
pipe)
    read -r _
    end
    remove "$dir"
    ;;
lock)
    exec 9>>"$dir/users" || exit 1
    # Standard input is the file whose lock says that this shell lives; it alone may hold it.
    lock() { flock "$@" 9 </dev/null; }
    while :; do
        # Costs nothing as long as there are users.
        lock -x || exit 1
        lock -u
        free=0
        while sleep 0.5 </dev/null && lock -n -x; do
            free=$((free + 1))
            [ "$free" -eq 6 ] && break 2
            lock -u
        done
    done
    # Whoever comes now waits for the lock, sees that the file is another one, and begins anew.
    end
    remove "$dir/data" "$dir/socket" "$dir/log" "$dir/starting" "$dir/reaper"
    rm -f "$dir/users"
    # Stays if somebody has begun anew already.
    rmdir "$dir"
    ;;
now)
    end
    ;;
esac
