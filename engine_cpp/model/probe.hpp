// A device worker's stopwatch: time per layer and verb of one step, two clock reads apart.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <vector>

#include "qwen3/profile.hpp"

namespace qwen3 {

class Probe {
public:
    explicit Probe(int64_t layers) : layers_(static_cast<size_t>(layers)) {}

    void start() {
        for (auto& layer : layers_) layer.fill(0);
        others_.fill(0);
        last_ = Clock::now();
    }

    // What passed since the last mark belongs to this verb.
    void mark(LayerVerb verb, int64_t layer) {
        layers_[static_cast<size_t>(layer)][static_cast<size_t>(verb)] += lap();
    }
    void mark(StepVerb verb) { others_[static_cast<size_t>(verb)] += lap(); }

    const std::vector<std::array<int64_t, kLayerVerbs>>& layers() const { return layers_; }  // ns
    const std::array<int64_t, kStepVerbs>& others() const { return others_; }                // ns

private:
    using Clock = std::chrono::steady_clock;

    int64_t lap() {
        const Clock::time_point now = Clock::now();
        const int64_t ns = std::chrono::duration_cast<std::chrono::nanoseconds>(now - last_).count();
        last_ = now;
        return ns;
    }

    std::vector<std::array<int64_t, kLayerVerbs>> layers_;
    std::array<int64_t, kStepVerbs> others_{};
    Clock::time_point last_;
};

}  // namespace qwen3
