# SPDX-License-Identifier: MIT
# Checks the objects of the library:
#     objdump -t build/libweir.a | awk -f tools/symbols.awk tools/symbols.txt -
# No mutable globals (sections .data and .bss), no exported name without "weir_", no call that
# tools/symbols.txt forbids. Prints each fault, and exits with 1 if there was one.

function fault(text)
{
    print object ": " text
    bad = 1
}

FILENAME ~ /symbols\.txt$/ {
    if ($0 !~ /^#/ && NF > 2)
        allowed[$1] = $2
    next
}

/file format/ {
    object = $1
    sub(/:$/, "", object)
    sub(/\.o$/, "", object)
    objects++
    next
}

# ADDRESS FLAGS SECTION TAB SIZE [.hidden] NAME; the flags are seven characters, blanks included.
/^[0-9a-f]+ .......[ ]/ {
    name = $NF
    section = substr($0, index($0, " ") + 9)
    sub(/[ \t].*/, "", section)
    if (section == "*UND*" && (name in allowed) && object !~ (allowed[name] "$"))
        fault("calls " name)
    if (section ~ /^\.(data|bss)/ && section !~ /^\.data\.rel\.ro/ && name !~ /^\./)
        fault("mutable global " name)
    if (substr($0, index($0, " ") + 1, 1) == "g" && !/\.hidden/ && section != "*UND*" &&
        name !~ /^weir_/)
        fault("exports " name)
}

END {
    if (objects == 0)
        fault("no objects to check")
    exit bad
}
