#include "runtime/profiler.hpp"

#include <algorithm>
#include <functional>

namespace qwen3 {

std::string_view verb_name(LayerVerb verb) {
    switch (verb) {
        case LayerVerb::norm_qkv: return "norm_qkv";
        case LayerVerb::qk_norm_rope_append: return "qk_norm_rope_append";
        case LayerVerb::attention: return "attention";
        case LayerVerb::o_residual: return "o_residual";
        case LayerVerb::norm_gate_up_silu: return "norm_gate_up_silu";
        case LayerVerb::down_residual: return "down_residual";
        case LayerVerb::all_reduce: return "all_reduce";
    }
    return "?";
}

std::string_view verb_name(StepVerb verb) {
    switch (verb) {
        case StepVerb::begin_step: return "begin_step";
        case StepVerb::embed: return "embed";
        case StepVerb::norm_head: return "norm_head";
        case StepVerb::sample: return "sample";
    }
    return "?";
}

Profiler::Profiler() {
    constexpr int64_t kMarks = 4096;
    Probe probe(1);
    const auto begin = std::chrono::steady_clock::now();
    for (int64_t i = 0; i < kMarks; ++i) probe.mark(LayerVerb::attention, 0);
    mark_ns_ = std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - begin).count() / kMarks;
}

void Profiler::record(bool prefill, int64_t tokens, int64_t step_ns, int64_t sample_ns,
                      const std::vector<const Probe*>& probes, std::span<const int64_t> expert_tokens) {
    const std::lock_guard lock(mutex_);
    StepProfile& step = prefill ? profile_.last_prefill : profile_.last_decode;
    step.tokens = tokens;
    step.step_ns = step_ns;
    step.layers.clear();
    step.others.clear();
    for (const Probe* probe : probes) {
        step.layers.insert(step.layers.end(), probe->layers().begin(), probe->layers().end());
        step.others.push_back(probe->others());
    }
    step.others.front()[static_cast<size_t>(StepVerb::sample)] = sample_ns;

    std::vector<int64_t>& met = prefill ? profile_.prefill_expert_tokens : profile_.decode_expert_tokens;
    met.resize(expert_tokens.size());
    std::ranges::transform(met, expert_tokens, met.begin(), std::plus());
    (prefill ? profile_.prefill_steps : profile_.decode_steps) += 1;
    (prefill ? profile_.prefill_tokens : profile_.decode_tokens) += tokens;
    (prefill ? profile_.prefill_ns : profile_.decode_ns) += step_ns;
    if (!prefill) {
        const auto marks = static_cast<double>(probes.front()->layers().size() * (kLayerVerbs + 1) + kStepVerbs);
        profile_.probe_share = marks * mark_ns_ / static_cast<double>(std::max<int64_t>(1, step_ns));
    }
}

Profile Profiler::snapshot() const {
    const std::lock_guard lock(mutex_);
    return profile_;
}

void Profiler::reset() {
    const std::lock_guard lock(mutex_);
    profile_ = {};
}

}  // namespace qwen3
