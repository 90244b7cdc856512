// One ragged step in the making: tokens of several caches side by side, with the pages reserved for them.
#pragma once

#include <deque>
#include <span>
#include <vector>

#include "model/rope.hpp"
#include "ops/ops.hpp"
#include "qwen3/engine.hpp"
#include "runtime/cache_writer.hpp"

namespace qwen3 {

class StepBatch {
public:
    // Reserves pages for the tokens; the cache must be leased. Throws OutOfMemory, the batch unchanged.
    void add(KvCache& cache, std::span<const int32_t> tokens, LogitsRows rows);

    bool empty() const { return tokens_.empty(); }
    int64_t ntok() const { return static_cast<int64_t>(tokens_.size()); }
    int64_t logit_rows() const { return static_cast<int64_t>(logit_rows_.size()); }
    bool prefill() const;  // some request has more than one token

    // Valid until the next add or the batch's end.
    Batch view(const Rope& rope);

    void commit();  // the step has succeeded: every cache takes its tokens

private:
    std::deque<CacheWriter> writers_;  // a deque: writers do not move
    std::vector<int32_t> tokens_, positions_, logit_rows_;
    std::vector<SequenceSpan> sequences_;
    std::vector<PageCopy> copies_;
    std::vector<float> cos_, sin_;
};

}  // namespace qwen3
