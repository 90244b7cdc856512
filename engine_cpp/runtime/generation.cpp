#include "qwen3/generation.hpp"

#include <algorithm>
#include <string>

#include "qwen3/error.hpp"
#include "runtime/generation_state.hpp"

namespace qwen3 {

std::string_view finish_reason_name(FinishReason reason) {
    switch (reason) {
        case FinishReason::none: return "none";
        case FinishReason::stop: return "stop";
        case FinishReason::length: return "length";
        case FinishReason::cancelled: return "cancelled";
        case FinishReason::error: return "error";
    }
    return "?";
}

GenerationState::GenerationState(std::vector<int32_t> prompt, CacheLease lease, int64_t reused, SamplingParams sampling,
                                 std::vector<int32_t> end_tokens, int64_t context, int64_t dvoc, bool background,
                                 std::function<void()> wake)
    : end_tokens_(std::move(end_tokens)),
      context_(context),
      dvoc_(dvoc),
      background_(background),
      wake_(std::move(wake)),
      sampling_(std::move(sampling)),
      lease_(std::move(lease)),
      tokens_(std::move(prompt)),
      prompt_tokens_(static_cast<int64_t>(tokens_.size())),
      evaluated_(static_cast<size_t>(reused)) {
    stats_.prompt_tokens = prompt_tokens_;
    stats_.reused_tokens = reused;
}

size_t GenerationState::drain(std::vector<TokenEvent>& out, size_t max) {
    size_t count = 0;
    for (TokenEvent event; count < max && ring_.pop(event); ++count) out.push_back(event);
    if (count > 0) wake_();  // the ring may have been full
    return count;
}

bool GenerationState::wait(std::chrono::nanoseconds timeout) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, timeout, [&] { return !ring_.empty() || reason_ != FinishReason::none; });
}

void GenerationState::wait_ended() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return reason_ != FinishReason::none; });
}

void GenerationState::cancel() {
    cancelled_.store(true, std::memory_order_release);
    wake_();
}

void GenerationState::update(SamplingParams sampling) {
    check(sampling, dvoc_);
    const std::lock_guard lock(mutex_);
    sampling_ = std::move(sampling);
}

void GenerationState::force(std::span<const int32_t> ids, std::optional<int32_t> unless) {
    for (int32_t id : ids)
        if (id < 0 || id >= dvoc_)
            throw ConfigError("cannot force token " + std::to_string(id) + ": the vocabulary has " +
                              std::to_string(dvoc_) + " ids");
    const std::lock_guard lock(mutex_);
    if (!ids.empty()) forced_.push_back({{ids.begin(), ids.end()}, unless});
}

FinishReason GenerationState::finish_reason() const {
    const std::lock_guard lock(mutex_);
    return reason_;
}

void GenerationState::rethrow_error() const {
    const std::lock_guard lock(mutex_);
    if (error_) std::rethrow_exception(error_);
}

GenerationStats GenerationState::stats() const {
    const std::lock_guard lock(mutex_);
    return stats_;
}

SamplingParams GenerationState::sampling() const {
    const std::lock_guard lock(mutex_);
    return sampling_;
}

std::optional<int32_t> GenerationState::next_forced() {
    const std::lock_guard lock(mutex_);
    while (!forced_.empty()) {
        auto& [ids, unless] = forced_.front();
        if (unless && std::find(tokens_.begin() + prompt_tokens_, tokens_.end(), *unless) != tokens_.end()) {
            forced_.pop_front();
            continue;
        }
        unless.reset();  // once begun, they all come
        const int32_t id = ids.front();
        ids.pop_front();
        if (ids.empty()) forced_.pop_front();
        return id;
    }
    return std::nullopt;
}

void GenerationState::evaluated(int64_t n, int64_t step_ns) {
    const std::lock_guard lock(mutex_);
    const int64_t of_prompt =
        std::max<int64_t>(0, std::min<int64_t>(n, prompt_tokens_ - static_cast<int64_t>(evaluated_)));
    evaluated_ += static_cast<size_t>(n);
    stats_.prefill_tokens += of_prompt;
    if (of_prompt > 0) stats_.prefill_ns += step_ns;
}

void GenerationState::emit(const TokenEvent& drawn) {
    auto ns = [](Clock::duration d) { return std::chrono::duration_cast<std::chrono::nanoseconds>(d).count(); };
    TokenEvent event = drawn;
    FinishReason reason = FinishReason::none;
    {
        const std::lock_guard lock(mutex_);
        const Clock::time_point now = Clock::now();
        if (stats_.new_tokens == 0) {
            first_token_ = now;
            stats_.first_token_ns = ns(now - queued_);
        }
        stats_.new_tokens += 1;
        stats_.decode_ns = ns(now - first_token_);
        event.stop = stops_at(event.id, sampling_);
        if (event.stop)
            reason = FinishReason::stop;
        else if (sampling_.max_new_tokens && stats_.new_tokens >= *sampling_.max_new_tokens)
            reason = FinishReason::length;
        else if (event.index + 1 >= context_)
            reason = FinishReason::length;
        ring_.push(event);  // the scheduler leaves a generation with a full ring alone
    }
    if (!event.stop) tokens_.push_back(event.id);
    if (reason == FinishReason::none)
        changed_.notify_all();
    else
        finish(reason);
}

void GenerationState::finish(FinishReason reason, std::exception_ptr error) {
    lease_.reset();  // first, so that whoever hears of the end can use the cache
    {
        const std::lock_guard lock(mutex_);
        reason_ = reason;
        error_ = std::move(error);
    }
    changed_.notify_all();
}

void GenerationState::check(const SamplingParams& sampling, int64_t dvoc) {
    sampling.validate();
    if (sampling.stop_ids)
        for (int32_t id : *sampling.stop_ids)
            if (id < 0 || id >= dvoc)
                throw ConfigError("sampling: stop_ids holds " + std::to_string(id) + "; the vocabulary has " +
                                  std::to_string(dvoc) + " ids");
}

bool GenerationState::stops_at(int32_t id, const SamplingParams& sampling) const {
    const std::vector<int32_t>& stops = sampling.stop_ids ? *sampling.stop_ids : end_tokens_;
    return std::find(stops.begin(), stops.end(), id) != stops.end();
}

Generation::Generation(std::shared_ptr<GenerationState> state, std::shared_ptr<void> engine)
    : state_(std::move(state)), engine_(std::move(engine)) {}

Generation::~Generation() {
    state_->cancel();
    state_->wait_ended();
}

size_t Generation::drain(std::vector<TokenEvent>& out, size_t max) { return state_->drain(out, max); }
bool Generation::wait(std::chrono::nanoseconds timeout) { return state_->wait(timeout); }
void Generation::cancel() { state_->cancel(); }
void Generation::update(SamplingParams sampling) { state_->update(std::move(sampling)); }
void Generation::force(std::span<const int32_t> ids, std::optional<int32_t> unless) { state_->force(ids, unless); }
bool Generation::done() const { return state_->finish_reason() != FinishReason::none; }
FinishReason Generation::finish_reason() const { return state_->finish_reason(); }
void Generation::rethrow_error() const { state_->rethrow_error(); }
GenerationStats Generation::stats() const { return state_->stats(); }

}  // namespace qwen3
