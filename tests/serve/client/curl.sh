#!/bin/sh
# SPDX-License-Identifier: MIT
# What a shell asks of the server at WEIR_URL by curl.
set -u
failed=0
passed=0

# check WHAT EXPECTED GOT: a pattern of the shell that the answer must match.
check()
{
    # shellcheck disable=SC2254 # the pattern is meant as one
    case $3 in
    $2) passed=$((passed + 1)) ;;
    *)
        echo "FAIL $1: $3" >&2
        failed=$((failed + 1))
        ;;
    esac
}

ask()
{
    path=$1
    shift
    curl -s -m 30 -H 'Authorization: Bearer k1' "$WEIR_URL$path" "$@"
}

check health '{"status":"ok"}' "$(curl -s "$WEIR_URL/health")"
check 'no key' '*Invalid API Key*' "$(curl -s "$WEIR_URL/props")"
check 'not found' '*"code":404*File Not Found*' "$(ask /v1/foo)"
check chat '*"object":"chat.completion"*' \
    "$(ask /v1/chat/completions -d '{"messages":[{"role":"user","content":"hi"}],"max_tokens":4}')"
check 'last event' '*data: \[DONE\]*' \
    "$(ask /v1/chat/completions \
        -d '{"messages":[{"role":"user","content":"hi"}],"max_tokens":4,"stream":true}')"
check native '*"stop_type":"limit"*' "$(ask /completion -d '{"prompt":"Once","n_predict":3}')"
check 'prompt alone' '*"tokens_predicted":0*' \
    "$(ask /completion -d '{"prompt":"Once upon a time","n_predict":0}')"
tokens=$(ask /tokenize -d '{"content":"Once upon a time"}')
check tokenize '{"tokens":\[*' "$tokens"
check detokenize '{"content":"Once upon a time"}' "$(ask /detokenize -d "$tokens")"
check template '*<|im_start|>user*' \
    "$(ask /apply-template -d '{"messages":[{"role":"user","content":"hi"}]}')"
check 'a coded body' '*"code":415*' \
    "$(ask /completion -H 'Content-Encoding: gzip' -d '{"prompt":"a"}')"
check 'bad JSON' '*"code":400*' "$(ask /v1/chat/completions -d '{"messages":[')"
check 'too long' '*exceed_context_size_error*"n_ctx":*' \
    "$(awk 'BEGIN { printf "{\"prompt\":\""; for (i = 0; i < 9000; i++) printf "word "
        printf "\"}" }' | ask /completion -d @-)"
check grammar '*"content":"yes"*' \
    "$(ask /completion -d '{"prompt":"Once","grammar":"root ::= \"yes\""}')"
check 'one slot' '*"id_slot":0*' \
    "$(ask /completion -d '{"prompt":"There was a","n_predict":2,"id_slot":0}')"
check save '*"n_saved":*' "$(ask '/slots/0?action=save' -d '{"filename":"a.bin"}')"
check erase '*"n_erased":*' "$(ask '/slots/0?action=erase' -X POST)"
check restore '*"n_restored":*' "$(ask '/slots/0?action=restore' -d '{"filename":"a.bin"}')"
check 'no way out' '*Invalid filename*' \
    "$(ask '/slots/0?action=save' -d '{"filename":"../a.bin"}')"
check metrics '*weir:bytes_per_token*' "$(ask /metrics)"
check page '*<!doctype html>*' "$(curl -s "$WEIR_URL/" | tr 'A-Z' 'a-z')"
echo "curl: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
