// A device worker's stopwatch: time per layer and verb of one step, by the device's own clock.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "ops/ops.hpp"
#include "qwen3/profile.hpp"

namespace qwen3 {

class Probe {
public:
    Probe(std::unique_ptr<StepClock> clock, int64_t layers)
        : clock_(std::move(clock)), layers_(static_cast<size_t>(layers)) {}

    void start(const Batch& batch) {
        owners_.clear();
        timed_ = clock_->start(batch);
    }

    // What passed since the last mark belongs to this verb.
    void mark(LayerVerb verb, int64_t layer) {
        if (timed_) mark(&layers_[static_cast<size_t>(layer)][static_cast<size_t>(verb)]);
    }
    void mark(StepVerb verb) {
        if (timed_) mark(&others_[static_cast<size_t>(verb)]);
    }

    // The step has ended.
    void stop() {
        if (!timed_) return;
        laps_.resize(owners_.size());
        clock_->read(laps_);
        for (auto& layer : layers_) layer.fill(0);
        others_.fill(0);
        for (size_t i = 0; i < laps_.size(); ++i) *owners_[i] += laps_[i];
    }

    bool timed() const { return timed_; }
    int64_t period() const { return clock_->period(); }
    const std::vector<std::array<int64_t, kLayerVerbs>>& layers() const { return layers_; }  // ns
    const std::array<int64_t, kStepVerbs>& others() const { return others_; }                // ns

private:
    void mark(int64_t* owner) {
        clock_->mark();
        owners_.push_back(owner);
    }

    std::unique_ptr<StepClock> clock_;
    bool timed_ = false;
    std::vector<int64_t*> owners_;  // [marks]: whose time passed up to a mark
    std::vector<int64_t> laps_;     // [marks], ns
    std::vector<std::array<int64_t, kLayerVerbs>> layers_;
    std::array<int64_t, kStepVerbs> others_{};
};

}  // namespace qwen3
