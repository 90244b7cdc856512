#include "runtime/step_batch.hpp"

#include <algorithm>

namespace qwen3 {

void StepBatch::add(KvCache& cache, std::span<const int32_t> tokens, LogitsRows rows) {
    const CacheWriter& writer = writers_.emplace_back(cache, static_cast<int64_t>(tokens.size()));
    const auto first_row = static_cast<int32_t>(tokens_.size());
    const auto count = static_cast<int32_t>(tokens.size());
    for (int32_t i = 0; i < count; ++i) positions_.push_back(static_cast<int32_t>(writer.first_position()) + i);
    tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
    if (rows == LogitsRows::all)
        for (int32_t i = 0; i < count; ++i) logit_rows_.push_back(first_row + i);
    if (rows == LogitsRows::last) logit_rows_.push_back(first_row + count - 1);
    sequences_.push_back({first_row, count, writer.first_position(), writer.pages()});
    copies_.insert(copies_.end(), writer.copies().begin(), writer.copies().end());
}

bool StepBatch::prefill() const {
    return std::any_of(sequences_.begin(), sequences_.end(), [](const SequenceSpan& s) { return s.rows > 1; });
}

Batch StepBatch::view(const Rope& rope) {
    rope.angles(positions_, cos_, sin_);
    return {.tokens = tokens_,
            .positions = positions_,
            .sequences = sequences_,
            .logit_rows = logit_rows_,
            .copies = copies_,
            .cos = cos_,
            .sin = sin_};
}

void StepBatch::commit() {
    for (size_t i = 0; i < sequences_.size(); ++i) {
        const SequenceSpan& s = sequences_[i];
        writers_[i].commit(std::span(tokens_).subspan(static_cast<size_t>(s.first_row), static_cast<size_t>(s.rows)));
    }
}

}  // namespace qwen3
