// Which experts meet which tokens of a step: chosen token by token, then grouped by expert.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace qwen3::cpu {

// The most likely of softmax(logits), in ascending order, and their probabilities, which sum to 1 if normalised. Of
// equals the first one. logits is overwritten.
void choose_experts(std::span<float> logits, bool normalised, std::span<int32_t> experts, std::span<float> weights);

class Routing {
public:
    void reserve(int64_t tokens, int64_t experts, int64_t per_token);

    // Token by token, from any thread.
    void choose(int64_t token, std::span<float> logits, bool normalised);
    // Then, once all tokens have chosen: pairs of a token and an expert, expert by expert, tokens ascending.
    void group(int64_t tokens);

    // The pairs of one expert that some token chose.
    struct Group {
        int64_t expert;
        int64_t first;  // pair
        int64_t pairs;
    };
    std::span<const Group> groups() const { return groups_; }
    int64_t pairs() const { return pairs_; }
    int64_t token(int64_t pair) const { return token_of_[static_cast<size_t>(pair)]; }
    float weight(int64_t pair) const { return weight_of_[static_cast<size_t>(pair)]; }

private:
    int64_t experts_ = 0, per_token_ = 0, pairs_ = 0;
    std::vector<int32_t> chosen_;    // [tokens, per_token]
    std::vector<float> weights_;     // [tokens, per_token]
    std::vector<int64_t> next_;      // [experts]
    std::vector<int32_t> token_of_;  // [pairs]
    std::vector<float> weight_of_;   // [pairs]
    std::vector<Group> groups_;
};

}  // namespace qwen3::cpu
