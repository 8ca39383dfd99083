# SPDX-License-Identifier: MIT
# Makes C of a page: awk -f tools/page.awk NAME PAGE.html. Writes two arrays of lines, NAME_head and
# NAME_tail, which end with NULL: the lines before "@records" and those behind. For "@include FILE"
# stand the lines of the file, which lies beside the page.

function put(line)
{
    gsub(/\\/, "&&", line)
    gsub(/"/, "\\\"", line)
    print "    \"" line "\","
}

function begin_array(part)
{
    print "extern const char *const " name "_" part "[];"
    print "const char *const " name "_" part "[] = {"
}

function end_array()
{
    print "    0,\n};"
}

function put_file(path,    line, got)
{
    while ((got = (getline line < path)) > 0)
        put(line)
    if (got < 0) {
        print path ": cannot be read" >"/dev/stderr"
        exit 1
    }
    close(path)
}

BEGIN {
    name = ARGV[1]
    ARGV[1] = ""
    begin_array("head")
}
$1 == "@include" {
    folder = FILENAME
    sub(/[^\/]*$/, "", folder)
    put_file(folder $2)
    next
}
$1 == "@records" {
    end_array()
    begin_array("tail")
    next
}
{ put($0) }
END { end_array() }
