// From a row of logits to a token.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "qwen3/generation.hpp"
#include "qwen3/sampling.hpp"

namespace qwen3 {

struct Draw {
    int32_t id = 0;
    float logprob = 0.0F;  // of the model's own distribution
    int32_t top_count = 0;
    std::array<TopLogprob, kMaxTopLogprobs> top{};
};

class Sampler {
public:
    // context: prompt and reply so far; the reply begins at prompt_tokens. The position that is drawn for is
    // context.size(). `forced` gives the token instead of drawing it. Throws Error when no logit is finite.
    Draw draw(std::span<const float> logits, const SamplingParams& params, std::span<const int32_t> context,
              int64_t prompt_tokens, const int32_t* forced = nullptr);

private:
    struct Candidate {
        float logit;
        int32_t id;
    };
    static bool better(const Candidate& a, const Candidate& b) {
        return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
    }

    std::span<const float> penalise(std::span<const float> logits, const SamplingParams& params,
                                    std::span<const int32_t> context, int64_t prompt_tokens);
    void best(std::span<const float> logits, size_t k);  // candidates_ = the k best, best first
    int32_t choose(std::span<const float> logits, const SamplingParams& params, int64_t position);

    std::vector<float> adjusted_;  // logits after penalties
    std::vector<uint8_t> seen_;    // per id: 1 in the context, 2 in the reply
    std::vector<Candidate> candidates_;
    std::vector<double> weights_;
};

}  // namespace qwen3
