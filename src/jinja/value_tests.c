/* SPDX-License-Identifier: MIT
 * What stands behind "is". Knows not how it is called. */
#include "jinja/interpreter.h"

enum { BIT_NUMBERS = 1 << VALUE_BOOLEAN | 1 << VALUE_INTEGER | 1 << VALUE_HUGE | 1 << VALUE_FLOAT };
enum {
    BIT_SEQUENCES = 1 << VALUE_STRING | 1 << VALUE_LIST | 1 << VALUE_TUPLE | 1 << VALUE_DICT |
                    1 << VALUE_UNDEFINED,
    BIT_CALLABLES = 1 << VALUE_MACRO | 1 << VALUE_FUNCTION | 1 << VALUE_JOINER,
};

/* Whether the kind of the value is one of the variant's bits. */
static enum weir_status test_kind(struct run *run, const struct call *call, struct value *out)
{
    *out = value_boolean((1u << call->self.kind & (uint32_t)call->builtin->variant) != 0);
    return run_step(run, 0);
}

static enum weir_status test_defined(struct run *run, const struct call *call, struct value *out)
{
    *out = value_boolean(call->self.kind != VALUE_UNDEFINED);
    return run_step(run, 0);
}

/* The boolean itself: 1 is not true. */
static enum weir_status test_boolean(struct run *run, const struct call *call, struct value *out)
{
    *out = value_boolean(call->self.kind == VALUE_BOOLEAN &&
                         call->self.truth == (call->builtin->variant != 0));
    return run_step(run, 0);
}

static enum weir_status test_operation(struct run *run, const struct call *call, struct value *out)
{
    return evaluate_operation(run, (enum operation)call->builtin->variant, &call->self,
                              &call->arguments[0], out);
}

static enum weir_status divides(struct run *run, const struct value *value, int64_t by,
                                int64_t rest, struct value *out)
{
    const struct value divisor = value_integer(by), expected = value_integer(rest);
    enum weir_status status;
    TRY(evaluate_operation(run, OPERATION_MODULO, value, &divisor, out));
    TRY(evaluate_operation(run, OPERATION_EQUAL, out, &expected, out));
out:
    return status;
}

static enum weir_status test_parity(struct run *run, const struct call *call, struct value *out)
{
    return divides(run, &call->self, 2, call->builtin->variant, out);
}

static enum weir_status test_divisible(struct run *run, const struct call *call, struct value *out)
{
    int64_t by;
    if (!value_get_integer(&call->arguments[0], &by))
        return run_fail(run, WEIR_ERR_FORMAT, "divisibleby takes an integer");
    return divides(run, &call->self, by, 0, out);
}

#define OPERATION_TEST(name, operation)                                                            \
    {                                                                                              \
        name, test_operation, 1, .parameters = {"other"}, .variant = operation                     \
    }
#define KIND_TEST(name, bits)                                                                      \
    {                                                                                              \
        name, test_kind, .variant = bits                                                           \
    }

const struct builtin value_tests[] = {
    {"defined", test_defined},
    KIND_TEST("undefined", 1 << VALUE_UNDEFINED),
    KIND_TEST("none", 1 << VALUE_NONE),
    KIND_TEST("string", 1 << VALUE_STRING),
    KIND_TEST("mapping", 1 << VALUE_DICT),
    KIND_TEST("iterable", BIT_SEQUENCES | 1 << VALUE_LOOP),
    KIND_TEST("sequence", BIT_SEQUENCES),
    KIND_TEST("boolean", 1 << VALUE_BOOLEAN),
    KIND_TEST("number", BIT_NUMBERS),
    KIND_TEST("integer", 1 << VALUE_INTEGER | 1 << VALUE_HUGE),
    KIND_TEST("float", 1 << VALUE_FLOAT),
    KIND_TEST("callable", BIT_CALLABLES),
    {"true", test_boolean, .variant = 1},
    {"false", test_boolean, .variant = 0},
    OPERATION_TEST("in", OPERATION_IN),
    OPERATION_TEST("eq", OPERATION_EQUAL),
    OPERATION_TEST("equalto", OPERATION_EQUAL),
    OPERATION_TEST("==", OPERATION_EQUAL),
    OPERATION_TEST("ne", OPERATION_NOT_EQUAL),
    OPERATION_TEST("!=", OPERATION_NOT_EQUAL),
    OPERATION_TEST("lt", OPERATION_LESS),
    OPERATION_TEST("lessthan", OPERATION_LESS),
    OPERATION_TEST("<", OPERATION_LESS),
    OPERATION_TEST("le", OPERATION_LESS_EQUAL),
    OPERATION_TEST("<=", OPERATION_LESS_EQUAL),
    OPERATION_TEST("gt", OPERATION_GREATER),
    OPERATION_TEST("greaterthan", OPERATION_GREATER),
    OPERATION_TEST(">", OPERATION_GREATER),
    OPERATION_TEST("ge", OPERATION_GREATER_EQUAL),
    OPERATION_TEST(">=", OPERATION_GREATER_EQUAL),
    {"even", test_parity, .variant = 0},
    {"odd", test_parity, .variant = 1},
    {"divisibleby", test_divisible, 1, .parameters = {"num"}},
    {0},
};
