// One reply in the making. The engine's thread fills a ring of events; the holder drains it when it likes.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "qwen3/sampling.hpp"

namespace qwen3 {

enum class FinishReason : uint8_t { none, stop, length, cancelled, error };
std::string_view finish_reason_name(FinishReason reason);

struct TopLogprob {
    int32_t id = 0;
    float logprob = 0.0F;
};

struct TokenEvent {
    int32_t id = 0;
    float logprob = 0.0F;  // natural log, of the model's own distribution (before penalties and temperature)
    int64_t index = 0;     // position in the context
    int64_t ns = 0;        // duration of the step that made it
    bool stop = false;     // an end token: the last event, and not part of the cache
    int32_t top_count = 0;
    std::array<TopLogprob, kMaxTopLogprobs> top{};  // best first
};

struct GenerationStats {
    int64_t prompt_tokens = 0;
    int64_t reused_tokens = 0;   // found in the cache
    int64_t prefill_tokens = 0;  // of the rest: evaluated so far
    int64_t new_tokens = 0;
    int64_t first_token_ns = 0;  // from the request to its first token; 0 = none yet
    int64_t prefill_ns = 0;      // spent in steps that evaluated the prompt
    int64_t decode_ns = 0;       // from the first token to the latest one
};

class GenerationState;

class Generation {
public:
    explicit Generation(std::shared_ptr<GenerationState> state, std::shared_ptr<void> engine);
    ~Generation();  // cancels and waits until the engine has let go
    Generation(const Generation&) = delete;
    Generation& operator=(const Generation&) = delete;

    // Appends up to max events to out and returns how many. Never blocks.
    size_t drain(std::vector<TokenEvent>& out, size_t max = SIZE_MAX);
    // Waits until an event is there or the generation has ended (true), or until the timeout (false).
    bool wait(std::chrono::nanoseconds timeout);

    void cancel();                         // takes effect before the next step
    void update(SamplingParams sampling);  // from the next token on; throws ConfigError
    // The next tokens, instead of drawn ones. Not if the reply holds the token `unless` by the time they are due: the
    // engine goes on while its caller makes up its mind.
    void force(std::span<const int32_t> ids, std::optional<int32_t> unless = {});

    bool done() const;           // ended and drained of nothing more to come; events may still be waiting
    FinishReason finish_reason() const;
    void rethrow_error() const;  // throws the typed error behind FinishReason::error, if any
    GenerationStats stats() const;

private:
    std::shared_ptr<GenerationState> state_;
    std::shared_ptr<void> engine_;
};

}  // namespace qwen3
