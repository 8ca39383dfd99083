# SPDX-License-Identifier: MIT
# Checks the lengths of functions and files, as a ratchet. Reads lines "PATH FIRST LAST NAME", one a
# function (ctags), and "LINES PATH", one a file (wc -l); the known ones come from limits=FILE, a
# line each of "PATH[:FUNCTION] LINES": functions of over 80 lines, and files under src of over 700.
# A known one may shrink, then its entry shrinks with it; it may not grow.
# Prints each fault, then median and 99th percentile, and exits with 1 if there was a fault.

function fault(text)
{
    print text
    bad = 1
}

function judge(name, lines, limit)
{
    seen[name] = 1
    if (!(name in known)) {
        if (lines > limit)
            fault(name ": has " lines " lines, more than " limit)
    } else if (lines <= limit)
        fault(name ": has " lines " lines now; remove it from " limits)
    else if (lines < known[name])
        fault(name ": has " lines " lines now; lower its " known[name] " in " limits)
    else if (lines > known[name])
        fault(name ": has " lines " lines, grown from " known[name])
}

function load_known(    line, word)
{
    while ((getline line < limits) > 0) {
        if (line !~ /^#/ && split(line, word, " ") == 2)
            known[word[1]] = word[2] + 0
    }
}

NR == 1 { load_known() }

NF == 2 {
    if ($2 ~ /^src\//)
        judge($2, $1, 700)
    next
}

$3 !~ /^[0-9]+$/ {
    fault($1 ": ctags sees no end of " $NF)
    next
}

{
    lines = $3 - $2 + 1
    judge($1 ":" $4, lines, 80)
    histogram[lines]++
    longest = lines > longest ? lines : longest
    count++
}

END {
    for (name in known) {
        if (!(name in seen))
            fault(name ": is not there any more; remove it from " limits)
    }
    for (lines = 1; lines <= longest; lines++) {
        sum += histogram[lines]
        if (!median && sum * 2 >= count)
            median = lines
        if (!high && sum * 100 >= count * 99)
            high = lines
    }
    printf "%d functions: median %d lines, 99th percentile %d, longest %d\n", count, median, high,
           longest
    exit bad
}
