// From a row of logits to a token.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "ops/logits_scan.hpp"
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
    explicit Sampler(const LogitsScan& scan = {}) : scan_(scan) {}

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

    // The largest logit of each block tells which few blocks need a look.
    struct Row {
        std::span<const float> logits;
        std::span<const float> maxima;  // of its LogitsScan::kBlock-sized blocks
    };

    Row penalise(const Row& row, const SamplingParams& params, std::span<const int32_t> context, int64_t prompt_tokens);
    void all(std::span<const float> logits);  // candidates_ = all, by id
    void best(const Row& row, size_t k);      // candidates_ = the k best, best first
    int32_t choose(const Row& row, const SamplingParams& params, int64_t position);

    LogitsScan scan_;
    std::vector<float> maxima_;      // of the model's logits
    std::vector<float> adjusted_;    // logits after penalties
    std::vector<float> adjusted_maxima_;
    std::vector<uint8_t> seen_;      // per id: 1 in the context, 2 in the reply; all 0 between two draws
    std::vector<Candidate> blocks_;  // each block's largest logit and first id
    std::vector<Candidate> candidates_;
    std::vector<double> weights_;
};

}  // namespace qwen3
