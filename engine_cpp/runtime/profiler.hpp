// The engine's view of its steps: the last timed prefill and decode step in full, sums over all.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include "model/probe.hpp"
#include "qwen3/profile.hpp"

namespace qwen3 {

// A finished step.
struct StepRecord {
    bool prefill;
    int64_t tokens;  // rows of its batch
    int64_t step_ns;
    int64_t sample_ns;
    std::vector<const Probe*> probes;  // [devices]
    std::vector<DeviceCounts> counts;  // [devices]
};

class Profiler {
public:
    Profiler();

    void record(const StepRecord& record);
    Profile snapshot() const;
    void reset();

private:
    void measure_probe(const Probe& probe, double step_ns);

    double mark_ns_;           // what one mark of a probe costs on the host's clock
    double untimed_ns_ = 0.0;  // a decode step that was not timed takes about so long
    mutable std::mutex mutex_;
    Profile profile_;
};

}  // namespace qwen3
