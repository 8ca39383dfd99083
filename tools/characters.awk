# SPDX-License-Identifier: MIT
# Makes C of files of text: awk -f tools/characters.awk NAME=FILE... Writes for each file an array
# of its characters, with a zero in place of the last newline, and their number without it: NAME
# and NAME_length. String literals would be longer than C has to allow. Texts are ASCII.

function put(line,    i, c, out)
{
    for (i = 1; i <= length(line); i++) {
        c = substr(line, i, 1)
        if (!(c in code)) {
            print path ": a character that is not ASCII" >"/dev/stderr"
            exit 1
        }
        out = out code[c] ","
        if (i % 24 == 0)
            out = out "\n"
    }
    count += length(line)
    print out
}

function put_file(name,    line, got)
{
    print "extern const char " name "[];"
    print "extern const size_t " name "_length;"
    print "const char " name "[] = {"
    count = 0
    lines = 0
    while ((got = (getline line < path)) > 0) {
        if (lines++ > 0) {
            print "10,"
            count++
        }
        put(line)
    }
    if (got < 0) {
        print path ": cannot be read" >"/dev/stderr"
        exit 1
    }
    close(path)
    print "0};"
    print "const size_t " name "_length = " count ";"
}

BEGIN {
    for (i = 1; i < 128; i++)
        code[sprintf("%c", i)] = i
    print "#include <stddef.h>"
    for (i = 1; i < ARGC; i++) {
        equals = index(ARGV[i], "=")
        path = substr(ARGV[i], equals + 1)
        put_file(substr(ARGV[i], 1, equals - 1))
    }
    exit
}
