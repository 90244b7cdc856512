// Which requests a step serves and with how many tokens each. Pure: a function of what is waiting.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace qwen3 {

struct Waiting {
    int64_t pending = 0;      // tokens to evaluate: one in decode, more in prefill
    bool background = false;  // runs only when no foreground request can
    bool blocked = false;     // nobody drains its events
};

// Tokens for each request in this step, 0 = not in it. Every runnable decode gets its token; prefills share
// `prefill_chunk` tokens in order of arrival.
std::vector<int64_t> schedule(std::span<const Waiting> requests, int64_t prefill_chunk);

}  // namespace qwen3
