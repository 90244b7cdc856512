#include "runtime/scheduler.hpp"

#include <algorithm>

namespace qwen3 {

std::vector<int64_t> schedule(std::span<const Waiting> requests, int64_t prefill_chunk) {
    const bool foreground =
        std::any_of(requests.begin(), requests.end(), [](const Waiting& r) { return !r.background && !r.blocked; });
    std::vector<int64_t> tokens(requests.size(), 0);
    int64_t left = prefill_chunk;
    for (size_t i = 0; i < requests.size(); ++i) {
        const Waiting& request = requests[i];
        if (request.blocked || (request.background && foreground)) continue;
        if (request.pending == 1) {
            tokens[i] = 1;
        } else {
            tokens[i] = std::min(request.pending, left);
            left -= tokens[i];
        }
    }
    return tokens;
}

}  // namespace qwen3
