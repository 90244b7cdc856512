// The engine's view of its steps: the last prefill and decode step in full, sums over all.
#pragma once

#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

#include "model/probe.hpp"
#include "qwen3/profile.hpp"

namespace qwen3 {

class Profiler {
public:
    Profiler();

    // One finished step of `tokens` rows; probes: one per device; expert_tokens: those that each expert met in it,
    // [nlayer, experts].
    void record(bool prefill, int64_t tokens, int64_t step_ns, int64_t sample_ns,
                const std::vector<const Probe*>& probes, std::span<const int64_t> expert_tokens);
    Profile snapshot() const;
    void reset();

private:
    double mark_ns_;  // what one mark of a probe costs here
    mutable std::mutex mutex_;
    Profile profile_;
};

}  // namespace qwen3
