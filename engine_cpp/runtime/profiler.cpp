#include "runtime/profiler.hpp"

#include <algorithm>

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
    Probe probe(std::make_unique<HostClock>(), 1);
    const auto begin = std::chrono::steady_clock::now();
    probe.start({});
    for (int64_t i = 0; i < kMarks; ++i) probe.mark(LayerVerb::attention, 0);
    probe.stop();
    mark_ns_ = std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - begin).count() / kMarks;
}

void Profiler::record(const StepRecord& record) {
    const std::lock_guard lock(mutex_);
    const bool prefill = record.prefill;
    const int64_t step_ns = record.step_ns;
    (prefill ? profile_.prefill_steps : profile_.decode_steps) += 1;
    (prefill ? profile_.prefill_tokens : profile_.decode_tokens) += record.tokens;
    (prefill ? profile_.prefill_ns : profile_.decode_ns) += step_ns;
    if (record.counts.front().replayed) ++profile_.replayed_steps;

    const Probe& first = *record.probes.front();
    if (!prefill) measure_probe(first, static_cast<double>(std::max<int64_t>(1, step_ns)));
    if (!first.timed()) return;

    StepProfile& step = prefill ? profile_.last_prefill : profile_.last_decode;
    step.tokens = record.tokens;
    step.step_ns = step_ns;
    step.layers.clear();
    step.others.clear();
    for (const Probe* probe : record.probes) {
        step.layers.insert(step.layers.end(), probe->layers().begin(), probe->layers().end());
        step.others.push_back(probe->others());
    }
    step.others.front()[static_cast<size_t>(StepVerb::sample)] = record.sample_ns;
    step.counts = record.counts;
}

void Profiler::measure_probe(const Probe& probe, double step_ns) {
    if (probe.period() == 1) {
        const auto marks = static_cast<double>(probe.layers().size() * (kLayerVerbs + 1) + kStepVerbs);
        profile_.probe_share = marks * mark_ns_ / step_ns;
    } else if (!probe.timed()) {
        untimed_ns_ = untimed_ns_ == 0.0 ? step_ns : 0.9 * untimed_ns_ + 0.1 * step_ns;
    } else if (untimed_ns_ > 0.0) {  // what the timed step took longer, spread over those between two of its kind
        profile_.probe_share =
            std::max(0.0, step_ns - untimed_ns_) / (untimed_ns_ * static_cast<double>(probe.period()));
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
