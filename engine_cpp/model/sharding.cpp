#include "model/sharding.hpp"

#include <string>

#include "qwen3/error.hpp"

namespace qwen3 {
namespace {

// A unit's range in elements of the axis that it cuts.
Range elements(Unit unit, const Meta& meta, const Shard& shard, int64_t axis_length) {
    switch (unit) {
        case Unit::whole: return {0, axis_length};
        case Unit::query_head: return {shard.query_heads.begin * meta.dh, shard.query_heads.end * meta.dh};
        case Unit::kv_head: return {shard.kv_heads.begin * meta.dh, shard.kv_heads.end * meta.dh};
        case Unit::mlp: return shard.mlp;
        case Unit::expert: return shard.experts;
        case Unit::vocab: return shard.vocab;
    }
    return {};
}

}  // namespace

Shard shard_of(const Meta& meta, int64_t rank, int64_t size) {
    if (size > meta.nh)
        throw ConfigError(std::to_string(size) + " devices for " + std::to_string(meta.nh) +
                          " query heads; a device needs at least one: use fewer devices");
    Shard shard{.rank = rank,
                .size = size,
                .query_heads = split(meta.nh, 1, rank, size),
                .kv_heads = {},
                .mlp = {},
                .experts = {},
                .vocab = {}};
    shard.kv_heads = {shard.query_heads.begin / meta.group(), (shard.query_heads.end - 1) / meta.group() + 1};
    shard.mlp = split(meta.di, kMlpGranule, rank, size);
    shard.experts = split(meta.experts.di, kMlpGranule, rank, size);
    shard.vocab = split(meta.dvoc, kVocabGranule, rank, size);
    return shard;
}

Slice slice_of(Slot slot, const Meta& meta, const Shard& shard) {
    const ShardRule& rule = kShardingTable[static_cast<size_t>(slot)];
    const std::vector<int64_t> shape = slot_shape(slot, meta);
    const int64_t rows = shape.size() == 1 ? 1 : shape[0];
    const int64_t columns = shape.back();
    Slice slice{{0, rows}, {0, columns}};
    if (rule.axis == Axis::rows) slice.rows = elements(rule.unit, meta, shard, rows);
    if (rule.axis == Axis::columns) slice.columns = elements(rule.unit, meta, shard, columns);
    return slice;
}

}  // namespace qwen3
