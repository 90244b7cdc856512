#include "runtime/sampler.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "qwen3/error.hpp"
#include "runtime/philox.hpp"

namespace qwen3 {
namespace {

// log(sum(exp(x))), and a check that the model said anything at all.
double log_sum_exp(std::span<const float> x) {
    const float most = *std::max_element(x.begin(), x.end());
    if (!std::isfinite(most)) throw Error("the model's logits are not finite; the checkpoint is damaged");
    double total = 0.0;
    for (float v : x) total += std::exp(v - most);
    if (!std::isfinite(total)) throw Error("the model's logits are not finite; the checkpoint is damaged");
    return most + std::log(total);
}

}  // namespace

void SamplingParams::validate() const {
    auto require = [](bool ok, const char* what) {
        if (!ok) throw ConfigError(std::string("sampling: ") + what);
    };
    require(std::isfinite(temperature) && temperature >= 0.0F, "temperature must be a number >= 0");
    require(top_k >= 0, "top_k must be >= 0 (0 = off)");
    require(top_p > 0.0F && top_p <= 1.0F, "top_p must be in (0, 1]");
    require(min_p >= 0.0F && min_p <= 1.0F, "min_p must be in [0, 1]");
    require(std::isfinite(presence_penalty), "presence_penalty must be finite");
    require(std::isfinite(repetition_penalty) && repetition_penalty > 0.0F, "repetition_penalty must be > 0");
    require(!max_new_tokens || *max_new_tokens > 0, "max_new_tokens must be > 0");
    require(!vocab_limit || *vocab_limit > 0, "vocab_limit must be > 0");
    require(top_logprobs >= 0 && top_logprobs <= kMaxTopLogprobs, "top_logprobs must be in [0, 20]");
}

Draw Sampler::draw(std::span<const float> logits, const SamplingParams& params, std::span<const int32_t> context,
                   int64_t prompt_tokens, const int32_t* forced) {
    if (params.vocab_limit) logits = logits.first(std::min(logits.size(), static_cast<size_t>(*params.vocab_limit)));
    const double normaliser = log_sum_exp(logits);
    auto logprob = [&](int32_t id) {
        const auto index = static_cast<size_t>(id);
        return index < logits.size() ? static_cast<float>(logits[index] - normaliser) : -INFINITY;
    };

    Draw draw;
    if (forced)
        draw.id = *forced;
    else
        draw.id =
            choose(penalise(logits, params, context, prompt_tokens), params, static_cast<int64_t>(context.size()));
    draw.logprob = logprob(draw.id);
    if (params.top_logprobs > 0) {
        best(logits, static_cast<size_t>(params.top_logprobs));
        for (const Candidate& c : candidates_) draw.top[static_cast<size_t>(draw.top_count++)] = {c.id, logprob(c.id)};
    }
    return draw;
}

std::span<const float> Sampler::penalise(std::span<const float> logits, const SamplingParams& params,
                                         std::span<const int32_t> context, int64_t prompt_tokens) {
    if (params.repetition_penalty == 1.0F && params.presence_penalty == 0.0F) return logits;
    adjusted_.assign(logits.begin(), logits.end());
    seen_.assign(logits.size(), 0);
    for (size_t i = 0; i < context.size(); ++i) {
        const auto id = static_cast<size_t>(context[i]);
        if (id < seen_.size()) seen_[id] |= static_cast<int64_t>(i) < prompt_tokens ? 1 : 3;
    }
    for (size_t id = 0; id < seen_.size(); ++id) {
        if (!seen_[id]) continue;
        float& logit = adjusted_[id];
        logit = logit > 0.0F ? logit / params.repetition_penalty : logit * params.repetition_penalty;
        if (seen_[id] & 2) logit -= params.presence_penalty;
    }
    return adjusted_;
}

void Sampler::best(std::span<const float> logits, size_t k) {
    k = std::min(k, logits.size());
    candidates_.clear();
    for (size_t i = 0; i < logits.size(); ++i) {  // a heap whose front is the worst of the k best so far
        const Candidate c{logits[i], static_cast<int32_t>(i)};
        if (candidates_.size() < k) {
            candidates_.push_back(c);
            std::push_heap(candidates_.begin(), candidates_.end(), better);
        } else if (better(c, candidates_.front())) {
            std::pop_heap(candidates_.begin(), candidates_.end(), better);
            candidates_.back() = c;
            std::push_heap(candidates_.begin(), candidates_.end(), better);
        }
    }
    std::sort_heap(candidates_.begin(), candidates_.end(), better);
}

int32_t Sampler::choose(std::span<const float> logits, const SamplingParams& params, int64_t position) {
    if (params.temperature == 0.0F)
        return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());

    if (params.top_k > 0) {
        best(logits, static_cast<size_t>(params.top_k));
    } else {
        candidates_.resize(logits.size());
        for (size_t i = 0; i < logits.size(); ++i) candidates_[i] = {logits[i], static_cast<int32_t>(i)};
        if (params.top_p < 1.0F) std::sort(candidates_.begin(), candidates_.end(), better);
    }
    const float most = params.top_k > 0 || params.top_p < 1.0F ? candidates_.front().logit
                                                               : *std::max_element(logits.begin(), logits.end());
    weights_.clear();
    double total = 0.0;
    for (const Candidate& c : candidates_) {
        weights_.push_back(std::exp((static_cast<double>(c.logit) - most) / params.temperature));
        total += weights_.back();
    }
    if (params.top_p < 1.0F) {  // the shortest prefix that holds top_p of what is left
        double held = 0.0;
        size_t keep = 0;
        while (keep < weights_.size() && held < params.top_p * total) held += weights_[keep++];
        weights_.resize(std::max<size_t>(keep, 1));
        total = held;
    }
    if (params.min_p > 0.0F)  // the best one weighs exactly 1
        for (double& w : weights_)
            if (w < params.min_p) {
                total -= w;
                w = 0.0;
            }

    const double target = uniform(params.seed, position) * total;
    double held = 0.0;
    size_t last = 0;
    for (size_t i = 0; i < weights_.size(); ++i) {
        if (weights_[i] == 0.0) continue;
        last = i;
        held += weights_[i];
        if (held > target) break;
    }
    return candidates_[last].id;
}

}  // namespace qwen3
