// Times the verbs of a GPU by events in its stream. A decode step runs as one graph, with no room between its kernels:
// one of many is launched kernel by kernel instead, and timed.
#pragma once

#include "ops/cuda_plugin/cuda_ops.hpp"
#include "ops/step_clock.hpp"

namespace qwen3::cuda_plugin {

class EventClock final : public StepClock {
public:
    explicit EventClock(CudaOps& ops) : ops_(ops) {}

    bool start(const Batch& batch) override {
        const bool decode = static_cast<int64_t>(batch.sequences.size()) == batch.ntok();
        ops_.timed_ = !decode || decode_steps_++ % kPeriod == 1;  // the first warms up
        marks_ = 0;
        if (ops_.timed_) mark();
        return ops_.timed_;
    }
    void mark() override { ops_.plugin_.check(ops_.plugin_->mark(ops_.device_.get(), marks_++)); }
    void read(std::span<int64_t> laps) override {
        ops_.plugin_.check(ops_.plugin_->elapsed(ops_.device_.get(), laps.data(), static_cast<int64_t>(laps.size())));
    }
    int64_t period() const override { return kPeriod; }

private:
    static constexpr int64_t kPeriod = 32;

    CudaOps& ops_;
    int64_t decode_steps_ = 0;
    int64_t marks_ = 0;
};

}  // namespace qwen3::cuda_plugin
