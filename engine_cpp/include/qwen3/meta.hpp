// The shape of a dense Qwen3 model, under the names of the original API.
#pragma once

#include <cstdint>
#include <vector>

namespace qwen3 {

struct Meta {
    int64_t nlayer = 0;     // transformer layers
    int64_t d = 0;          // hidden size
    int64_t nh = 0;         // query heads
    int64_t nkvh = 0;       // key / value heads; divides nh
    int64_t dh = 0;         // head dimension, from the config: never d / nh
    int64_t di = 0;         // MLP intermediate size
    int64_t dctx = 0;       // longest context the model was made for, tokens
    int64_t dvoc = 0;       // vocabulary size, padding rows included
    float epsilon = 1e-6F;
    float theta = 1e6F;     // RoPE base
    std::vector<int32_t> end_tokens;
    bool tie_embd = false;  // lm_head is input_embd

    // Throws ConfigError naming the field.
    void validate() const;

    int64_t group() const { return nh / nkvh; }  // query heads per KV head
};

}  // namespace qwen3
