// The shape of a Qwen3 model, under the names of the original API.
#pragma once

#include <cstdint>
#include <vector>

namespace qwen3 {

// YaRN (Peng et al., 2023): rotary frequencies stretched for a context longer than the one of the training.
struct YarnScaling {
    float factor = 1.0F;            // 1: plain RoPE, and nothing else here counts
    int64_t original_dctx = 0;      // tokens of the training's context
    float beta_fast = 32.0F;        // turns within them from which on a frequency is kept
    float beta_slow = 1.0F;         // and down to which it is divided by the factor
    float attention_factor = 0.0F;  // of cos and sin; 0: 0.1 ln(factor) + 1
};

// Mixture of experts: MLPs that share a layer, of which a router picks some for every token.
struct Experts {
    int64_t count = 0;                  // of a sparse layer; 0: the model is dense, and nothing else here counts
    int64_t per_token = 0;              // that a token takes: the likeliest ones
    int64_t di = 0;                     // intermediate size of one
    bool normalised = true;             // the weights of those taken are scaled to sum to 1
    std::vector<int64_t> dense_layers;  // which have a single MLP instead, ascending
};

struct Meta {
    int64_t nlayer = 0;     // transformer layers
    int64_t d = 0;          // hidden size
    int64_t nh = 0;         // query heads
    int64_t nkvh = 0;       // key / value heads; divides nh
    int64_t dh = 0;         // head dimension, from the config: never d / nh
    int64_t di = 0;         // intermediate size of the MLP of a layer without experts
    int64_t dctx = 0;       // longest context the model was made for, tokens
    int64_t dvoc = 0;       // vocabulary size, padding rows included
    float epsilon = 1e-6F;
    float theta = 1e6F;     // RoPE base
    std::vector<int32_t> end_tokens;
    bool tie_embd = false;  // lm_head is input_embd
    YarnScaling yarn;
    Experts experts;

    // Throws ConfigError naming the field.
    void validate() const;

    bool sparse(int64_t layer) const;            // has experts
    int64_t sparse_layers() const;
    int64_t group() const { return nh / nkvh; }  // query heads per KV head
};

}  // namespace qwen3
