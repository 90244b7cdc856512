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
        scratch.k.clear();
        scratch.v.clear();
        for (int64_t p = 0; p < pages; ++p) {
            const int32_t page = sequence.pages[static_cast<size_t>(p)];
            scratch.k.push_back(reinterpret_cast<const char*>(kv_->k(page, layer, item.head)));
            scratch.v.push_back(reinterpret_cast<const char*>(kv_->v(page, layer, item.head)));
        }
        // Of this KV head's group, the query heads that lie on this device.
        const int64_t first_of_group = (shard.kv_heads.begin + item.head) * group;
        const int64_t begin = std::max(first_of_group, shard.query_heads.begin);
        const int64_t end = std::min(first_of_group + group, shard.query_heads.end);
        const int64_t row = sequence.first_row + item.first_row;
        const int64_t column = (begin - shard.query_heads.begin) * dh;
        kernel({
            .q = queries.row(row) + column,
            .ldq = queries.columns(),
            .out = result.row(row) + column,
            .ldout = result.columns(),
            .tokens = item.rows,
            .heads = end - begin,
            .dh = dh,
            .first_position = position,
            .k = scratch.k.data(),
            .v = scratch.v.data(),
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
