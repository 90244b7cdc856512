#include <atomic>

#include "ops/cpu/cpu_ops.hpp"

namespace qwen3::cpu {

void CpuOps::attention(const Buffer& q, Buffer& out, int64_t layer) {
    const auto& queries = static_cast<const CpuBuffer&>(q);
    const auto& result = static_cast<CpuBuffer&>(out);
    const Shard& shard = shape_.shard;
    const int64_t dh = shape_.meta.dh;
    const int64_t group = shape_.meta.group();
    const auto kernel = shape_.kv == DType::f32 ? kernels_.attention_f32 : kernels_.attention_bf16;

    auto attend = [&](const AttentionItem& item, AttentionScratch& scratch) {
        const SequenceSpan& sequence = *item.sequence;
        const int64_t position = sequence.first_position + item.first_row;
        const int64_t pages = (position + item.rows - 1) / kPageTokens + 1;
        scratch.pages.clear();
        for (int64_t p = 0; p < pages; ++p)
            scratch.pages.push_back(
                reinterpret_cast<const char*>(kv_->k(sequence.pages[static_cast<size_t>(p)], layer, 0)));
        const int64_t row = sequence.first_row + item.first_row;
        scratch.heads.clear();
        for (int64_t head = item.heads.begin; head < item.heads.end; ++head) {
            // Of this KV head's group, the query heads that lie on this device.
            const int64_t first_of_group = (shard.kv_heads.begin + head) * group;
            const int64_t begin = std::max(first_of_group, shard.query_heads.begin);
            const int64_t end = std::min(first_of_group + group, shard.query_heads.end);
            const int64_t column = (begin - shard.query_heads.begin) * dh;
            scratch.heads.push_back({.q = queries.row(row) + column,
                                     .out = result.row(row) + column,
                                     .heads = end - begin,
                                     .offset = head * kv_->head_bytes()});
        }
        kernel({
            .kv_heads = scratch.heads.data(),
            .kv_head_count = item.heads.size(),
            .ldq = queries.columns(),
            .ldout = result.columns(),
            .tokens = item.rows,
            .dh = dh,
            .first_position = position,
            .pages = scratch.pages.data(),
            .v_offset = kv_->v_offset(),
            .scratch = scratch.floats.data(),
        });
    };

    std::atomic<size_t> next{0};  // items differ in length: whoever is free takes the next one
    pool_.run([&](int thread) {
        for (size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < attention_items_.size();)
            attend(attention_items_[i], attention_scratch_[static_cast<size_t>(thread)]);
    });
}

}  // namespace qwen3::cpu
