# SPDX-License-Identifier: MIT
# The bytes of a plan by the names that its ops have in llama.cpp, in MB for each context: of whole
# operands, as is often counted, and of what is touched. Reads CSV of a plan that is not fused:
#   weir profile --size 9B --fuse off --fused-gdn off -o csv | awk -f tools/operands.awk
BEGIN {
    FS = ","
    split("EMBED SELECT STATE_LOAD MATMUL STATE_STORE KV_APPEND", kinds, " ")
    name["EMBED"] = name["SELECT"] = name["STATE_LOAD"] = "GET_ROWS"
    name["MATMUL"] = "MUL_MAT"
    name["STATE_STORE"] = "CPY"
    name["KV_APPEND"] = "SET_ROWS"
}

FNR == 1 {
    for (i = 1; i <= NF; i++)
        column[$i] = i
    next
}

{
    context = $column["context"]
    kind = $column["kind"]
    if (!(context in known)) {
        known[context] = 1
        contexts[++count] = context
    }
    group = kind in name ? name[kind] : "others"
    touched = $column["read_bytes"] + $column["write_bytes"]
    add(kind, $column["operand_bytes"], touched)
    add(group, $column["operand_bytes"], touched)
    add("all", $column["operand_bytes"], touched)
}

function add(row, whole, part)
{
    operands[row, context] += whole
    touches[row, context] += part
}

function put(label, row, i)
{
    printf "%-14s", label
    for (i = 1; i <= count; i++)
        printf " %10.3f %9.3f", operands[row, contexts[i]] / 1e6, touches[row, contexts[i]] / 1e6
    printf "\n"
}

END {
    printf "%-14s", "MB, behind"
    for (i = 1; i <= count; i++)
        printf " %20d", contexts[i]
    printf "\n%-14s", ""
    for (i = 1; i <= count; i++)
        printf " %10s %9s", "operands", "touched"
    printf "\n"
    for (k = 1; k in kinds; k++) {
        group = name[kinds[k]]
        if (k == 1 || group != name[kinds[k - 1]])
            put(group, group)
        if (group == "GET_ROWS")
            put("  " kinds[k], kinds[k])
    }
    put("others", "others")
    put("all", "all")
}
