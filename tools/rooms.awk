# SPDX-License-Identifier: MIT
# Checks the include rule:
#     awk -f tools/rooms.awk src/rooms.txt $(find src -name '*.[ch]' -o -name '*.def')
# Prints each include that src/rooms.txt does not allow, and exits with 1 if there was one.

function room_of(path,    parts)
{
    split(path, parts, "/")
    return parts[2]
}

FILENAME ~ /rooms\.txt$/ {
    if ($0 ~ /^#/ || NF == 0)
        next
    room = $1
    sub(/:$/, "", room)
    known[room] = 1
    allowed[room, room] = 1
    for (i = 2; i <= NF; i++)
        allowed[room, $i] = 1
    next
}

/^[ \t]*#[ \t]*include[ \t]*"/ {
    target = $0
    sub(/^[^"]*"/, "", target)
    sub(/".*/, "", target)
    from = room_of(FILENAME)
    to = target
    sub(/\/.*/, "", to)
    if (!(from in known)) {
        printf "%s:%d: room \"%s\" is not in src/rooms.txt\n", FILENAME, FNR, from
        bad = 1
    } else if (!((from, to) in allowed)) {
        printf "%s:%d: room \"%s\" may not include \"%s\"\n", FILENAME, FNR, from, target
        bad = 1
    }
}

END { exit bad }
