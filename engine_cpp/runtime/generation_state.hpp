// What a generation's holder and the engine's thread share, and what the engine's thread keeps for it.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "qwen3/generation.hpp"
#include "runtime/cache_writer.hpp"
#include "runtime/event_ring.hpp"

namespace qwen3 {

class GenerationState {
public:
    using Clock = std::chrono::steady_clock;

    // sampling: checked. reused: tokens of the prompt that the leased cache already holds. wake tells the engine's
    // thread to look again.
    GenerationState(std::vector<int32_t> prompt, CacheLease lease, int64_t reused, SamplingParams sampling,
                    std::vector<int32_t> end_tokens, int64_t context, int64_t dvoc, bool background,
                    std::function<void()> wake);

    static void check(const SamplingParams& sampling, int64_t dvoc);  // throws ConfigError

    // The holder's side; see Generation.
    size_t drain(std::vector<TokenEvent>& out, size_t max);
    bool wait(std::chrono::nanoseconds timeout);
    void wait_ended();
    void cancel();
    void update(SamplingParams sampling);
    void force(std::span<const int32_t> ids, std::optional<int32_t> unless);
    FinishReason finish_reason() const;
    void rethrow_error() const;
    GenerationStats stats() const;

    // The engine thread's side.
    bool background() const { return background_; }
    bool cancelled() const { return cancelled_.load(std::memory_order_acquire); }
    bool ring_full() const { return ring_.full(); }
    int64_t pending() const { return static_cast<int64_t>(tokens_.size()) - evaluated_; }  // tokens to evaluate
    std::span<const int32_t> next_tokens(int64_t n) const { return std::span(tokens_).subspan(evaluated_, n); }
    std::span<const int32_t> tokens() const { return tokens_; }
    int64_t prompt_tokens() const { return prompt_tokens_; }
    KvCache& cache() const { return lease_->cache(); }
    SamplingParams sampling() const;
    std::optional<int32_t> next_forced();

    void evaluated(int64_t n, int64_t step_ns);  // n more tokens are in the cache
    void emit(const TokenEvent& event);          // and append it, unless it ends the generation
    void finish(FinishReason reason, std::exception_ptr error = nullptr);
    bool ended() const { return finish_reason() != FinishReason::none; }

private:
    bool stops_at(int32_t id, const SamplingParams& sampling) const;

    const std::vector<int32_t> end_tokens_;
    const int64_t context_, dvoc_;
    const bool background_;
    const std::function<void()> wake_;
    const Clock::time_point queued_ = Clock::now();

    EventRing<TokenEvent> ring_{256};
    std::atomic<bool> cancelled_{false};

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    SamplingParams sampling_;
    struct Forced {
        std::deque<int32_t> ids;
        std::optional<int32_t> unless;
    };
    std::deque<Forced> forced_;
    GenerationStats stats_;
    FinishReason reason_ = FinishReason::none;
    std::exception_ptr error_;

    // Only the engine's thread touches these.
    std::optional<CacheLease> lease_;  // let go when the generation ends
    std::vector<int32_t> tokens_;      // prompt and reply
    const int64_t prompt_tokens_;
    size_t evaluated_;                 // of them, in the cache
    Clock::time_point first_token_;
};

}  // namespace qwen3
