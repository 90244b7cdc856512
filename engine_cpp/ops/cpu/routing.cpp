#include "ops/cpu/routing.hpp"

#include <algorithm>
#include <cmath>

namespace qwen3::cpu {

void choose_experts(std::span<float> logits, bool normalised, std::span<int32_t> experts, std::span<float> weights) {
    constexpr float kTaken = -1.0F;  // less than any probability
    const float most = *std::ranges::max_element(logits);
    float sum = 0.0F;
    for (float& x : logits) sum += x = std::exp(x - most);
    for (int32_t& expert : experts) {  // NaN loses every comparison: then the first that is left is taken
        size_t best = 0;
        while (logits[best] == kTaken) ++best;
        for (size_t i = best + 1; i < logits.size(); ++i)
            if (logits[i] > logits[best]) best = i;
        expert = static_cast<int32_t>(best);
        weights[static_cast<size_t>(&expert - experts.data())] = logits[best] / sum;
        logits[best] = kTaken;
    }
    float taken = 0.0F;
    for (float weight : weights) taken += weight;
    // By expert: what a token gets is added up in one order, however tokens are grouped.
    for (size_t i = 1; i < experts.size(); ++i)
        for (size_t j = i; j > 0 && experts[j] < experts[j - 1]; --j) {
            std::swap(experts[j], experts[j - 1]);
            std::swap(weights[j], weights[j - 1]);
        }
    if (normalised)
        for (float& weight : weights) weight /= taken;
}

void Routing::reserve(int64_t tokens, int64_t experts, int64_t per_token) {
    experts_ = experts;
    per_token_ = per_token;
    const auto pairs = static_cast<size_t>(tokens * per_token);
    chosen_.resize(pairs);
    weights_.resize(pairs);
    token_of_.resize(pairs);
    weight_of_.resize(pairs);
    next_.resize(static_cast<size_t>(experts));
    groups_.reserve(static_cast<size_t>(experts));
}

void Routing::choose(int64_t token, std::span<float> logits, bool normalised) {
    const auto first = static_cast<size_t>(token * per_token_), count = static_cast<size_t>(per_token_);
    choose_experts(logits, normalised, std::span(chosen_).subspan(first, count),
                   std::span(weights_).subspan(first, count));
}

void Routing::group(int64_t tokens) {
    pairs_ = tokens * per_token_;
    std::ranges::fill(next_, 0);
    for (size_t i = 0; i < static_cast<size_t>(pairs_); ++i) ++next_[static_cast<size_t>(chosen_[i])];
    groups_.clear();
    int64_t first = 0;
    for (int64_t expert = 0; expert < experts_; ++expert) {
        int64_t& next = next_[static_cast<size_t>(expert)];
        const int64_t pairs = next;
        if (pairs > 0) groups_.push_back({expert, first, pairs});
        next = first;
        first += pairs;
    }
    for (size_t i = 0; i < static_cast<size_t>(pairs_); ++i) {
        const auto pair = static_cast<size_t>(next_[static_cast<size_t>(chosen_[i])]++);
        token_of_[pair] = static_cast<int32_t>(static_cast<int64_t>(i) / per_token_);
        weight_of_[pair] = weights_[i];
    }
}

}  // namespace qwen3::cpu
