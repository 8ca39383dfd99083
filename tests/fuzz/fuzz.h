/* SPDX-License-Identifier: MIT
 * The fuzz targets. Each takes any bytes, returns 0, and must neither crash nor leak. The test
 * runner replays their corpora; main_NAME.c makes a libFuzzer program of one. */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int fuzz_chat_file(const uint8_t *data, size_t size);
int fuzz_calls(const uint8_t *data, size_t size);
int fuzz_body(const uint8_t *data, size_t size);
int fuzz_http_target(const uint8_t *data, size_t size);
int fuzz_gbnf(const uint8_t *data, size_t size);
int fuzz_gguf(const uint8_t *data, size_t size);
int fuzz_imatrix(const uint8_t *data, size_t size);
int fuzz_jinja(const uint8_t *data, size_t size);
int fuzz_json(const uint8_t *data, size_t size);
int fuzz_kl_base(const uint8_t *data, size_t size);
int fuzz_profile(const uint8_t *data, size_t size);
int fuzz_reply(const uint8_t *data, size_t size);
int fuzz_request(const uint8_t *data, size_t size);
int fuzz_hf_tokenizer(const uint8_t *data, size_t size);
int fuzz_safetensors(const uint8_t *data, size_t size);
int fuzz_schema(const uint8_t *data, size_t size);
int fuzz_snapshot(const uint8_t *data, size_t size);
int fuzz_tokenizer(const uint8_t *data, size_t size);

#endif
