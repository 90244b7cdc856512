#include "runtime/sampler.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "qwen3/error.hpp"
#include "runtime/philox.hpp"

namespace qwen3 {

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
    scan_.block_maxima(logits, maxima_);
    const Row row{logits, maxima_};
    const float most = *std::max_element(maxima_.begin(), maxima_.end());
    const double total = std::isfinite(most) ? scan_.sum_exp(logits, most) : NAN;
    if (!std::isfinite(total)) throw Error("the model's logits are not finite; the checkpoint is damaged");
    const double normaliser = most + std::log(total);
    auto logprob = [&](int32_t id) {
        const auto index = static_cast<size_t>(id);
        return index < logits.size() ? static_cast<float>(logits[index] - normaliser) : -INFINITY;
    };

    Draw draw;
    if (forced)
        draw.id = *forced;
    else
        draw.id = choose(penalise(row, params, context, prompt_tokens), params, static_cast<int64_t>(context.size()));
    draw.logprob = logprob(draw.id);
    if (params.top_logprobs > 0) {
        best(row, static_cast<size_t>(params.top_logprobs));
        for (const Candidate& c : candidates_) draw.top[static_cast<size_t>(draw.top_count++)] = {c.id, logprob(c.id)};
    }
    return draw;
}

Sampler::Row Sampler::penalise(const Row& row, const SamplingParams& params, std::span<const int32_t> context,
                               int64_t prompt_tokens) {
    if (params.repetition_penalty == 1.0F && params.presence_penalty == 0.0F) return row;
    adjusted_.assign(row.logits.begin(), row.logits.end());
    seen_.resize(row.logits.size());
    for (size_t i = 0; i < context.size(); ++i) {
        const auto id = static_cast<size_t>(context[i]);
        if (id < seen_.size()) seen_[id] |= static_cast<int64_t>(i) < prompt_tokens ? 1 : 3;
    }
    for (const int32_t token : context) {
        const auto id = static_cast<size_t>(token);
        if (id >= seen_.size() || !seen_[id]) continue;
        float& logit = adjusted_[id];
        logit = logit > 0.0F ? logit / params.repetition_penalty : logit * params.repetition_penalty;
        if (seen_[id] & 2) logit -= params.presence_penalty;
        seen_[id] = 0;  // once, however often it occurs
    }
    scan_.block_maxima(adjusted_, adjusted_maxima_);
    return {adjusted_, adjusted_maxima_};
}

void Sampler::all(std::span<const float> logits) {
    candidates_.resize(logits.size());
    for (size_t id = 0; id < logits.size(); ++id) candidates_[id] = {logits[id], static_cast<int32_t>(id)};
}

// Blocks are read in the order of their largest logit, the first of equals first, until one cannot better the worst of
// the k best so far; then no other can.
void Sampler::best(const Row& row, size_t k) {
    k = std::min(k, row.logits.size());
    if (k > row.logits.size() / 16) {  // few blocks could be passed over
        all(row.logits);
        std::nth_element(candidates_.begin(), candidates_.begin() + static_cast<ptrdiff_t>(k), candidates_.end(),
                         better);
        candidates_.resize(k);
        std::sort(candidates_.begin(), candidates_.end(), better);
        return;
    }
    const auto worse = [](const Candidate& a, const Candidate& b) { return better(b, a); };
    blocks_.clear();
    for (size_t b = 0; b < row.maxima.size(); ++b)
        blocks_.push_back({row.maxima[b], static_cast<int32_t>(b * LogitsScan::kBlock)});
    std::make_heap(blocks_.begin(), blocks_.end(), worse);
    candidates_.clear();  // a heap whose front is the worst
    while (!blocks_.empty() && (candidates_.size() < k || better(blocks_.front(), candidates_.front()))) {
        const auto first = static_cast<size_t>(blocks_.front().id);
        std::pop_heap(blocks_.begin(), blocks_.end(), worse);
        blocks_.pop_back();
        for (size_t id = first; id < std::min(first + LogitsScan::kBlock, row.logits.size()); ++id) {
            const Candidate c{row.logits[id], static_cast<int32_t>(id)};
            if (candidates_.size() == k) {
                if (!better(c, candidates_.front())) continue;
                std::pop_heap(candidates_.begin(), candidates_.end(), better);
                candidates_.pop_back();
            }
            candidates_.push_back(c);
            std::push_heap(candidates_.begin(), candidates_.end(), better);
        }
    }
    std::sort_heap(candidates_.begin(), candidates_.end(), better);
}

int32_t Sampler::choose(const Row& row, const SamplingParams& params, int64_t position) {
    if (params.temperature == 0.0F) {
        best(row, 1);
        return candidates_.front().id;
    }

    if (params.top_k > 0)
        best(row, static_cast<size_t>(params.top_k));
    else
        all(row.logits);
    const float most = *std::max_element(row.maxima.begin(), row.maxima.end());
    auto weigh = [&] {  // candidates_; returns their sum
        weights_.clear();
        double total = 0.0;
        for (const Candidate& c : candidates_)
            total += weights_.emplace_back(std::exp((static_cast<double>(c.logit) - most) / params.temperature));
        return total;
    };
    double total = weigh();
    if (params.top_p < 1.0F) {
        const double wanted = params.top_p * total;
        // Not yet sorted; mostly a few are enough, and sorting a whole vocabulary may take as long as the model.
        if (params.top_k == 0) {
            size_t k = 64;
            for (best(row, k); weigh() < wanted && k < row.logits.size(); best(row, k)) k *= 16;
        }
        // The shortest prefix, best first, that holds top_p of all.
        double held = 0.0;
        size_t keep = 0;
        while (keep < weights_.size() && held < wanted) held += weights_[keep++];
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
