// The clock by which a device times the verbs of a step.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <vector>

namespace qwen3 {

struct Batch;

class StepClock {
public:
    virtual ~StepClock() = default;

    // Before begin_step. False: this step is not timed, and no mark may follow.
    virtual bool start(const Batch& batch) = 0;
    // What was called since the last mark, or the start, ends here.
    virtual void mark() = 0;
    // ns up to each mark from the one before. After end_step.
    virtual void read(std::span<int64_t> laps) = 0;
    // Of how many decode steps one is timed.
    virtual int64_t period() const { return 1; }
};

// For verbs that are done when they return.
class HostClock final : public StepClock {
public:
    bool start(const Batch&) override {
        marks_.clear();
        mark();
        return true;
    }
    void mark() override { marks_.push_back(std::chrono::steady_clock::now()); }
    void read(std::span<int64_t> laps) override {
        for (size_t i = 0; i < laps.size(); ++i)
            laps[i] = std::chrono::duration_cast<std::chrono::nanoseconds>(marks_[i + 1] - marks_[i]).count();
    }

private:
    std::vector<std::chrono::steady_clock::time_point> marks_;  // the start first
};

}  // namespace qwen3
