// How the next token is drawn from the logits.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace qwen3 {

constexpr int kMaxTopLogprobs = 20;

// Order: repetition penalty, presence penalty, temperature, top_k, top_p, min_p, draw.
struct SamplingParams {
    float temperature = 0.6F;         // 0 = greedy, ties to the lowest id
    int32_t top_k = 20;               // 0 = off
    float top_p = 0.95F;              // 1 = off
    float min_p = 0.0F;               // 0 = off; relative to the most likely token
    float presence_penalty = 0.0F;    // subtracted once from every token that this reply already holds
    float repetition_penalty = 1.0F;  // divides (multiplies if negative) the logit of every token of prompt and reply
    uint64_t seed = 0;                // a draw depends on the logits, the seed and the position alone
    std::optional<int64_t> max_new_tokens;
    std::optional<std::vector<int32_t>> stop_ids;  // nullopt = the model's end tokens; empty = never stops
    std::optional<int32_t> vocab_limit;            // ids at or above it are never drawn
    int32_t top_logprobs = 0;                      // alternatives reported with every token, <= kMaxTopLogprobs

    // Throws ConfigError naming the field.
    void validate() const;
};

}  // namespace qwen3
